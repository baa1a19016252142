//! What the store asks of a disk, and what it is promised.

use std::io;

/// The result of a disk operation.
pub type Result<T> = std::result::Result<T, DiskError>;

/// A disk operation that failed, and where.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}: {source}")]
pub struct DiskError {
    /// What was tried ("create", "sync", …).
    pub action: &'static str,
    /// The path, for people.
    pub path: String,
    /// Why it failed.
    pub source: io::Error,
}

impl DiskError {
    /// Whether the disk is full, so that a second run may succeed after room was made.
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether the file does not exist.
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> Self {
        io::Error::new(error.source.kind(), error.to_string())
    }
}

/// A directory of files, as the store uses it.
///
/// Paths are relative, made of names joined by `/`, and chosen by us: never taken from input.
///
/// What a power cut leaves, for every implementation:
/// - content that was not synced ([`WriteFile::sync`], [`Volume::sync_all`]) may be missing,
///   partly there, or zeros;
/// - a name that was made, moved or removed is as before or as after, until its directory was
///   synced ([`Volume::sync_dir`], [`Volume::sync_all`]); then it is as after;
/// - changes of names that were not synced may survive in any combination.
pub trait Volume: Send + Sync {
    /// Makes a new empty file; an error when the name exists.
    fn create(&self, path: &str) -> Result<Box<dyn WriteFile>>;

    /// Opens a file for reading. Refuses symlinks.
    fn open(&self, path: &str) -> Result<Box<dyn ReadAt>>;

    /// Opens a file for reading when there is one.
    fn open_if_exists(&self, path: &str) -> Result<Option<Box<dyn ReadAt>>> {
        match self.open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The length of a file in bytes; `None` when there is none.
    fn file_len(&self, path: &str) -> Result<Option<u64>>;

    /// Moves a file to a name that nobody has. `false`, and the file stays, when it is taken.
    fn publish(&self, from: &str, to: &str) -> Result<bool>;

    /// Moves a file to a name, in place of what had it.
    fn replace(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a file; no error when there is none.
    fn remove(&self, path: &str) -> Result<()>;

    /// Removes an empty directory; no error when there is none.
    fn remove_dir(&self, path: &str) -> Result<()>;

    /// Makes a directory; `false` when it exists.
    fn create_dir(&self, path: &str) -> Result<bool>;

    /// The entries of a directory, ascending by name; none when it does not exist. Names that
    /// are not UTF-8 are left out: they are not ours.
    fn list(&self, path: &str) -> Result<Vec<Entry>>;

    /// Makes all contents and names so far durable.
    fn sync_all(&self) -> Result<()>;

    /// Makes all changes of names in one directory durable. `""` is the volume's own directory.
    fn sync_dir(&self, path: &str) -> Result<()>;

    /// Bytes that may still be written.
    fn free_space(&self) -> Result<u64>;

    /// Takes a lock on a file, made when missing. Waits when `wait` is set; else `None` when
    /// another has it. The lock is given back when the value is dropped, or the process ends.
    fn lock(&self, path: &str, mode: LockMode, wait: bool) -> Result<Option<Lock>>;

    /// The real path of a file, where the volume is a directory of the system.
    fn real_path(&self, path: &str) -> Option<std::path::PathBuf>;
}

/// A new file while it is written.
pub trait WriteFile: Send {
    /// Appends bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Appends zeros, as a hole where the file system can.
    fn write_zeros(&mut self, len: u64) -> Result<()>;

    /// Makes the content durable; not the name.
    fn sync(&mut self) -> Result<()>;
}

/// A file that is read at any position.
pub trait ReadAt: Send + Sync {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 at and behind the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills the buffer, or fails with [`io::ErrorKind::UnexpectedEof`].
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    buffer = &mut buffer[n..];
                    offset += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name in its directory.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// The kinds of entries that the store tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// By many at once.
    Shared,
    /// By one alone.
    Exclusive,
}

/// A lock that is held until it is dropped.
pub struct Lock(#[allow(dead_code, reason = "held for its Drop")] Box<dyn Send + Sync>);

impl Lock {
    /// A lock that is given back when `guard` is dropped.
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        Self(Box::new(guard))
    }
}
