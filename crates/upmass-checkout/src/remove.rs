//! Removing a directory and all below it.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, AtFlags, Dir, Mode};
use rustix::io::{Errno, Result};

use crate::descent::open_dir;
use crate::fill::PRIVATE_DIRECTORY;

/// Removes the directory that is open as `root` and has a name in `parent`. Symlinks are
/// removed and never followed.
///
/// However deep it is, few directories are open at a time: those that hold something are moved
/// up to the root, and are emptied there in their turn.
pub(crate) fn remove_tree(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    root: BorrowedFd<'_>,
) -> Result<()> {
    fs::fchmod(root, PRIVATE_DIRECTORY)?;
    let mut moved = 0;
    while for_each_name(root, |entry| {
        if is_left(root, entry)? {
            flatten(root, entry, &mut moved)?;
        }
        Ok(())
    })? {}
    fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
}

/// Removes an entry, unless it is a directory that holds something: then it is left.
fn is_left(directory: BorrowedFd<'_>, name: &OsStr) -> Result<bool> {
    match fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(false),
        Err(Errno::ISDIR) => {}
        Err(errno) => return Err(errno),
    }
    match fs::unlinkat(directory, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(false),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(true),
        Err(errno) => Err(errno),
    }
}

/// Removes a directory of the root, and moves directories that it holds there.
fn flatten(root: BorrowedFd<'_>, name: &OsStr, moved: &mut u64) -> Result<()> {
    let directory = open_writable(root, name)?;
    let directory = directory.as_fd();
    for_each_name(directory, |entry| {
        if is_left(directory, entry)? {
            // Its entry `..` changes, so that it must be writable too.
            open_writable(directory, entry)?;
            move_up(directory, entry, root, moved)?;
        }
        Ok(())
    })?;
    match fs::unlinkat(root, name, AtFlags::REMOVEDIR) {
        // Some file systems list not all while entries are removed: the next round does.
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
        other => other,
    }
}

fn move_up(
    directory: BorrowedFd<'_>,
    name: &OsStr,
    root: BorrowedFd<'_>,
    moved: &mut u64,
) -> Result<()> {
    loop {
        let free = format!("moved-{moved}");
        *moved += 1;
        // An empty directory of that name would be replaced, and is to be removed anyway.
        match fs::renameat(directory, name, root, &free) {
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            other => return other,
        }
    }
}

/// Opens a directory and makes it ours to change, which its mode may forbid even to its owner.
fn open_writable(parent: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    let directory = match open_dir(parent, name.as_bytes()) {
        // Never so for root, who could reach what is not his if this followed a symlink.
        Err(Errno::ACCESS) => {
            fs::chmodat(parent, name, PRIVATE_DIRECTORY, AtFlags::empty())?;
            open_dir(parent, name.as_bytes())?
        }
        other => other?,
    };
    let mode = Mode::from_raw_mode(fs::fstat(&directory)?.st_mode);
    if !mode.contains(PRIVATE_DIRECTORY) {
        fs::fchmod(&directory, PRIVATE_DIRECTORY)?;
    }
    Ok(directory)
}

/// Calls `visit` for each entry of a directory; `false` when there is none.
pub(crate) fn for_each_name(
    directory: BorrowedFd<'_>,
    mut visit: impl FnMut(&OsStr) -> Result<()>,
) -> Result<bool> {
    let mut any = false;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            any = true;
            visit(name)?;
        }
    }
    Ok(any)
}
