//! A directory that gets its name when it is whole.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    self, AtFlags, FileType, FlockOperation, Mode, OFlags, StatxAttributes, StatxFlags,
};
use rustix::io::{Errno, retry_on_intr};

use crate::attributes::clear_access_lists;
use crate::descent::open_dir;
use crate::error::{Context, io_error};
use crate::fill::PRIVATE_DIRECTORY;
use crate::remove::{for_each_name, remove_tree};
use crate::{CheckoutError, Result};

/// What follows the name of the target; then come numbers. It is removed by name when it is
/// stale, so nobody else may call a directory so.
const MARK: &str = ".partial-upmass-";
/// How much of the name of the target is taken, so that all of it stays within 255 bytes.
const MAX_TAKEN: usize = 200;

/// A directory beside the target, named `.<target>.partial-upmass-<process id>`.
///
/// It is locked (`flock`) for as long as its maker lives, whatever process ids mean to whom
/// looks. So one that nobody has locked was left by a process that died or a power cut, and the
/// next checkout to the same target removes it. It is removed as well when this value is
/// dropped before [`Self::publish`].
pub(crate) struct Partial {
    parent: OwnedFd,
    name: OsString,
    target: OsString,
    /// For people.
    path: PathBuf,
    root: OwnedFd,
    is_published: bool,
}

impl Partial {
    /// Checks that the target is free, removes what earlier checkouts left, and makes an empty
    /// directory.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let no_name = || CheckoutError::TargetHasNoName { path: path.display().to_string() };
        let target = path.file_name().ok_or_else(no_name)?;
        let parent_path = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = fs::open(parent_path, flags, Mode::empty())
            .on("open", &|| parent_path.display().to_string())?;
        check_free(parent.as_fd(), target, path)?;
        remove_stale(parent.as_fd(), target);
        let (name, root) = make(parent.as_fd(), target)
            .on("make a directory beside", &|| path.display().to_string())?;
        let partial = Self {
            parent,
            name,
            target: target.to_owned(),
            path: path.to_owned(),
            root,
            is_published: false,
        };
        // It may have a group, the setgid bit and access lists of the directory it is in.
        fs::fchmod(partial.root(), PRIVATE_DIRECTORY)
            .and_then(|()| clear_access_lists(partial.root()))
            .on("make private a directory beside", &|| partial.display())?;
        Ok(partial)
    }

    /// The directory.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Gives the directory the name of the target. When that is `durable`, it is so on return
    /// (POWER-LOSS.md, row "checkout"):
    ///
    /// - power fails before the rename: the target is not there, or still empty. The next
    ///   checkout finds the partial directory by its name, and removes it.
    /// - power fails after the rename, and before its parent directory is synced: the target is
    ///   as before or as after. As after it is whole, since all contents and names in it were
    ///   synced before the rename.
    /// - after that: the target is there and whole.
    ///
    /// Not durable, the second case has a target which may lack content. There is nothing for
    /// the next start to do in any case.
    pub(crate) fn publish(mut self, durable: bool) -> Result<()> {
        if durable {
            retry_on_intr(|| fs::syncfs(&self.root))
                .on("sync the file system of", &|| self.display())?;
        }
        // A rename replaces an empty directory and nothing else: no flag is needed.
        match fs::renameat(&self.parent, &self.name, &self.parent, &self.target) {
            Ok(()) => {}
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {
                let path = self.display();
                return Err(CheckoutError::TargetExists { path });
            }
            Err(Errno::BUSY) => {
                let path = self.display();
                return Err(CheckoutError::TargetIsMount { path });
            }
            Err(errno) => return Err(io_error("rename to", self.display(), errno)),
        }
        self.is_published = true;
        if durable {
            retry_on_intr(|| fs::fsync(&self.parent)).map_err(|errno| {
                CheckoutError::NotDurable { path: self.display(), source: errno.into() }
            })?;
        }
        Ok(())
    }

    fn display(&self) -> String {
        self.path.display().to_string()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_published {
            // Best effort: the next checkout to the same target removes what stays here.
            let _ = remove_tree(self.parent.as_fd(), &self.name, self.root.as_fd());
        }
    }
}

