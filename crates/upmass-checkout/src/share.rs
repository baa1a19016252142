//! Files that are links to the objects of the store.

use std::ffi::OsStr;
use std::os::fd::AsFd;

use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use upmass_format::tree::{Entry, Node};

use crate::leaf::{Leaves, Outcome, Place};
use crate::{Owners, Result};

impl Leaves<'_> {
    /// Makes a file as a link to its object. `None` where it must be a copy: its inode belongs to
    /// files with other attributes, or cannot have another name, or the object is not what it
    /// should be, which copying finds out too and says.
    ///
    /// An inode of which the store alone has a name gets the attributes of the file (POWER-LOSS.md,
    /// row "share"): they mean nothing to the store, so half of them is as good as none.
    pub(crate) fn link_object(
        &mut self,
        entry: &Entry,
        name: &OsStr,
        place: Place<'_>,
    ) -> Result<Option<Outcome>> {
        let Node::Object { size, id } = entry.node else { return Ok(None) };
        let Some(path) = self.contents.store().object_path(id) else { return Ok(None) };
        if self.attributes.owners != Owners::Keep {
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = fs::open(&path, flags, Mode::empty()) else { return Ok(None) };
        let Ok(stat) = fs::fstat(&file) else { return Ok(None) };
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !is_file || stat.st_size as u64 != size {
            return Ok(None);
        }
        if stat.st_nlink == 1 {
            self.attributes.reset_file(file.as_fd(), &entry.meta, place.path)?;
        } else if !self.attributes.are_of(file.as_fd(), &stat, &entry.meta) {
            return Ok(None);
        }
        match fs::linkat(CWD, &path, place.directory, name, AtFlags::empty()) {
            Ok(()) => {
                self.report.linked_bytes += size;
                self.contents.advance(size, self.report);
                Ok(Some(Outcome::Made))
            }
            Err(Errno::EXIST) => Ok(Some(Outcome::Taken)),
            Err(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::NOENT) => Ok(None),
            Err(errno) => Err(crate::error::io_error("link", (place.path)(), errno)),
        }
    }
}
