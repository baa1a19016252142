//! Making one entry that is no directory.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, AtFlags, Dev, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use upmass_format::TreePath;
use upmass_format::tree::{Device, Entry, Node};

use crate::attributes::{Attributes, Named, permitted};
use crate::content::{Contents, Target};
use crate::descent::open_dir_at;
use crate::error::io_error;
use crate::{CheckoutError, Owners, Report, Result, Sharing};

/// Where an entry goes.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The directory that gets it.
    pub(crate) directory: BorrowedFd<'a>,
    /// The root of the tree, from which hardlinks count.
    pub(crate) root: BorrowedFd<'a>,
    /// Asks for its path, for people.
    pub(crate) path: &'a dyn Fn() -> String,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Made,
    /// Counted in [`LeftOut`](crate::LeftOut).
    LeftOut,
    /// The name is there already.
    Taken,
    /// A hardlink that does not lead to a file.
    BrokenHardlink,
}

/// Makes entries, one after the other.
pub(crate) struct Leaves<'a> {
    pub(crate) sharing: Sharing,
    pub(crate) contents: Contents<'a>,
    pub(crate) attributes: &'a mut Attributes,
    pub(crate) report: &'a mut Report,
}

impl Leaves<'_> {
    /// Makes an entry with content and attributes. The name must be free: nothing that is there
    /// is written to, and no symlink is followed.
    pub(crate) fn make(&mut self, entry: &Entry, place: Place<'_>) -> Result<Outcome> {
        let name = OsStr::from_bytes(entry.name.as_bytes());
        match &entry.node {
            Node::Directory => unreachable!("directories are entered, not made here"),
            Node::Object { .. } | Node::Inline(_) => self.make_file(entry, name, place),
            Node::Hardlink(target) => self.make_hardlink(target, name, place),
            Node::Symlink(target) => {
                let target = OsStr::from_bytes(target);
                let made = fs::symlinkat(target, place.directory, name);
                self.finish(made, "make the symlink", entry, name, place)
            }
            Node::Fifo => self.make_node(FileType::Fifo, 0, entry, name, place),
            Node::Socket => self.make_node(FileType::Socket, 0, entry, name, place),
            Node::CharDevice(device) => {
                self.make_device(FileType::CharacterDevice, *device, entry, name, place)
            }
            Node::BlockDevice(device) => {
                self.make_device(FileType::BlockDevice, *device, entry, name, place)
            }
        }
    }

    fn make_file(&mut self, entry: &Entry, name: &OsStr, place: Place<'_>) -> Result<Outcome> {
        let path = place.path;
        if self.sharing == Sharing::Links
            && let Some(outcome) = self.link_object(entry, name, place)?
        {
            return Ok(outcome);
        }
        let file = match create(place.directory, name) {
            Ok(file) => file,
            Err(Errno::EXIST) => return Ok(Outcome::Taken),
            Err(errno) => return Err(io_error("create", path(), errno)),
        };
        let fd = file.as_fd();
        match &entry.node {
            Node::Object { size, id } => {
                let (size, id) = (*size, *id);
                let target = Target { file: fd, size, id, path };
                self.contents.fill(&target, self.report)?;
            }
            Node::Inline(content) => {
                (self.contents).fill_inline(fd, content, path, self.report)?;
            }
            _ => unreachable!("only called for regular files"),
        }
        self.attributes.set_file(fd, &entry.meta, path)?;
        Ok(Outcome::Made)
    }

    /// The directory of the target is walked to like any other: `linkat` would follow symlinks
    /// on the way there.
    fn make_hardlink(
        &mut self,
        target: &TreePath,
        name: &OsStr,
        place: Place<'_>,
    ) -> Result<Outcome> {
        let action = "make the hardlink";
        let (parent, target_name) = target.split_last().expect("a hardlink is not to the root");
        let target_name = OsStr::from_bytes(target_name.as_bytes());
        let parent = match open_dir_at(place.root, &parent) {
            Ok(parent) => parent,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Outcome::BrokenHardlink),
            Err(errno) => return Err(io_error(action, (place.path)(), errno)),
        };
        match fs::linkat(&parent, target_name, place.directory, name, AtFlags::empty()) {
            Ok(()) => Ok(Outcome::Made),
            Err(Errno::EXIST) => Ok(Outcome::Taken),
            // Only devices are left out, so it was one, or the tree is damaged: which of them
            // shows when owners are kept.
            Err(Errno::NOENT) if self.attributes.left_out.devices > 0 => {
                self.attributes.left_out.devices += 1;
                Ok(Outcome::LeftOut)
            }
            Err(Errno::NOENT) => Ok(Outcome::BrokenHardlink),
            Err(errno) => {
                let stat = fs::statat(&parent, target_name, AtFlags::SYMLINK_NOFOLLOW);
                let is_directory = |mode| FileType::from_raw_mode(mode) == FileType::Directory;
                match stat {
                    Ok(stat) if is_directory(stat.st_mode) => Ok(Outcome::BrokenHardlink),
                    _ => Err(io_error(action, (place.path)(), errno)),
                }
            }
        }
    }

    fn make_device(
        &mut self,
        file_type: FileType,
        device: Device,
        entry: &Entry,
        name: &OsStr,
        place: Place<'_>,
    ) -> Result<Outcome> {
        // The kernel would make another device of a larger number.
        const MAX_MAJOR: u32 = (1 << 12) - 1;
        const MAX_MINOR: u32 = (1 << 20) - 1;
        if device.major > MAX_MAJOR || device.minor > MAX_MINOR {
            let path = (place.path)();
            return Err(CheckoutError::BadDevice { path, device });
        }
        if self.attributes.owners == Owners::Current {
            self.attributes.left_out.devices += 1;
            return Ok(Outcome::LeftOut);
        }
        let number = fs::makedev(device.major, device.minor);
        self.make_node(file_type, number, entry, name, place)
    }

    fn make_node(
        &mut self,
        file_type: FileType,
        device: Dev,
        entry: &Entry,
        name: &OsStr,
        place: Place<'_>,
    ) -> Result<Outcome> {
        let made = fs::mknodat(place.directory, name, file_type, PRIVATE_FILE, device);
        self.finish(made, "make the special file", entry, name, place)
    }

    /// Sets the attributes of what was made without being opened.
    fn finish(
        &mut self,
        made: rustix::io::Result<()>,
        action: &'static str,
        entry: &Entry,
        name: &OsStr,
        place: Place<'_>,
    ) -> Result<Outcome> {
        if made == Err(Errno::EXIST) {
            return Ok(Outcome::Taken);
        }
        permitted(made, action, place.path)?;
        let named = Named {
            directory: place.directory,
            name,
            is_symlink: matches!(entry.node, Node::Symlink(_)),
        };
        self.attributes.set_named(named, &entry.meta, place.path)?;
        Ok(Outcome::Made)
    }
}

/// What a file has until it gets its own mode.
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);

fn create(directory: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| fs::openat(directory, name, flags, PRIVATE_FILE))
}
