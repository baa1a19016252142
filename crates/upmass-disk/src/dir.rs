//! A volume that is a directory of the running system.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::volume::{
    DiskError, Entry, EntryKind, Lock, LockMode, ReadAt, Result, Volume, WriteFile,
};

/// A directory, opened once: moving it while it is used does no harm.
pub struct DirVolume {
    root: OwnedFd,
    path: PathBuf,
    durability: Durability,
}

/// Whether asking for durability has an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    Kept,
    /// Nobody will look at the directory after a power cut.
    NotNeeded,
}

impl DirVolume {
    /// Opens an existing directory.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = fs::open(path, flags, Mode::empty()).map_err(|errno| DiskError {
            action: "open",
            path: path.display().to_string(),
            source: errno.into(),
        })?;
        Ok(Self { root, path: path.to_owned(), durability: Durability::Kept })
    }

    /// Opens an existing directory that its maker removes when it is done: nothing is made
    /// durable, which saves most of the time that small files take.
    pub fn temporary(path: &Path) -> Result<Self> {
        Ok(Self { durability: Durability::NotNeeded, ..Self::open(path)? })
    }

    /// Opens a directory, made when missing, and makes its name durable. Its parent must exist.
    pub fn create(path: &Path) -> Result<Self> {
        let fail = |action, source| DiskError { action, path: path.display().to_string(), source };
        let is_new = match std::fs::create_dir(path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(fail("create directory", error)),
        };
        // An older directory is synced as well: who made it may have been killed before that.
        match sync_parent(path) {
            // A read-only file system below a mounted one: no name was made there.
            Err(error) if !is_new && error.kind() == io::ErrorKind::InvalidInput => {}
            other => other.map_err(|error| fail("sync the directory of", error))?,
        }
        Self::open(path)
    }

    fn error(&self, action: &'static str, path: &str, errno: Errno) -> DiskError {
        DiskError { action, path: self.path.join(path).display().to_string(), source: errno.into() }
    }

    fn open_dir(&self, path: &str) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        fs::openat(&self.root, path, flags, Mode::empty())
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}

