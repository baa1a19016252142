//! Which release is in the other slot, and whether this start is a trial.

use std::sync::Arc;

use upmass_boot::Device;
use upmass_boot::discover::slot_release;
use upmass_disk::FileDisk;

use crate::changes::Releases;
use crate::say;

/// What the slots say. A slot that cannot be read has no release.
pub(crate) fn releases(device: &Device) -> Releases {
    let is_trial = device.booted != device.found.active;
    let other = match FileDisk::open_to_read(&device.disk) {
        Ok(disk) => (device.found.content(Arc::new(disk), device.booted.other()))
            .and_then(|content| slot_release(&content)),
        Err(error) => {
            say::warn(&error.to_string());
            None
        }
    };
    Releases { running: device.release, other, is_trial }
}
