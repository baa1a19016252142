//! Owner, mode, extended attributes and modification time of what was made.
//!
//! Their order is fixed: a change of owner takes away setuid, setgid and capabilities, so it
//! comes first. An access list that is set changes the mode, so the mode comes after it. The
//! time is last.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fs::{self, AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;
use upmass_format::tree::{Meta, NORMALISED_MTIME};

use crate::error::{Context, io_error};
use crate::{CheckoutError, LeftOut, Options, Owners, Result, Times};

/// Asks for the path of an entry, for people.
type PathOf<'a> = &'a dyn Fn() -> String;

/// Sets attributes, and counts what it leaves out.
pub(crate) struct Attributes {
    pub(crate) owners: Owners,
    times: Times,
    pub(crate) left_out: LeftOut,
}

/// An entry that is no directory and cannot be opened, or should not be.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) directory: BorrowedFd<'a>,
    pub(crate) name: &'a OsStr,
    /// A symlink has no mode.
    pub(crate) is_symlink: bool,
}

impl Attributes {
    pub(crate) fn new(options: &Options) -> Self {
        let Options { owners, times, .. } = *options;
        Self { owners, times, left_out: LeftOut::default() }
    }

    /// Sets the attributes of a regular file, once it has its content.
    pub(crate) fn set_file(
        &mut self,
        file: BorrowedFd<'_>,
        meta: &Meta,
        path: PathOf<'_>,
    ) -> Result<()> {
        if let Some((uid, gid)) = self.owner(meta, path)? {
            permitted(fs::fchown(file, uid, gid), "set the owner of", path)?;
        }
        self.set_xattrs(meta, path, |name, value| {
            fs::fsetxattr(file, name, value, XattrFlags::empty())
        })?;
        fs::fchmod(file, self.mode(meta.mode)).on("set the mode of", path)?;
        fs::futimens(file, &self.times(meta)).on("set the time of", path)
    }

    /// Sets the attributes of an entry that is neither a regular file nor a directory.
    ///
    /// It has been made by us in a directory that only we may enter, so that its name still
    /// leads to it: the mode cannot be set in a way that would not follow a symlink.
    pub(crate) fn set_named(
        &mut self,
        entry: Named<'_>,
        meta: &Meta,
        path: PathOf<'_>,
    ) -> Result<()> {
        let Named { directory, name, is_symlink } = entry;
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        if let Some((uid, gid)) = self.owner(meta, path)? {
            let owned = fs::chownat(directory, name, uid, gid, nofollow);
            permitted(owned, "set the owner of", path)?;
        }
        if !meta.xattrs.is_empty() {
            let through_proc = proc_path(directory, name);
            self.set_xattrs(meta, path, |name, value| {
                fs::lsetxattr(&through_proc, name, value, XattrFlags::empty())
            })?;
        }
        if !is_symlink {
            let mode = self.mode(meta.mode);
            fs::chmodat(directory, name, mode, AtFlags::empty()).on("set the mode of", path)?;
        }
        fs::utimensat(directory, name, &self.times(meta), nofollow).on("set the time of", path)
    }

    /// Sets all attributes of a directory but its mode, once it has all its entries. What
    /// another component gave it before is taken away.
    pub(crate) fn set_directory(
        &mut self,
        directory: BorrowedFd<'_>,
        meta: &Meta,
        path: PathOf<'_>,
    ) -> Result<()> {
        if let Some((uid, gid)) = self.owner(meta, path)? {
            permitted(fs::fchown(directory, uid, gid), "set the owner of", path)?;
        }
        self.remove_others(directory, meta, path)?;
        self.set_xattrs(meta, path, |name, value| {
            fs::fsetxattr(directory, name, value, XattrFlags::empty())
        })?;
        fs::futimens(directory, &self.times(meta)).on("set the time of", path)
    }

    /// Sets the attributes of a file that may have had others.
    pub(crate) fn reset_file(
        &mut self,
        file: BorrowedFd<'_>,
        meta: &Meta,
        path: PathOf<'_>,
    ) -> Result<()> {
        self.remove_others(file, meta, path)?;
        self.set_file(file, meta, path)
    }

    /// Whether a file has these attributes already, and no others that come from trees.
    #[allow(clippy::unnecessary_cast, reason = "the types of these fields depend on the machine")]
    pub(crate) fn are_of(&self, file: BorrowedFd<'_>, stat: &fs::Stat, meta: &Meta) -> bool {
        let mtime = self.times(meta).last_modification;
        let found = (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777);
        if found != (meta.uid, meta.gid, u32::from(meta.mode))
            || (stat.st_mtime, stat.st_mtime_nsec as i64) != (mtime.tv_sec, mtime.tv_nsec as i64)
        {
            return false;
        }
        let Ok(names) = list_xattrs(file) else { return false };
        let is_ours = |name: &&Vec<u8>| comes_from_trees(name) || name.starts_with(b"security.cap");
        let count = names.iter().filter(is_ours).count();
        let mut value = Vec::with_capacity(1 << 16);
        count == meta.xattrs.iter().filter(|xattr| is_ours(&&xattr.name)).count()
            && meta.xattrs.iter().all(|xattr| {
                value.clear();
                let name = OsStr::from_bytes(&xattr.name);
                let read = fs::fgetxattr(file, name, rustix::buffer::spare_capacity(&mut value));
                read.is_ok() && value == xattr.value
            })
    }

