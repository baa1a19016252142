//! Restarting the machine.

use std::path::Path;
use std::process::Command;

use crate::Outcome;
use crate::failure::{Failure, Kind};

/// Restarts the machine, as its init does it. Returns when that is under way.
pub fn restart(root: &Path) -> Outcome {
    rustix::fs::sync();
    // The usual name on every init: systemd, busybox, sysvinit, OpenRC.
    let program = root.join("sbin/reboot");
    let status =
        Command::new(&program).status().map_err(|error| Failure::io("run", &program, error))?;
    match status.success() {
        true => Ok(()),
        false => {
            let message = format!("{} failed: {status}: restart by hand", program.display());
            Err(Failure::new(Kind::Failed, message))
        }
    }
}
