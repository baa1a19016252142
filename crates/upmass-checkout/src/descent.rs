//! Walking down and up a directory tree without following symlinks, and with few open files.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, Mode, OFlags};
use rustix::io::{Result, retry_on_intr};
use upmass_format::TreePath;

/// How many directories on the way down stay open.
const MAX_OPEN: usize = 64;

/// A place in a directory tree. Each step is one name in an open directory, and the name is not
/// followed if it is a symlink; so the way down never leaves the root, and may be longer than
/// PATH_MAX.
///
/// The deepest directories stay open. A tree deeper than that is walked down again from the
/// root once in [`MAX_OPEN`] steps up. `..` is not used: it would lead elsewhere if somebody
/// moved a directory.
pub(crate) struct Descent {
    root: OwnedFd,
    deepest: VecDeque<OwnedFd>,
    depth: usize,
}

impl Descent {
    pub(crate) fn new(root: OwnedFd) -> Self {
        Self { root, deepest: VecDeque::new(), depth: 0 }
    }

    /// Where the walk began.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The directory that the walk is in.
    pub(crate) fn here(&self) -> BorrowedFd<'_> {
        self.deepest.back().unwrap_or(&self.root).as_fd()
    }

    /// Goes into a directory.
    pub(crate) fn enter(&mut self, name: &[u8]) -> Result<()> {
        let directory = open_dir(self.here(), name)?;
        self.push(directory);
        Ok(())
    }

    /// Goes back to the directory above, whose path from the root is `parent()`. Does nothing
    /// in the root.
    pub(crate) fn leave(&mut self, parent: impl FnOnce() -> TreePath) -> Result<()> {
        if self.depth == 0 {
            return Ok(());
        }
        self.deepest.pop_back();
        self.depth -= 1;
        if self.depth > 0 && self.deepest.is_empty() {
            self.depth = 0;
            for name in parent().names() {
                self.enter(name)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, directory: OwnedFd) {
        if self.deepest.len() == MAX_OPEN {
            self.deepest.pop_front();
        }
        self.deepest.push_back(directory);
        self.depth += 1;
    }
}

/// Opens a directory by its name in another; a symlink is an error.
pub(crate) fn open_dir(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| fs::openat(parent, OsStr::from_bytes(name), flags, Mode::empty()))
}

/// Opens a directory by its path from another; a symlink on the way is an error.
pub(crate) fn open_dir_at(root: BorrowedFd<'_>, path: &TreePath) -> Result<OwnedFd> {
    let mut here = open_dir(root, b".")?;
    for name in path.names() {
        here = open_dir(here.as_fd(), name)?;
    }
    Ok(here)
}
