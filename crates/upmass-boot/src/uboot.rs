//! U-Boot with the boot script of `upmass_image::extlinux`.
//!
//! What it is told is on the disk, in the partition `boot-once` (`spec/uboot.md`): one sector says
//! which slot is tried and which system is started once, and another one which system is preferred.
//! The script clears the first one before it does what it says. A torn sector has no checksum, and
//! says nothing.

mod environment;

use std::collections::BTreeMap;

use upmass_disk::fat::FileSystem;
use upmass_disk::gpt::{BOOT_ONCE, Layout, Slot};
use upmass_disk::{Disk, DiskRange, Region, SECTOR_LEN, SharedDisk};
use upmass_format::slot::{BOOT_SCRIPT, EXTLINUX_FILE};

use crate::bootloader::{BootError, Bootloader, Target};

/// U-Boot, told by sectors of its disk.
pub struct UBoot {
    region: Region,
}

const ONCE: u64 = 0;
const PREFERRED: [u64; 2] = [1, 2];
const ONCE_SLOT: &str = "upmass_once_slot";
const ONCE_ENTRY: &str = "upmass_once_entry";
const ENTRY: &str = "upmass_entry";
/// Longest name of an entry in bytes, so that both variables fit into the sector.
const MAX_ENTRY: usize = 80;

impl UBoot {
    /// The U-Boot that starts this disk. `None` when the disk was made for another loader: it has no
    /// partition for what U-Boot is told.
    pub fn of(disk: SharedDisk, layout: &Layout) -> Option<Self> {
        let region = Region::new(disk, layout.partition(BOOT_ONCE)?.range)?;
        Some(Self { region })
    }

    /// What a sector says. What is torn or cannot be read says nothing.
    fn read(&self, sector: u64) -> Option<BTreeMap<String, String>> {
        let mut content = [0; SECTOR_LEN as usize];
        self.region.read_at(&mut content, sector * SECTOR_LEN).ok()?;
        environment::decode(&content)
    }

    /// Lets a sector say something else, unless it says that already. On return it is durable and
    /// was read back.
    fn write(&self, sector: u64, variables: &BTreeMap<&str, String>) -> Result<(), BootError> {
        let wanted = environment::encode(variables).ok_or(BootError::Entry { max: MAX_ENTRY })?;
        let offset = sector * SECTOR_LEN;
        let mut found = [0; SECTOR_LEN as usize];
        if self.region.read_at(&mut found, offset).is_ok() && found == wanted {
            return Ok(());
        }
        self.region.write_at(&wanted, offset)?;
        self.region.flush()?;
        if let Some(range) = DiskRange::new(offset, SECTOR_LEN) {
            self.region.forget(range);
        }
        self.region.read_at(&mut found, offset)?;
        match found == wanted {
            true => Ok(()),
            false => Err(BootError::ReadBack { offset: self.region.range().start() + offset }),
        }
    }

    fn once(&self) -> (Option<String>, Option<String>) {
        let mut said = self.read(ONCE).unwrap_or_default();
        (said.remove(ONCE_SLOT), said.remove(ONCE_ENTRY).filter(|entry| is_entry(entry)))
    }

    /// One sector says both, so that one write changes each and keeps the other.
    fn set_once(&self, slot: Option<String>, entry: Option<String>) -> Result<(), BootError> {
        let said = [(ONCE_SLOT, slot), (ONCE_ENTRY, entry)];
        let said = said.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        self.write(ONCE, &said)
    }
}

impl Bootloader for UBoot {
    fn check(&self) -> Result<(), BootError> {
        Ok(())
    }

    fn armed(&self, layout: &Layout) -> Result<Option<Slot>, BootError> {
        let (said, _) = self.once();
        let is_said = |slot: &Slot| said == Some(layout.slot(*slot).id.to_string());
        Ok(Slot::ALL.into_iter().find(is_said))
    }

    /// (POWER-LOSS.md, row "arm".) Before the sector is written, and when the write was torn, nothing
    /// is armed, and no system is chosen. The boot script clears it; `policy::reconcile` a one-shot
    /// that is of no use any more.
    fn arm(&self, target: &Target<'_>) -> Result<(), BootError> {
        let slot = target.slot;
        let fail = |source| BootError::Content { slot, source };
        let files = FileSystem::open(target.content).map_err(fail)?;
        for file in [BOOT_SCRIPT, EXTLINUX_FILE] {
            if files.node(file).map_err(fail)?.is_none() {
                return Err(BootError::NoScript { slot, file });
            }
        }
        let (_, entry) = self.once();
        self.set_once(Some(target.layout.slot(slot).id.to_string()), entry)
    }

    /// (POWER-LOSS.md, row "disarm".)
    fn disarm(&self, layout: &Layout) -> Result<(), BootError> {
        match self.armed(layout)? {
            Some(_) => self.set_once(None, self.once().1),
            None => Ok(()),
        }
    }

    fn chosen(&self) -> Result<Option<String>, BootError> {
        Ok(self.once().1)
    }

    /// (POWER-LOSS.md, row "choose".)
    fn choose(&self, entry: Option<&str>) -> Result<(), BootError> {
        let (slot, chosen) = self.once();
        let entry = entry.map(check_entry).transpose()?;
        match entry.is_none() && chosen.is_none() {
            true => Ok(()),
            false => self.set_once(slot, entry),
        }
    }

    fn preferred(&self) -> Result<Option<String>, BootError> {
        let said = PREFERRED.into_iter().find_map(|sector| self.read(sector));
        Ok(said.unwrap_or_default().remove(ENTRY).filter(|entry| is_entry(entry)))
    }

    /// (POWER-LOSS.md, row "prefer".) The copy comes when the first sector is durable. A torn first
    /// sector leaves the old copy, which then counts.
    fn prefer(&self, entry: Option<&str>) -> Result<(), BootError> {
        let entry = entry.map(check_entry).transpose()?;
        let said: BTreeMap<&str, String> = entry.map(|entry| (ENTRY, entry)).into_iter().collect();
        PREFERRED.into_iter().try_for_each(|sector| self.write(sector, &said))
    }
}

/// Whether a text is the name of an entry that the boot script may put into a path.
fn is_entry(entry: &str) -> bool {
    let is_plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
    };
    (1..=MAX_ENTRY).contains(&entry.len()) && entry.bytes().all(is_plain)
}

fn check_entry(entry: &str) -> Result<String, BootError> {
    match is_entry(entry) {
        true => Ok(entry.to_owned()),
        false => Err(BootError::Entry { max: MAX_ENTRY }),
    }
}
