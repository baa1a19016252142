//! A disk of the running system: a block device, or a file that is an image of a disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, Advice, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Disk, DiskRange, SECTOR_LEN};
use crate::{DiskError, Result};

/// A block device or a file.
#[derive(Debug)]
pub struct FileDisk {
    file: File,
    path: PathBuf,
    len: u64,
    is_block_device: bool,
}

impl FileDisk {
    /// Opens a disk for reading and writing, also one that is in use: a device changes the slot
    /// that it does not run from while it runs from the same disk.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, OFlags::RDWR)
    }

    /// Opens a disk for reading only.
    pub fn open_to_read(path: &Path) -> Result<Self> {
        Self::open_with(path, OFlags::RDONLY)
    }

    /// Opens a disk for reading and writing that nobody else uses: while this value lives, nothing
    /// on it can be mounted.
    ///
    /// # Errors
    /// Of kind [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) when something on a block device
    /// is mounted or used otherwise. Files are not looked after by the system like that.
    pub fn claim(path: &Path) -> Result<Self> {
        let is_block_device = fs::stat(path)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::BlockDevice);
        // open(2): O_EXCL without O_CREAT is defined for block devices only.
        let flags = if is_block_device { OFlags::RDWR | OFlags::EXCL } else { OFlags::RDWR };
        Self::open_with(path, flags)
    }

    /// Makes a file of zeros that takes no space yet. Nothing may have the name.
    pub fn create(path: &Path, len: u64) -> Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(path);
        let file = file.map_err(|source| error("create", path, source))?;
        file.set_len(len).map_err(|source| error("extend", path, source))?;
        Ok(Self { file, path: path.to_owned(), len, is_block_device: false })
    }

    fn open_with(path: &Path, flags: OFlags) -> Result<Self> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = fs::open(path, flags, Mode::empty())
            .map_err(|errno| error("open", path, errno.into()))?;
        let stat = fs::fstat(&file).map_err(|errno| error("stat", path, errno.into()))?;
        let (len, is_block_device) = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => (stat.st_size as u64, false),
            FileType::BlockDevice => {
                let sector = fs::ioctl_blksszget(&file)
                    .map_err(|errno| error("ask the sector length of", path, errno.into()))?;
                if u64::from(sector) != SECTOR_LEN {
                    let why = format!("its sectors have {sector} bytes, expected {SECTOR_LEN}");
                    return Err(error("open", path, io::Error::other(why)));
                }
                let len = fs::seek(&file, fs::SeekFrom::End(0))
                    .map_err(|errno| error("ask the length of", path, errno.into()))?;
                (len, true)
            }
            _ => {
                let why = io::Error::other("it is neither a block device nor a regular file");
                return Err(error("open", path, why));
            }
        };
        Ok(Self { file: file.into(), path: path.to_owned(), len, is_block_device })
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is a block device, not a file.
    pub fn is_block_device(&self) -> bool {
        self.is_block_device
    }

    /// The file underneath.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Makes a range read as zeros, without writing where the system can.
    pub fn clear(&self, range: DiskRange) -> Result<()> {
        use rustix::fs::FallocateFlags as Flags;
        let fail = |source| self.error("clear", range.len() as usize, range.start(), source);
        if range.end() > self.len {
            return Err(fail(io::ErrorKind::UnexpectedEof.into()));
        }
        for flags in [Flags::PUNCH_HOLE | Flags::KEEP_SIZE, Flags::ZERO_RANGE | Flags::KEEP_SIZE] {
            match fs::fallocate(&self.file, flags, range.start(), range.len()) {
                Ok(()) => return Ok(()),
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::NODEV) => {}
                Err(errno) => return Err(fail(errno.into())),
            }
        }
        let zeros = vec![0; 1 << 20];
        let mut offset = range.start();
        while offset < range.end() {
            let len = (range.end() - offset).min(zeros.len() as u64);
            self.write_at(&zeros[..len as usize], offset)?;
            offset += len;
        }
        Ok(())
    }

    fn check(&self, offset: u64, len: usize) -> io::Result<()> {
        match offset.checked_add(len as u64) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn error(&self, action: &'static str, len: usize, offset: u64, source: io::Error) -> DiskError {
        let path = format!("{len} bytes at {offset} of {}", self.path.display());
        DiskError { action, path, source }
    }
}

impl Disk for FileDisk {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let len = buffer.len();
        let fail = |source| self.error("read", len, offset, source);
        self.check(offset, len).map_err(fail)?;
        self.file.read_exact_at(buffer, offset).map_err(fail)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let fail = |source| self.error("write", bytes.len(), offset, source);
        // A file would grow instead.
        self.check(offset, bytes.len()).map_err(fail)?;
        self.file.write_all_at(bytes, offset).map_err(fail)
    }

    fn flush(&self) -> Result<()> {
        // fsync(2) of a block device empties the cache of the drive too.
        self.file.sync_all().map_err(|source| error("flush", &self.path, source))
    }

    fn forget(&self, range: DiskRange) {
        if let Some(len) = std::num::NonZeroU64::new(range.len()) {
            let _ = fs::fadvise(&self.file, range.start(), Some(len), Advice::DontNeed);
        }
    }
}

fn error(action: &'static str, path: &Path, source: io::Error) -> DiskError {
    DiskError { action, path: path.display().to_string(), source }
}