/// The target must not exist, or be an empty directory that can be replaced.
fn check_free(parent: BorrowedFd<'_>, target: &OsStr, path: &Path) -> Result<()> {
    let display = || path.display().to_string();
    let exists = || CheckoutError::TargetExists { path: display() };
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let stat = match fs::statx(parent, target, flags, StatxFlags::TYPE) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(io_error("look at", display(), errno)),
    };
    if FileType::from_raw_mode(stat.stx_mode.into()) != FileType::Directory {
        return Err(exists());
    }
    if stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Err(CheckoutError::TargetIsMount { path: display() });
    }
    let directory = open_dir(parent, target.as_bytes()).on("open", &display)?;
    match for_each_name(directory.as_fd(), |_| Ok(())).on("list", &display)? {
        true => Err(exists()),
        false => Ok(()),
    }
}

/// Makes a directory that only we may enter, and locks it.
fn make(parent: BorrowedFd<'_>, target: &OsStr) -> rustix::io::Result<(OsString, OwnedFd)> {
    let mut name = prefix(target);
    name.extend_from_slice(std::process::id().to_string().as_bytes());
    let mut next = 1u32;
    loop {
        let mut candidate = name.clone();
        if next > 1 {
            candidate.extend_from_slice(format!("-{next}").as_bytes());
        }
        next = next.checked_add(1).ok_or(Errno::EXIST)?;
        let candidate = OsString::from_vec(candidate);
        match fs::mkdirat(parent, &candidate, PRIVATE_DIRECTORY) {
            Err(Errno::EXIST) => continue,
            other => other?,
        }
        match claim(parent, &candidate) {
            Ok(Some(root)) => return Ok((candidate, root)),
            Ok(None) => {}
            Err(errno) => {
                // Best effort: the next checkout to the same target removes it.
                let _ = fs::unlinkat(parent, &candidate, AtFlags::REMOVEDIR);
                return Err(errno);
            }
        }
    }
}

/// Opens and locks a directory that was just made. `None` when somebody who looks for stale
/// ones came before the lock and removes it.
fn claim(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<Option<OwnedFd>> {
    let root = match open_dir(parent, name.as_bytes()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other?,
    };
    let is_ours = lock(&root) != Lock::OfAnother && has_name(parent, name, &root)?;
    Ok(is_ours.then_some(root))
}

/// Removes the partial directories that belong to us and that nobody has locked. Best effort:
/// what cannot be removed now is found again by the next checkout.
fn remove_stale(parent: BorrowedFd<'_>, target: &OsStr) {
    let _ = for_each_name(parent, |name| {
        if !is_partial(name, target) {
            return Ok(());
        }
        if let Ok(root) = open_dir(parent, name.as_bytes())
            && fs::fstat(&root)?.st_uid == rustix::process::geteuid().as_raw()
            && lock(&root) == Lock::Ours
            && has_name(parent, name, &root)?
        {
            let _ = remove_tree(parent, name, root.as_fd());
        }
        Ok(())
    });
}

fn prefix(target: &OsStr) -> Vec<u8> {
    let target = target.as_bytes();
    let target = &target[..target.len().min(MAX_TAKEN)];
    [b".", target, MARK.as_bytes()].concat()
}

fn is_partial(name: &OsStr, target: &OsStr) -> bool {
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(|byte| byte.is_ascii_digit());
    (name.as_bytes().strip_prefix(&prefix(target)[..]))
        .is_some_and(|rest| rest.splitn(2, |byte| *byte == b'-').all(is_number))
}

/// Who has a directory locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lock {
    Ours,
    OfAnother,
    /// The file system has no locks: then nobody removes anything as stale.
    Unknown,
}

fn lock(directory: &OwnedFd) -> Lock {
    match fs::flock(directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Lock::Ours,
        Err(Errno::WOULDBLOCK) => Lock::OfAnother,
        Err(_) => Lock::Unknown,
    }
}

/// Whether the name still leads to the directory that is open.
fn has_name(parent: BorrowedFd<'_>, name: &OsStr, open: &OwnedFd) -> rustix::io::Result<bool> {
    let open = fs::fstat(open)?;
    match fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok((stat.st_dev, stat.st_ino) == (open.st_dev, open.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}
