//! What is looked at: a tree of files that is only read.

use crate::Result;

/// A system's files, wherever they are. Paths are absolute in the system: `/usr/bin/env`.
pub trait Files: Sync {
    /// Everything but the root directory itself, in any order. Each path once.
    fn entries(&self) -> Result<Vec<Entry>>;

    /// The first `limit` bytes of a regular file. No symlink is followed on the way.
    fn read(&self, path: &[u8], limit: u64) -> Result<Vec<u8>>;
}

/// One name in the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Absolute, without `.`, `..` and a slash at its end.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u16,
    /// The same for all names of one inode; `None` where it has one name.
    pub inode: Option<u64>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Length in bytes.
        size: u64,
    },
    /// A symlink and its target.
    Symlink(Vec<u8>),
    /// A device, pipe or socket.
    Other,
}

impl Entry {
    /// The last name of the path.
    pub fn name(&self) -> &[u8] {
        name_of(&self.path)
    }

    /// Whether it is a regular file that somebody may execute.
    pub fn is_program(&self) -> bool {
        matches!(self.kind, Kind::File { .. }) && self.mode & 0o111 != 0
    }

    /// The length of a regular file; 0 for all else.
    pub fn size(&self) -> u64 {
        match self.kind {
            Kind::File { size } => size,
            _ => 0,
        }
    }
}

/// The last name of a path.
pub(crate) fn name_of(path: &[u8]) -> &[u8] {
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    &path[start..]
}

/// All but the last name of a path; empty for what is in the root.
pub(crate) fn parent_of(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    &path[..end]
}
