//! What the kernel says of an inode, in types that do not depend on the machine.

use std::os::fd::AsFd;

use rustix::fs::{self, FileType, Stat};
use upmass_format::tree::{Device, Meta, Mtime};

/// An inode at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inode {
    pub(crate) key: InodeKey,
    pub(crate) file_type: FileType,
    pub(crate) size: u64,
    pub(crate) mtime: Mtime,
    pub(crate) ctime: Mtime,
    pub(crate) links: u64,
    pub(crate) is_sparse: bool,
    mode: u16,
    uid: u32,
    gid: u32,
    device: u64,
}

/// Which inode it is, as long as the system runs and the file system stays mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InodeKey {
    pub(crate) device: u64,
    pub(crate) number: u64,
}

impl Inode {
    /// Asks for the inode of an open file.
    pub(crate) fn of(file: impl AsFd) -> rustix::io::Result<Self> {
        fs::fstat(file).map(|stat| Self::from(&stat))
    }

    /// Owner, permissions and modification time.
    pub(crate) fn meta(&self) -> Meta {
        Meta {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: Some(self.mtime),
            xattrs: Vec::new(),
        }
    }

    /// The number of the device that a device node stands for.
    pub(crate) fn device(&self) -> Device {
        Device { major: fs::major(self.device), minor: fs::minor(self.device) }
    }

    /// Whether the content may differ between two looks at the same name.
    pub(crate) fn has_same_content_as(&self, other: &Self) -> bool {
        let of = |inode: &Self| (inode.key, inode.file_type, inode.size, inode.mtime, inode.ctime);
        of(self) == of(other)
    }
}

#[allow(clippy::unnecessary_cast, reason = "the types of these fields depend on the machine")]
impl From<&Stat> for Inode {
    fn from(stat: &Stat) -> Self {
        let time = |seconds: i64, nanoseconds: u64| Mtime {
            seconds,
            nanoseconds: nanoseconds.min(999_999_999) as u32,
        };
        let size = stat.st_size as u64;
        Self {
            key: InodeKey { device: stat.st_dev as u64, number: stat.st_ino as u64 },
            file_type: FileType::from_raw_mode(stat.st_mode),
            size,
            mtime: time(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            ctime: time(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
            links: stat.st_nlink as u64,
            is_sparse: (stat.st_blocks as u64).saturating_mul(512) < size,
            mode: (stat.st_mode & 0o7777) as u16,
            uid: stat.st_uid,
            gid: stat.st_gid,
            device: stat.st_rdev as u64,
        }
    }
}
