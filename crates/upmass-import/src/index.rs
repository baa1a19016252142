//! What the last import of a directory learned, so that unchanged files are not read again.
//!
//! The index is a cache beside the store's own files and nothing depends on it: one that is
//! lost, cut short or damaged only costs time. An id from it is used only while the store has
//! the object, and only where nothing could have changed the file unseen:
//!
//! - The kernel sets ctime, from its own clock, at every change of a file, and no program can
//!   set it back. So size, mtime and ctime of an inode stand for its content, once the clock
//!   has moved on since the last change. A file that changed less than [`MARGIN_SECONDS`]
//!   before an import began is not entered, since one more change could leave the same time
//!   (git calls such entries racy).
//! - That holds for the file systems that [`filesystem`] knows, and only for the same one: an
//!   image that was built again and mounted in the place of the last one may have equal inodes,
//!   lengths and times.
//!
//! One way around it stays: a program that has a page of a file mapped, and writes to it again
//! before the kernel has cleaned that page, changes the file without changing its times. A file
//! that is being written should not be imported anyway.

mod file;
mod filesystem;

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};
use upmass_format::ObjectId;
use upmass_format::tree::Mtime;
use upmass_store::Store;

pub(crate) use self::filesystem::{Filesystem, Filesystems};
use crate::IndexUse;
use crate::stat::Inode;
use crate::warnings::Warnings;

/// By how much a file must be older than the import, in seconds. The kernel stamps files with a
/// clock that ticks every 10 ms at the slowest, and old file systems keep whole seconds.
const MARGIN_SECONDS: i64 = 2;

/// Where the indexes are in a store.
const DIRECTORY: &str = "index";

/// The index of one source directory.
pub(crate) struct Index {
    path: String,
    known: Known,
    /// The content of the file that the entries were read from.
    stored: Vec<u8>,
    /// Only files that are older than this are entered.
    horizon: Mtime,
}

/// What is known, by place.
type Known = HashMap<Place, State>;

/// A place that a file can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place {
    filesystem: Filesystem,
    inode: u64,
}

/// What stands for the content of a file, and the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    size: u64,
    mtime: Mtime,
    ctime: Mtime,
    id: ObjectId,
}

/// What was learned of one file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Learned(Place, State);

impl Index {
    /// Opens the index of a source, whose canonical path is given; an empty one when there is
    /// none that may be used. Comes before anything of the source is looked at.
    pub(crate) fn open(
        store: &Store,
        source: &Path,
        wanted: IndexUse,
        warnings: &mut Warnings,
    ) -> Self {
        let mut index = Self::empty(source.as_os_str().as_bytes());
        if wanted == IndexUse::Believe {
            match file::read(store.volume().as_ref(), &index.path) {
                Ok(Some((known, stored))) => (index.known, index.stored) = (known, stored),
                Ok(None) => {}
                Err(why) => warnings.add(NOT_READ, why),
            }
        }
        index
    }

    fn empty(source: &[u8]) -> Self {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        let horizon = Mtime {
            seconds: now.tv_sec.saturating_sub(MARGIN_SECONDS),
            nanoseconds: now.tv_nsec as u32,
        };
        let name: String =
            Sha256::digest(source)[..16].iter().map(|b| format!("{b:02x}")).collect();
        let path = format!("{DIRECTORY}/{name}");
        Self { path, known: Known::new(), stored: Vec::new(), horizon }
    }

    /// The content of a file, when it is certain to be what it was.
    pub(crate) fn look_up(
        &self,
        filesystem: Option<Filesystem>,
        inode: &Inode,
    ) -> Option<ObjectId> {
        let known = self.known.get(&place(filesystem?, inode))?;
        (*known == state(inode, known.id)).then_some(known.id)
    }

    /// What may be entered of a file that was imported now; `None` when it is too young, or its
    /// file system is not one to rely on.
    pub(crate) fn learn(
        &self,
        filesystem: Option<Filesystem>,
        inode: &Inode,
        id: ObjectId,
    ) -> Option<Learned> {
        let learned = Learned(place(filesystem?, inode), state(inode, id));
        (inode.ctime < self.horizon && inode.mtime < self.horizon).then_some(learned)
    }

    /// Replaces the index in the store by what was learned now, where that differs. It says
    /// nothing that a missing object could make wrong, so it may come before or after these.
    pub(crate) fn save(self, store: &Store, mut learned: Vec<Learned>, warnings: &mut Warnings) {
        learned.sort_by_key(|Learned(place, _)| *place);
        learned.dedup_by_key(|Learned(place, _)| *place);
        let bytes = file::encode(&learned);
        if bytes != self.stored
            && let Err(error) = file::replace(store.volume().as_ref(), &self.path, &bytes)
        {
            warnings.add(NOT_SAVED, error);
        }
    }
}

fn place(filesystem: Filesystem, inode: &Inode) -> Place {
    Place { filesystem, inode: inode.key.number }
}

fn state(inode: &Inode, id: ObjectId) -> State {
    State { size: inode.size, mtime: inode.mtime, ctime: inode.ctime, id }
}

const NOT_READ: &str = "the index of the last import cannot be read and is made anew";
const NOT_SAVED: &str = "the index could not be written, so the next import reads all files again";
