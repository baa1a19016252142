//! How far it came, for the record of attempts.

use std::fs;
use std::path::Path;

use upmass_boot::Device;
use upmass_boot::attempt::{Attempt, AttemptState, Reason};
use upmass_disk::DirVolume;

use crate::error::{Context, InitError, Result};
use crate::mounts;
use crate::system::SYSTEM;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// How far it came.
#[derive(Default)]
pub(crate) struct Stage {
    /// What is on trial, once that is known.
    trial: Option<Device>,
}

impl Stage {
    /// Notes that a release is on trial.
    pub(crate) fn on_trial(&mut self, device: &Device) {
        self.trial = Some(device.clone());
    }

    /// Records why the release on trial did not start, where `upmass status` finds it. The reason was
    /// told already, and nothing that boots depends on it (POWER-LOSS.md, row "attempt").
    pub(crate) fn record(&self, why: &str) -> Result<()> {
        let Some(device) = &self.trial else { return Ok(()) };
        if !Path::new(SYSTEM).join("systems").exists() {
            let node = device.system_partition.node.as_deref();
            mounts::partition(node.ok_or(InitError::NoNode("system"))?, SYSTEM)?;
        }
        let text = fs::read_to_string(BOOT_ID).on("read", BOOT_ID)?;
        let boot = text.trim().parse().map_err(std::io::Error::other).on("understand", BOOT_ID)?;
        let attempt = Attempt {
            release: device.release,
            slot: device.booted,
            state: AttemptState::Failed(Reason::new(why)),
            boot,
        };
        let written = DirVolume::open(Path::new(SYSTEM)).and_then(|volume| attempt.write(&volume));
        written.map_err(|error| error.source).on("write the attempt to", SYSTEM)
    }
}
