//! Opening files below a directory without ever leaving it.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};
use upmass_format::TreePath;

use crate::stat::Inode;

/// A directory of the running system. Symlinks below it are never followed, also not those
/// that somebody puts there meanwhile.
pub(crate) struct Beneath {
    root: OwnedFd,
    path: PathBuf,
}

/// Flags with which a directory is opened to be listed.
pub(crate) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);
/// Flags with which a file is opened to be read; a pipe in its place would not block.
pub(crate) const FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
/// Flags with which anything is opened to be looked at; devices are not touched.
pub(crate) const LOOK: OFlags = OFlags::PATH;

impl Beneath {
    /// Opens the directory. Its own path may be a symlink.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let root = fs::open(path, DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { root, path: path.to_owned() })
    }

    /// Opens what is at a path below the directory, where no part may be a symlink but the last
    /// one with [`LOOK`].
    pub(crate) fn open_at(&self, path: &TreePath, flags: OFlags) -> Result<OwnedFd> {
        let name = if path.is_root() { b"." } else { path.as_bytes() };
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match fs::openat2(&self.root, OsStr::from_bytes(name), flags, Mode::empty(), resolve) {
            // Older than Linux 5.6, or a container that hides the call.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => self.open_by_steps(path, flags),
            other => other,
        }
    }

    /// The directory itself.
    pub(crate) fn inode(&self) -> Result<Inode> {
        Inode::of(&self.root)
    }

    /// The path of an entry, for people.
    pub(crate) fn display(&self, path: &TreePath) -> String {
        if path.is_root() {
            return self.path.display().to_string();
        }
        let root = self.path.as_os_str().as_bytes();
        let slash = if root.ends_with(b"/") { "" } else { "/" };
        format!("{}{slash}{path}", self.path.display())
    }

    fn open_by_steps(&self, path: &TreePath, flags: OFlags) -> Result<OwnedFd> {
        let Some((parent, name)) = path.split_last() else {
            return fs::openat(&self.root, ".", flags, Mode::empty());
        };
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut here: Option<OwnedFd> = None;
        for name in parent.names() {
            let from = here.as_ref().map_or(self.root.as_fd(), OwnedFd::as_fd);
            here = Some(fs::openat(from, OsStr::from_bytes(name), step, Mode::empty())?);
        }
        let from: BorrowedFd<'_> = here.as_ref().map_or(self.root.as_fd(), OwnedFd::as_fd);
        fs::openat(from, OsStr::from_bytes(name.as_bytes()), flags, Mode::empty())
    }
}
