//! A directory of the running system as a tree of files.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;

use crate::{Entry, Files, Kind, MinifyError, Result};

/// A directory that is a system's root. It is never written to, no symlink below it is followed,
/// and nothing outside of it is read.
pub struct DirectoryFiles {
    root: OwnedFd,
    path: PathBuf,
}

impl DirectoryFiles {
    /// Opens the directory. Its own path may be a symlink.
    pub fn open(path: &Path) -> Result<Self> {
        let root = fs::open(path, DIRECTORY, Mode::empty())
            .map_err(|errno| MinifyError::read("open", path.as_os_str().as_bytes(), errno))?;
        Ok(Self { root, path: path.to_owned() })
    }

    /// Opens what is at a path, where no part may be a symlink.
    fn open_at(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let name = match path.strip_prefix(b"/") {
            Some(name) if !name.is_empty() => name,
            _ => b".",
        };
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match fs::openat2(&self.root, OsStr::from_bytes(name), flags, Mode::empty(), resolve) {
            // Older than Linux 5.6, or a container that hides the call.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => self.open_by_steps(name, flags),
            other => other,
        }
    }

    fn open_by_steps(&self, name: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut here = fs::openat(&self.root, ".", step, Mode::empty())?;
        let mut names = name.split(|byte| *byte == b'/').peekable();
        while let Some(name) = names.next() {
            let flags = if names.peek().is_some() { step } else { flags };
            here = fs::openat(&here, OsStr::from_bytes(name), flags, Mode::empty())?;
        }
        Ok(here)
    }

    fn error(&self, action: &'static str, path: &[u8], errno: Errno) -> MinifyError {
        let mut shown = self.path.as_os_str().as_bytes().to_vec();
        shown.extend_from_slice(path);
        MinifyError::read(action, &shown, errno)
    }
}

impl Files for DirectoryFiles {
    fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut waiting = vec![Vec::new()];
        while let Some(directory) = waiting.pop() {
            let opened = self
                .open_at(&directory, DIRECTORY)
                .map_err(|errno| self.error("open", &directory, errno))?;
            let mut buffer = [MaybeUninit::uninit(); 1 << 15];
            let mut names = RawDir::new(&opened, &mut buffer);
            while let Some(name) = names.next() {
                let name = name.map_err(|errno| self.error("list", &directory, errno))?;
                let name = name.file_name().to_bytes();
                if name == b"." || name == b".." {
                    continue;
                }
                let path = [&directory[..], b"/", name].concat();
                let entry = look(&opened, name, path)
                    .map_err(|(path, errno)| self.error("look at", &path, errno))?;
                if entry.kind == Kind::Directory {
                    waiting.push(entry.path.clone());
                }
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    fn read(&self, path: &[u8], limit: u64) -> Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.open_at(path, flags).map_err(|errno| self.error("open", path, errno))?;
        let mut content = Vec::new();
        File::from(file).take(limit).read_to_end(&mut content).map_err(|source| {
            let path = format!("{}{}", self.path.display(), String::from_utf8_lossy(path));
            MinifyError::Read { action: "read", path, source }
        })?;
        Ok(content)
    }
}

#[allow(clippy::unnecessary_cast, reason = "the types of these fields depend on the machine")]
fn look(
    directory: &OwnedFd,
    name: &[u8],
    path: Vec<u8>,
) -> std::result::Result<Entry, (Vec<u8>, Errno)> {
    let name = OsStr::from_bytes(name);
    let stat = match fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(errno) => return Err((path, errno)),
    };
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File { size: stat.st_size as u64 },
        FileType::Symlink => match fs::readlinkat(directory, name, Vec::new()) {
            Ok(target) => Kind::Symlink(target.into_bytes()),
            Err(errno) => return Err((path, errno)),
        },
        _ => Kind::Other,
    };
    // Inode numbers of two file systems may be the same; the device tells them apart.
    let inode = (stat.st_nlink > 1 && kind != Kind::Directory)
        .then(|| (stat.st_dev as u64).rotate_left(40) ^ stat.st_ino as u64);
    Ok(Entry { path, kind, mode: (stat.st_mode & 0o7777) as u16, inode })
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
