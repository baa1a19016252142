//! The program that the kernel starts in the initial RAM disk of Upmass.
//!
//! It loads the modules that were given to it, finds the disk and what of it was booted, mounts
//! the chosen system read-only, gives it `/var` and `/etc` as the system wants them, and starts
//! the system's own init. Where that is impossible it says why, on the console and, of a release on
//! trial, in the record of attempts; then the device starts again. A trial falls back by that.
//!
//! Nothing here waits without a deadline, and nothing decides what boots.
//!
//! Read first: [`system::start`], [`options::Options`], [`modules::Modules`], and
//! `spec/initrd.md`.

mod changes;
mod copy;
mod error;
mod glob;
mod modules;
mod mounts;
mod options;
mod say;
mod stage;
mod system;
mod trial;
mod watchdog;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!(
            "upmass-init: the kernel starts this as the first program of an initial RAM disk; \
             initrd = \"upmass\" in release.toml makes one"
        );
        return ExitCode::from(2);
    }
    let mut stage = stage::Stage::default();
    let Err(why) = system::start(&mut stage);
    say::error(&why.to_string());
    if let Err(why) = stage.record(&why.to_string()) {
        say::warn(&format!("the reason is not stored: {why}"));
    }
    system::start_again();
    // Then the kernel panics, and starts again by itself (`panic=`).
    ExitCode::FAILURE
}
