//! A part of a disk that is a disk of its own.

use std::io;

use super::{Disk, DiskRange, SharedDisk};
use crate::{DiskError, Result};

/// A range of a disk, as a disk that ends where the range ends: whoever has only this cannot
/// read or write anything else.
#[derive(Clone)]
pub struct Region {
    disk: SharedDisk,
    range: DiskRange,
}

impl Region {
    /// A range of a disk. `None` when it is not all on the disk.
    pub fn new(disk: SharedDisk, range: DiskRange) -> Option<Self> {
        (range.end() <= disk.len()).then_some(Self { disk, range })
    }

    /// Where it is on the disk.
    pub fn range(&self) -> DiskRange {
        self.range
    }

    fn part(&self, action: &'static str, offset: u64, len: usize) -> Result<DiskRange> {
        self.range.part(offset, len as u64).ok_or_else(|| DiskError {
            action,
            path: format!("{len} bytes at {offset} of a range of {} bytes", self.range.len()),
            source: io::ErrorKind::UnexpectedEof.into(),
        })
    }
}

impl Disk for Region {
    fn len(&self) -> u64 {
        self.range.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let part = self.part("read", offset, buffer.len())?;
        self.disk.read_at(buffer, part.start())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let part = self.part("write", offset, bytes.len())?;
        self.disk.write_at(bytes, part.start())
    }

    fn flush(&self) -> Result<()> {
        self.disk.flush()
    }

    fn forget(&self, range: DiskRange) {
        if let Some(part) = self.range.part(range.start(), range.len()) {
            self.disk.forget(part);
        }
    }
}