    fn remove_others(&self, file: BorrowedFd<'_>, meta: &Meta, path: PathOf<'_>) -> Result<()> {
        for name in list_xattrs(file).on("list the attributes of", path)? {
            let is_wanted = || meta.xattrs.iter().any(|xattr| xattr.name == name);
            if comes_from_trees(&name) && self.keeps_xattr(&name) && !is_wanted() {
                remove_xattr(file, &name).on("remove an attribute of", path)?;
            }
        }
        Ok(())
    }

    /// Sets the mode of a directory. This comes after all that is done below it, since the mode
    /// may keep even its owner out.
    pub(crate) fn set_directory_mode(
        &mut self,
        directory: BorrowedFd<'_>,
        mode: u16,
        path: PathOf<'_>,
    ) -> Result<()> {
        fs::fchmod(directory, self.mode(mode)).on("set the mode of", path)
    }

    fn owner(&self, meta: &Meta, path: PathOf<'_>) -> Result<Option<(Option<Uid>, Option<Gid>)>> {
        let (uid, gid) = (meta.uid, meta.gid);
        match self.owners {
            Owners::Current | Owners::Maker => Ok(None),
            Owners::Keep if uid == u32::MAX || gid == u32::MAX => {
                let path = path();
                Err(CheckoutError::BadOwner { path, uid, gid })
            }
            Owners::Keep => Ok(Some((Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))))),
        }
    }

    fn mode(&mut self, mode: u16) -> Mode {
        const SET_IDS: u16 = 0o6000;
        let kept = match self.owners {
            Owners::Keep | Owners::Maker => mode,
            Owners::Current => mode & !SET_IDS,
        };
        self.left_out.set_ids += u64::from(kept != mode);
        Mode::from_raw_mode(kept.into())
    }

    fn times(&self, meta: &Meta) -> Timestamps {
        let unchanged = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let last_modification = match (meta.mtime, self.times) {
            (None, Times::Made) => unchanged,
            (mtime, _) => {
                let mtime = mtime.unwrap_or(NORMALISED_MTIME);
                Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanoseconds.into() }
            }
        };
        Timestamps { last_access: unchanged, last_modification }
    }

    fn set_xattrs(
        &mut self,
        meta: &Meta,
        path: PathOf<'_>,
        set: impl Fn(&OsStr, &[u8]) -> rustix::io::Result<()>,
    ) -> Result<()> {
        for xattr in &meta.xattrs {
            if !self.keeps_xattr(&xattr.name) {
                self.left_out.attributes += 1;
                continue;
            }
            set(OsStr::from_bytes(&xattr.name), &xattr.value).map_err(|errno| {
                CheckoutError::Attribute {
                    name: xattr.name.escape_ascii().to_string(),
                    path: path(),
                    source: errno.into(),
                }
            })?;
        }
        Ok(())
    }

    fn keeps_xattr(&self, name: &[u8]) -> bool {
        self.owners != Owners::Current || name.starts_with(b"user.")
    }
}

/// Takes the access lists away that a new directory has from the one it is in.
pub(crate) fn clear_access_lists(directory: BorrowedFd<'_>) -> rustix::io::Result<()> {
    remove_xattr(directory, b"system.posix_acl_default")?;
    remove_xattr(directory, b"system.posix_acl_access")
}

/// For calls that only root may make.
pub(crate) fn permitted(
    result: rustix::io::Result<()>,
    action: &'static str,
    path: PathOf<'_>,
) -> Result<()> {
    result.map_err(|errno| match errno {
        Errno::PERM => CheckoutError::NotPermitted { action, path: path() },
        _ => io_error(action, path(), errno),
    })
}

/// An attribute that no system gives to a file by itself, as it does with SELinux labels.
fn comes_from_trees(name: &[u8]) -> bool {
    let namespaces: [&[u8]; 3] = [b"user.", b"trusted.", b"system.posix_acl_"];
    (namespaces.iter()).any(|namespace| name.starts_with(namespace))
}

fn list_xattrs(directory: BorrowedFd<'_>) -> rustix::io::Result<Vec<Vec<u8>>> {
    // Longest list that the kernel gives (XATTR_LIST_MAX); few directories have any.
    const MAX_LIST: usize = 65536;
    let mut list = [0; 1024];
    let mut long_list;
    let list = match fs::flistxattr(directory, &mut list) {
        Ok(len) => &list[..len],
        Err(Errno::OPNOTSUPP) => &[],
        Err(Errno::RANGE) => {
            long_list = vec![0; MAX_LIST];
            let len = fs::flistxattr(directory, &mut long_list[..])?;
            &long_list[..len]
        }
        Err(errno) => return Err(errno),
    };
    let names = list.split(|byte| *byte == 0);
    Ok(names.filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
}

fn remove_xattr(directory: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    match fs::fremovexattr(directory, OsStr::from_bytes(name)) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}

/// The path of an entry for calls that take no directory. It needs /proc, and begins with a
/// directory that is open, so that it leads to the same one whatever was moved.
fn proc_path(directory: BorrowedFd<'_>, name: &OsStr) -> std::ffi::OsString {
    let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.as_bytes());
    std::ffi::OsString::from_vec(path)
}
