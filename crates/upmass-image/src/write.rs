//! A disk gets its content: a file, or a device.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::SeekFrom;
use rustix::io::Errno;
use upmass_disk::gpt::{Layout, Slot};
use upmass_disk::{Disk, DiskRange, FileDisk, SlotDisk, SlotImage};

use crate::error::Context;
use crate::{ImageError, Plan, Result, Sizes, bmap};

/// A finished image, as a file in the directory that was given.
pub struct Built<'p> {
    pub(crate) plan: &'p Plan<'p>,
    pub(crate) path: PathBuf,
    pub(crate) layout: Layout,
    pub(crate) sizes: Sizes,
}

/// Opens a device that nobody else uses, for [`Built::copy_to`].
///
/// # Errors
/// [`ImageError::InUse`] when something on it is mounted.
pub fn claim(path: &Path) -> Result<FileDisk> {
    FileDisk::claim(path).map_err(|error| match error.source.kind() {
        std::io::ErrorKind::ResourceBusy => ImageError::InUse { path: path.display().to_string() },
        _ => error.into(),
    })
}

/// How much is copied at once.
const CHUNK: usize = 1 << 20;

impl Built<'_> {
    /// The file; it may be renamed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long everything is.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The map of blocks that mean something, for bmaptool.
    pub fn bmap(&self) -> Result<String> {
        let slot = self.plan.slot(&self.layout)?;
        bmap::make(&self.path, &self.layout, slot.len())
    }

    /// Writes the image to a device that nobody else uses, and that is as long as was said.
    /// `progress` is told the bytes so far. On return it is durable.
    ///
    /// The tables come last: a device that is half written has no partitions.
    pub fn copy_to(&self, device: FileDisk, progress: &mut dyn FnMut(u64)) -> Result<()> {
        SlotDisk::wipe(&device, &self.layout)?;
        let image = File::open(&self.path).on("open", &self.path)?;
        let mut written = 0;
        for partition in self.layout.partitions() {
            device.clear(partition.range)?;
            let is_slot = Slot::ALL.iter().any(|slot| self.layout.slot(*slot) == partition);
            if !is_slot {
                copy(&image, &self.path, &device, partition.range, &mut |bytes| {
                    written += bytes;
                    progress(written);
                })?;
            }
        }
        device.flush()?;
        self.finish(device)
    }

    /// Writes the tables, and the boot slot, which becomes active with the last write.
    pub(crate) fn finish(&self, disk: FileDisk) -> Result<()> {
        let slot = self.plan.slot(&self.layout)?;
        let disk = SlotDisk::install(Arc::new(disk), self.layout.clone(), Slot::Two)?;
        disk.into_inactive().write(&slot, &mut |_| {})?.switch()?;
        Ok(())
    }
}

/// Copies what is no hole.
fn copy(
    image: &File,
    path: &Path,
    device: &FileDisk,
    range: DiskRange,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    use std::os::unix::fs::FileExt;
    let mut buffer = vec![0; CHUNK];
    let mut position = range.start();
    while position < range.end() {
        let start = match rustix::fs::seek(image, SeekFrom::Data(position)) {
            Err(Errno::NXIO) => return Ok(()),
            start => start.on("find data in", path)?.min(range.end()),
        };
        let end = rustix::fs::seek(image, SeekFrom::Hole(start)).on("find holes in", path)?;
        position = start;
        while position < end.min(range.end()) {
            let take = (end.min(range.end()) - position).min(CHUNK as u64) as usize;
            image.read_exact_at(&mut buffer[..take], position).on("read", path)?;
            device.write_at(&buffer[..take], position)?;
            position += take as u64;
            progress(take as u64);
        }
    }
    Ok(())
}
