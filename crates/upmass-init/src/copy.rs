//! Copying a directory with all that its files have: the upper layer of an overlay has devices
//! and extended attributes that mean something.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};

use crate::error::{Context, Result};

/// Says which directory this one was made from, as a handle of a file; of another layer it would
/// be wrong.
const ORIGIN: &[u8] = b"trusted.overlay.origin";

/// Copies `from` and all below it to `to`, which must not exist. Owners, modes, times and
/// extended attributes are kept; names of one file become files. Nothing else may change either.
/// What is written is not durable yet.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    copy_one(from, to)?;
    // Directories get their times last, since each new name changes them.
    let mut made = vec![(from.to_owned(), to.to_owned())];
    let mut next = made.clone();
    while let Some((from, to)) = next.pop() {
        for entry in fs::read_dir(&from).on("list", &from)? {
            let entry = entry.on("list", &from)?;
            let (inner_from, inner_to) = (entry.path(), to.join(entry.file_name()));
            if copy_one(&inner_from, &inner_to)? {
                made.push((inner_from.clone(), inner_to.clone()));
                next.push((inner_from, inner_to));
            }
        }
    }
    made.iter().rev().try_for_each(|(from, to)| copy_times(from, to))
}

/// Copies one name. Whether it is a directory, which is empty then.
fn copy_one(from: &Path, to: &Path) -> Result<bool> {
    let meta = fs::symlink_metadata(from).on("look at", from)?;
    let kind = meta.file_type();
    let node = |kind| {
        let device = meta.rdev();
        rustix::fs::mknodat(CWD, to, kind, Mode::from_raw_mode(0o600), device).on("make", to)
    };
    if kind.is_dir() {
        fs::create_dir(to).on("make", to)?;
    } else if kind.is_symlink() {
        let target = fs::read_link(from).on("read", from)?;
        std::os::unix::fs::symlink(target, to).on("make", to)?;
    } else if kind.is_file() {
        let mut source = File::open(from).on("open", from)?;
        let mut copy = File::create_new(to).on("make", to)?;
        std::io::copy(&mut source, &mut copy).on("copy", from)?;
    } else if kind.is_fifo() {
        node(rustix::fs::FileType::Fifo)?;
    } else if kind.is_char_device() {
        node(rustix::fs::FileType::CharacterDevice)?;
    } else if kind.is_block_device() {
        node(rustix::fs::FileType::BlockDevice)?;
    } else {
        node(rustix::fs::FileType::Socket)?;
    }
    let owner = (Some(Uid::from_raw(meta.uid())), Some(Gid::from_raw(meta.gid())));
    rustix::fs::chownat(CWD, to, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
        .on("give away", to)?;
    // Symlinks have no mode; the change of owner may have taken bits away.
    if !kind.is_symlink() {
        rustix::fs::chmodat(CWD, to, Mode::from_raw_mode(meta.mode() & 0o7777), AtFlags::empty())
            .on("set the mode of", to)?;
    }
    copy_xattrs(from, to)?;
    if !kind.is_dir() {
        copy_times(from, to)?;
    }
    Ok(kind.is_dir())
}

fn copy_times(from: &Path, to: &Path) -> Result<()> {
    let meta = fs::symlink_metadata(from).on("look at", from)?;
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time(meta.atime(), meta.atime_nsec()),
        last_modification: time(meta.mtime(), meta.mtime_nsec()),
    };
    rustix::fs::utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW).on("set the time of", to)
}

fn copy_xattrs(from: &Path, to: &Path) -> Result<()> {
    /// What Linux has room for in one list, and in one value (xattr(7)).
    const MAX: usize = 65_536;
    let mut names = vec![0; MAX];
    let len = rustix::fs::llistxattr(from, &mut names[..]).on("list attributes of", from)?;
    for name in names[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if name == ORIGIN {
            continue;
        }
        let mut value = vec![0; MAX];
        let name = OsStr::from_bytes(name);
        let len =
            rustix::fs::lgetxattr(from, name, &mut value[..]).on("read attributes of", from)?;
        rustix::fs::lsetxattr(to, name, &value[..len], XattrFlags::empty())
            .on("set attributes of", to)?;
    }
    Ok(())
}

