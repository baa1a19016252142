//! The hardware watchdog: started here, taken over by the system.

use std::fs::{File, OpenOptions};
use std::io::Write;

use crate::say;

/// A watchdog that runs: without a sign of life it resets the machine.
///
/// It is closed when the system's init starts, without the word that would stop it. So it runs on
/// with the time that is left, and the system must open it within that: systemd does with
/// `RuntimeWatchdogSec=`, without systemd a program such as busybox' `watchdog`.
pub(crate) struct Watchdog(File);

impl Watchdog {
    /// Starts the first watchdog. `None` when there is none.
    pub(crate) fn start() -> Option<Self> {
        const NODES: [&str; 2] = ["/dev/watchdog0", "/dev/watchdog"];
        for node in NODES {
            match OpenOptions::new().write(true).open(node) {
                Ok(file) => {
                    say::note(&format!("{node} runs"));
                    return Some(Self(file));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => say::warn(&format!("open {node}: {error}")),
            }
        }
        None
    }

    /// Gives it its whole time again.
    pub(crate) fn sign_of_life(&mut self) {
        // Anything but `V`, which would stop it when it is closed.
        if let Err(error) = self.0.write_all(b"\0") {
            say::warn(&format!("write to the watchdog: {error}"));
        }
    }
}