impl Volume for DirVolume {
    fn create(&self, path: &str) -> Result<Box<dyn WriteFile>> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(0o644);
        let file = fs::openat(&self.root, path, flags, mode)
            .map_err(|errno| self.error("create", path, errno))?;
        let path = self.path.join(path).display().to_string();
        let durability = self.durability;
        Ok(Box::new(DirFile { file: file.into(), path, len: 0, durability }))
    }

    fn open(&self, path: &str) -> Result<Box<dyn ReadAt>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = fs::openat(&self.root, path, flags, Mode::empty())
            .map_err(|errno| self.error("open", path, errno))?;
        let stat = fs::fstat(&file).map_err(|errno| self.error("stat", path, errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            let source = io::Error::other("it is not a regular file");
            let path = self.path.join(path).display().to_string();
            return Err(DiskError { action: "open", path, source });
        }
        Ok(Box::new(OpenFile { file: file.into(), len: stat.st_size as u64 }))
    }

    fn file_len(&self, path: &str) -> Result<Option<u64>> {
        match fs::statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                Ok(Some(stat.st_size as u64))
            }
            Ok(_) => Ok(None),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.error("stat", path, errno)),
        }
    }

    fn publish(&self, from: &str, to: &str) -> Result<bool> {
        match fs::renameat_with(&self.root, from, &self.root, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            // A file system without that flag: a link fails on a taken name as well.
            Err(Errno::INVAL | Errno::NOSYS) => {
                match fs::linkat(&self.root, from, &self.root, to, AtFlags::empty()) {
                    Ok(()) => self.remove(from).map(|()| true),
                    Err(Errno::EXIST) => Ok(false),
                    Err(errno) => Err(self.error("link", to, errno)),
                }
            }
            Err(errno) => Err(self.error("rename", to, errno)),
        }
    }

    fn replace(&self, from: &str, to: &str) -> Result<()> {
        fs::renameat(&self.root, from, &self.root, to)
            .map_err(|errno| self.error("rename", to, errno))
    }

    fn remove(&self, path: &str) -> Result<()> {
        match fs::unlinkat(&self.root, path, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.error("remove", path, errno)),
        }
    }

    fn remove_dir(&self, path: &str) -> Result<()> {
        match fs::unlinkat(&self.root, path, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.error("remove directory", path, errno)),
        }
    }

    fn create_dir(&self, path: &str) -> Result<bool> {
        match fs::mkdirat(&self.root, path, Mode::from_raw_mode(0o755)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(self.error("create directory", path, errno)),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>> {
        let directory = match self.open_dir(path) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Ok(Vec::new()),
            Err(errno) => return Err(self.error("open", path, errno)),
        };
        let mut entries = Vec::new();
        let listing = fs::Dir::new(directory).map_err(|errno| self.error("list", path, errno))?;
        for item in listing {
            let item = item.map_err(|errno| self.error("list", path, errno))?;
            let Ok(name) = item.file_name().to_str() else {
                continue;
            };
            if name == "." || name == ".." {
                continue;
            }
            let mut file_type = item.file_type();
            if file_type == FileType::Unknown {
                let full = if path.is_empty() { name.into() } else { format!("{path}/{name}") };
                let stat = fs::statat(&self.root, &full, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|errno| self.error("stat", &full, errno))?;
                file_type = FileType::from_raw_mode(stat.st_mode);
            }
            let kind = match file_type {
                FileType::RegularFile => EntryKind::File,
                FileType::Directory => EntryKind::Directory,
                _ => EntryKind::Other,
            };
            entries.push(Entry { name: name.to_owned(), kind });
        }
        entries.sort();
        Ok(entries)
    }

    fn sync_all(&self) -> Result<()> {
        if self.durability == Durability::NotNeeded {
            return Ok(());
        }
        // Since Linux 5.8 this reports write-back errors of the whole file system.
        fs::syncfs(&self.root).map_err(|errno| self.error("sync the file system of", "", errno))
    }

    fn sync_dir(&self, path: &str) -> Result<()> {
        if self.durability == Durability::NotNeeded {
            return Ok(());
        }
        let directory = self.open_dir(path).map_err(|errno| self.error("open", path, errno))?;
        fs::fsync(&directory).map_err(|errno| self.error("sync directory", path, errno))
    }

    fn free_space(&self) -> Result<u64> {
        let stat = fs::fstatvfs(&self.root)
            .map_err(|errno| self.error("ask the free space of", "", errno))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self, path: &str, mode: LockMode, wait: bool) -> Result<Option<Lock>> {
        // Reading is enough for a lock, so that who may only read a store can hold a release.
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = fs::openat(&self.root, path, flags, Mode::from_raw_mode(0o644))
            .map_err(|errno| self.error("open", path, errno))?;
        let operation = match (mode, wait) {
            (LockMode::Shared, true) => FlockOperation::LockShared,
            (LockMode::Shared, false) => FlockOperation::NonBlockingLockShared,
            (LockMode::Exclusive, true) => FlockOperation::LockExclusive,
            (LockMode::Exclusive, false) => FlockOperation::NonBlockingLockExclusive,
        };
        loop {
            match fs::flock(file.as_fd(), operation) {
                Ok(()) => return Ok(Some(Lock::new(file))),
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.error("lock", path, errno)),
            }
        }
    }

    fn real_path(&self, path: &str) -> Option<PathBuf> {
        Some(self.path.join(path))
    }
}

struct DirFile {
    file: File,
    path: String,
    len: u64,
    durability: Durability,
}

impl DirFile {
    fn error(&self, action: &'static str, source: io::Error) -> DiskError {
        DiskError { action, path: self.path.clone(), source }
    }
}

impl WriteFile for DirFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, self.len).map_err(|error| self.error("write", error))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn write_zeros(&mut self, len: u64) -> Result<()> {
        // Not even a length that overflows may shorten the file.
        let end =
            self.len.checked_add(len).ok_or_else(|| self.error("extend", Errno::FBIG.into()))?;
        self.file.set_len(end).map_err(|error| self.error("extend", error))?;
        self.len = end;
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        match self.durability {
            Durability::NotNeeded => Ok(()),
            Durability::Kept => self.file.sync_all().map_err(|error| self.error("sync", error)),
        }
    }
}

struct OpenFile {
    file: File,
    len: u64,
}

impl ReadAt for OpenFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn len(&self) -> u64 {
        self.len
    }
}