/// Puts a directory that `fill` makes at `to`, in one step and durably; what was there goes
/// (POWER-LOSS.md, row "layer").
///
/// Before the exchange `to` is as it was, and what is beside it is removed by the next call.
/// After it `to` is the new one, complete, since all of it was synced; the old one is removed
/// now or by the next call.
pub(crate) fn replace(to: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut new = to.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    remove(&new)?;
    fill(&new)?;
    let directory = to.parent().unwrap_or(Path::new("/"));
    let opened = File::open(directory).on("open", directory)?;
    rustix::fs::syncfs(&opened).on("write back", directory)?;
    if to.exists() {
        let exchange = rustix::fs::RenameFlags::EXCHANGE;
        rustix::fs::renameat_with(CWD, &new, CWD, to, exchange).on("exchange", to)?;
    } else {
        fs::rename(&new, to).on("rename", &new)?;
    }
    opened.sync_all().on("write back", directory)?;
    remove(&new)
}

/// Removes a directory with all below it, if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).on("remove", path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn everything_that_files_have_is_copied() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        fs::create_dir_all(from.join("d/empty")).unwrap();
        fs::write(from.join("d/file"), b"content").unwrap();
        fs::set_permissions(from.join("d/file"), fs::Permissions::from_mode(0o4750)).unwrap();
        symlink("file", from.join("d/link")).unwrap();
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(CWD, from.join("fifo"), fifo, Mode::from_raw_mode(0o640), 0).unwrap();
        let flags = XattrFlags::empty();
        rustix::fs::lsetxattr(from.join("d"), "user.word", b"text", flags).unwrap();
        let old = Timespec { tv_sec: 1_000, tv_nsec: 7 };
        let times = Timestamps { last_access: old, last_modification: old };
        for path in ["d/file", "d/link", "d", "."] {
            let path = from.join(path);
            rustix::fs::utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        }

        copy_tree(&from, &to).unwrap();

        assert_eq!(fs::read(to.join("d/file")).unwrap(), b"content");
        assert_eq!(fs::read_link(to.join("d/link")).unwrap(), Path::new("file"));
        assert!(to.join("d/empty").is_dir());
        for path in ["d/file", "d/link", "d", "fifo", "."] {
            let meta = |root: &Path| fs::symlink_metadata(root.join(path)).unwrap();
            let (old, new) = (meta(&from), meta(&to));
            assert_eq!((old.mode(), old.uid(), old.gid()), (new.mode(), new.uid(), new.gid()));
            let times = |meta: &fs::Metadata| (meta.mtime(), meta.mtime_nsec());
            assert_eq!(times(&old), times(&new), "{path}");
        }
        let mut value = [0; 10];
        let len = rustix::fs::lgetxattr(to.join("d"), "user.word", &mut value[..]).unwrap();
        assert_eq!(&value[..len], b"text");
    }

    #[test]
    fn what_an_interrupted_run_left_does_not_matter() {
        let place = tempfile::tempdir().unwrap();
        let to = place.path().join("layer");
        let fill = |text: &'static str| {
            move |new: &Path| {
                fs::create_dir(new).on("make", new)?;
                fs::write(new.join("file"), text).on("write", new)
            }
        };
        let content = || fs::read_to_string(to.join("file")).unwrap();
        let beside = place.path().join("layer.new");
        // Cut before the rename.
        fill("half")(&beside).unwrap();
        replace(&to, fill("one")).unwrap();
        assert_eq!((content().as_str(), beside.exists()), ("one", false));
        // Cut after the exchange: the old one is beside it.
        fill("old")(&beside).unwrap();
        assert_eq!(content(), "one");
        replace(&to, fill("two")).unwrap();
        assert_eq!((content().as_str(), beside.exists()), ("two", false));
        // Failing leaves what was there.
        let failing = |new: &Path| {
            fill("bad")(new)?;
            Err(std::io::Error::other("no more")).on("fill", new)
        };
        assert!(replace(&to, failing).is_err());
        assert_eq!(content(), "two");
    }
}
