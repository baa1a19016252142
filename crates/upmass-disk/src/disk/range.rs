//! Ranges of bytes on a disk.

/// Length of a sector in bytes: what a disk writes whole, and the unit of addresses in a partition
/// table. Disks whose logical sectors are longer are refused.
pub const SECTOR_LEN: u64 = 512;

/// A range of bytes; its end does not overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DiskRange {
    start: u64,
    len: u64,
}

impl DiskRange {
    /// `len` bytes from `start` on. `None` when the end does not fit into 64 bits.
    pub fn new(start: u64, len: u64) -> Option<Self> {
        start.checked_add(len).map(|_| Self { start, len })
    }

    /// Sectors `first` to `last`, both included. `None` when they are not ascending, or the end
    /// in bytes does not fit into 64 bits.
    pub fn sectors(first: u64, last: u64) -> Option<Self> {
        let count = last.checked_sub(first)?.checked_add(1)?;
        Self::new(first.checked_mul(SECTOR_LEN)?, count.checked_mul(SECTOR_LEN)?)
    }

    /// First byte.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// Length in bytes.
    pub const fn len(self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The byte behind the last one.
    pub const fn end(self) -> u64 {
        self.start + self.len
    }

    /// Whether both have a byte in common.
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end() && other.start < self.end() && self.len > 0 && other.len > 0
    }

    /// The part `len` bytes long that begins `offset` bytes behind the start. `None` when it is
    /// not all inside.
    pub fn part(self, offset: u64, len: u64) -> Option<Self> {
        let end = offset.checked_add(len)?;
        (end <= self.len).then(|| Self { start: self.start + offset, len })
    }
}
