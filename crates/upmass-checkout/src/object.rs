//! An object that is read, and what is known of its holes.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, FileType, Mode, OFlags, SeekFrom};
use rustix::io::{Errno, Result};
use upmass_disk::ReadAt;
use upmass_format::ObjectId;
use upmass_store::{Store, StoreError};

/// An object of a store.
pub(crate) enum Object {
    /// A file of the running system, whose blocks can be shared and whose holes can be found.
    File {
        file: OwnedFd,
        len: u64,
        /// Whether it may have holes.
        is_sparse: bool,
    },
    /// Something that can only be read.
    Other(Box<dyn ReadAt>),
}

impl Object {
    /// Opens an object.
    pub(crate) fn open(store: &Store, id: ObjectId) -> std::result::Result<Self, StoreError> {
        // A store that was moved since it was opened has other paths now, but can be read.
        match Self::open_file(store, id) {
            Some(object) => Ok(object),
            None => store.open_object(id).map(Self::Other),
        }
    }

    #[allow(clippy::unnecessary_cast, reason = "the types of these fields depend on the machine")]
    fn open_file(store: &Store, id: ObjectId) -> Option<Self> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::open(store.object_path(id)?, flags, Mode::empty()).ok()?;
        let stat = fs::fstat(&file).ok()?;
        let len = stat.st_size as u64;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        is_file.then_some(Self::File {
            file,
            len,
            is_sparse: (stat.st_blocks as u64).saturating_mul(512) < len,
        })
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Object::File { len, .. } => *len,
            Object::Other(object) => object.len(),
        }
    }

    /// The file, where it is one of the running system.
    pub(crate) fn as_file(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Object::File { file, .. } => Some(file.as_fd()),
            Object::Other(_) => None,
        }
    }

    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end.
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        match self {
            Object::File { file, .. } => {
                Ok(rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *buffer, offset))?)
            }
            Object::Other(object) => object.read_at(buffer, offset),
        }
    }

    /// The next range at or behind `position` that is no hole; at the end it is empty.
    pub(crate) fn next_data(&self, position: u64) -> Result<Range<u64>> {
        let Object::File { file, len, is_sparse: true } = self else {
            return Ok(position..self.len());
        };
        let len = *len;
        let start = match fs::seek(file, SeekFrom::Data(position)) {
            Ok(start) => start.clamp(position, len),
            Err(Errno::NXIO) => return Ok(len..len),
            // The file system knows no holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(position..len),
            Err(errno) => return Err(errno),
        };
        if start == len {
            return Ok(len..len);
        }
        let end = fs::seek(file, SeekFrom::Hole(start))?;
        // At least one byte, so that each call leads on.
        Ok(start..end.clamp(start + 1, len))
    }
}
