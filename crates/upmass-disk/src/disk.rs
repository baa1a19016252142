//! What we ask of a disk, and what we are promised.

mod file;
mod range;
mod region;
mod sim;

pub use file::FileDisk;
pub use range::{DiskRange, SECTOR_LEN};
pub use region::Region;
pub use sim::{Flushes, SimDisk};

use crate::Result;

/// A disk or an image of one: bytes that are read and written at any place.
///
/// What a power cut leaves, for every implementation: of what was written since the last
/// [`Disk::flush`], each sector of 512 bytes is as before or as after any of these writes,
/// independently of the others; or it is torn, or cannot be read. What was written before a
/// `flush` that returned is kept.
pub trait Disk: Send + Sync {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills the buffer.
    ///
    /// # Errors
    /// Of kind [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof) behind the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()>;

    /// Writes all bytes, which are not durable before the next [`Self::flush`].
    ///
    /// # Errors
    /// Behind the end, before anything is written; and when the disk fails, with any part
    /// written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()>;

    /// Makes all that was written durable.
    fn flush(&self) -> Result<()>;

    /// Forgets what the system keeps of a range in memory, so that the next read asks the
    /// medium. Best effort, for reading back; only what was flushed is forgotten.
    fn forget(&self, _range: DiskRange) {}
}

/// A cheap handle to a disk.
pub type SharedDisk = std::sync::Arc<dyn Disk>;
