//! The `upmass` command. It alone prints, reads the environment and exits; everything else is
//! in the crates it uses.

mod arguments;
mod commands;
mod device;
mod failure;
mod keys;
mod output;
#[cfg(feature = "host")]
mod plain;
mod progress;
mod releases;
#[cfg(feature = "host")]
mod scratch;
mod services;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::failure::Failure;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match commands::run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.exit_code()
        }
    }
}

/// What every command gives.
type Outcome = Result<(), Failure>;
