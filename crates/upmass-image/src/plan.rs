//! From a release to lengths and places.

use std::path::{Path, PathBuf};

use upmass_disk::SlotImage;
use upmass_disk::gpt::{
    BOOT_ONCE, Guid, Layout, LayoutError, NewPartition, Slot, kind, smallest_disk,
};
use upmass_format::release::Release;
use upmass_format::{ObjectHasher, ReleaseId};
use upmass_store::Store;

use crate::ext4::{NewFileSystem, needed};
use crate::staging::Staging;
use crate::write::Built;
use crate::{DiskDescription, ImageError, Loader, Result, SlotFile, SlotFileSystem};

/// What an image shall have.
pub struct Plan<'s> {
    pub(crate) store: &'s Store,
    pub(crate) id: ReleaseId,
    pub(crate) release: Release,
    pub(crate) files: Vec<SlotFile>,
    pub(crate) description: DiskDescription,
}

/// Lengths in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Of the disk.
    pub disk: u64,
    /// Of each boot slot.
    pub slot: u64,
    /// Of the system partition.
    pub system: u64,
    /// Of the data partition.
    pub data: u64,
    /// What is in use of the boot slot.
    pub slot_used: u64,
    /// What the release takes of the system partition.
    pub system_used: u64,
}

const MIB: u64 = 1 << 20;
/// A file system with a journal needs that much.
const MIN_DATA: u64 = 16 * MIB;
/// The data partition of a disk whose length is fitted.
const FITTED_DATA: u64 = 64 * MIB;
const FITTED_SLOT: u64 = 64 * MIB;
const SYSTEM: &str = "system";
const DATA: &str = "data";
/// The name of the image and of the staged directory while they are made.
pub(crate) const IMAGE: &str = "disk.img";
const STAGED: &str = "system";

impl<'s> Plan<'s> {
    /// Plans an image of a release of the store, whose boot slot has `files`.
    pub fn new(
        store: &'s Store,
        id: ReleaseId,
        release: Release,
        files: Vec<SlotFile>,
        description: DiskDescription,
    ) -> Self {
        Self { store, id, release, files, description }
    }

    /// Makes the image as a file in `scratch`, an empty directory. `device_len` is the length of
    /// the device that it is for, if any. `progress` is told bytes of the store so far.
    ///
    /// The directory needs as much space as the image has content, and as much again where the
    /// store is on another file system.
    pub fn build(
        &self,
        scratch: &Path,
        device_len: Option<u64>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Built<'_>> {
        self.check_slot()?;
        let staged = scratch.join(STAGED);
        std::fs::create_dir(&staged).map_err(|source| ImageError::Io {
            action: "make the directory",
            path: staged.display().to_string(),
            source,
        })?;
        let staging = Staging::fill(staged, self.store, self.id, &self.release, progress)?;
        let (layout, sizes) = self.layout(&staging, device_len)?;
        let file_system = |name: &'static str, content| {
            let partition = layout.partition(name).expect("the layout has it");
            let (start, len) = (partition.range.start(), partition.range.len());
            let (directory, image, label, id) = (scratch, IMAGE, name, partition.id);
            NewFileSystem { directory, image, start, len, label, id, content }
        };
        let path: PathBuf = scratch.join(IMAGE);
        let disk = upmass_disk::FileDisk::create(&path, sizes.disk)?;
        file_system(SYSTEM, Some((STAGED, &staging))).make()?;
        file_system(DATA, None).make()?;
        let built = Built { plan: self, path, layout, sizes };
        built.finish(disk)?;
        Ok(built)
    }

    /// The content of the slot that boots.
    pub(crate) fn slot(&self, layout: &Layout) -> Result<SlotFileSystem<'_>> {
        Ok(SlotFileSystem::plan(self.store, &self.files, layout.slot(Slot::One))?)
    }

    /// Refuses what no slot can have before anything is staged.
    fn check_slot(&self) -> Result<()> {
        SlotFileSystem::of_len(self.store, &self.files, (self.slot_len(), MIB), 0)?;
        Ok(())
    }

    fn slot_len(&self) -> u64 {
        let content: u64 = self.files.iter().map(|file| file.source.len()).sum();
        // Room for a release whose files grew by half.
        let fitted = (content + content / 2 + 8 * MIB).next_multiple_of(MIB).max(FITTED_SLOT);
        self.description.slot.map_or(fitted, |len| len.next_multiple_of(MIB))
    }

    fn layout(&self, staging: &Staging, device_len: Option<u64>) -> Result<(Layout, Sizes)> {
        let slot = self.slot_len();
        // Twice the content: a device has the old and the new release while it is updated.
        let content = staging.blocks * 4096;
        let fitted =
            (2 * content + content / 16 + staging.inodes * 1024 + 64 * MIB).next_multiple_of(MIB);
        let system = self.description.system.map_or(fitted, |len| len.next_multiple_of(MIB));
        let system_used = needed(staging, system);
        if system_used > system {
            return Err(ImageError::SystemTooSmall { available: system, needed: system_used });
        }
        let disk_len = device_len.or(self.description.disk);
        let least_data = self.description.data.unwrap_or(MIN_DATA);
        // A place for what U-Boot is told; its length is that of the alignment.
        let once = (self.description.loader == Loader::UBoot).then_some(MIB);
        let smallest =
            |data| smallest_disk([slot, slot].into_iter().chain(once).chain([system, data]));
        let least = smallest(least_data);
        if let Some(available) = disk_len.filter(|len| *len < least) {
            return Err(LayoutError::TooSmall { available, needed: least }.into());
        }
        let data = match (self.description.data, disk_len) {
            (Some(data), _) if data < MIN_DATA => {
                return Err(ImageError::Description {
                    path: "the data partition".to_owned(),
                    why: format!("it has {data} bytes, expected at least {MIN_DATA}"),
                });
            }
            (Some(data), _) => Some(data),
            (None, Some(_)) => None,
            (None, None) => Some(FITTED_DATA),
        };
        let disk = disk_len.unwrap_or_else(|| smallest(data.unwrap_or(FITTED_DATA)));
        let new = |name: &str, kind, len| NewPartition {
            name: name.to_owned(),
            id: self.guid(name),
            kind,
            len,
        };
        let mut others = Vec::from_iter(once.map(|len| new(BOOT_ONCE, kind::RESERVED, Some(len))));
        others.push(new(SYSTEM, kind::LINUX, Some(system)));
        others.push(new(DATA, kind::LINUX, data));
        let ids = Slot::ALL.map(|slot| self.guid(slot.name()));
        let mut layout = Layout::new(disk, self.guid("disk"), ids, slot, others)?;
        if once.is_some() {
            layout = layout.with_legacy_boot();
        }
        let len = |name: &str| layout.partition(name).map_or(0, |found| found.range.len());
        let slot_used = self.slot(&layout)?.len();
        let sizes = Sizes {
            disk: disk / 512 * 512,
            slot,
            system: len(SYSTEM),
            data: len(DATA),
            slot_used,
            system_used,
        };
        Ok((layout, sizes))
    }

    /// Names of disk and partitions follow from the release: the same image has the same ones.
    fn guid(&self, name: &str) -> Guid {
        let digest = ObjectHasher::hash(format!("upmass disk {} {name}", self.id).as_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&digest.as_bytes()[..16]);
        Guid::from_digest(first)
    }
}
