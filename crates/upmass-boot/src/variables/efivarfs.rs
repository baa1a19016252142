//! Variables as files of efivarfs (the kernel's Documentation/filesystems/efivarfs.rst).

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, Access, IFlags, Mode, OFlags, StatVfsMountFlags};
use rustix::io::Errno;

use super::{ATTRIBUTES, MAX_VARIABLE, VariableError, Variables, Vendor};

/// A directory of variables: `efivarfs`, or a plain directory that stands for one.
///
/// A file has four bytes of attributes and then the content. The kernel takes one `write` as one
/// call of the firmware, so a variable is never written in two parts. Files that are not known to
/// be harmless are immutable (`FS_IMMUTABLE_FL`) until that flag is taken from them.
pub struct EfivarFs {
    path: PathBuf,
    is_plain: bool,
}

/// `EFIVARFS_MAGIC`
const MAGIC: u32 = 0xde5e_81e4;

impl EfivarFs {
    /// The variables at a path, usually `/sys/firmware/efi/efivars`.
    ///
    /// # Errors
    /// [`VariableError::Missing`] when there are none.
    pub fn open(path: &Path) -> Result<Self, VariableError> {
        let missing = || VariableError::Missing { path: path.to_owned() };
        let found = fs::statfs(path).map_err(|_| missing())?;
        let this = Self { path: path.to_owned(), is_plain: found.f_type as u32 != MAGIC };
        // Where nothing is mounted, sysfs has an empty directory.
        let mut entries = std::fs::read_dir(path).map_err(|_| missing())?;
        match entries.next() {
            Some(_) => Ok(this),
            None => Err(missing()),
        }
    }

    fn file(&self, vendor: Vendor, name: &str) -> PathBuf {
        self.path.join(format!("{name}-{vendor}"))
    }

    /// Takes away the flag that keeps a file from being changed.
    fn unlock(file: impl AsFd) -> Result<(), Errno> {
        let flags = match fs::ioctl_getflags(&file) {
            Ok(flags) => flags,
            // A plain directory may be on a file system without flags.
            Err(Errno::NOTTY | Errno::OPNOTSUPP) => return Ok(()),
            Err(errno) => return Err(errno),
        };
        match flags.contains(IFlags::IMMUTABLE) {
            true => fs::ioctl_setflags(&file, flags - IFlags::IMMUTABLE),
            false => Ok(()),
        }
    }

    fn fail(
        &self,
        action: &'static str,
        vendor: Vendor,
        name: &str,
    ) -> impl Fn(Errno) -> VariableError {
        let (path, name) = (self.path.clone(), format!("{name}-{vendor}"));
        move |errno| match errno {
            Errno::ROFS => {
                VariableError::ReadOnly { path: path.clone(), why: READ_ONLY.to_owned() }
            }
            errno => VariableError::Io { action, name: name.clone(), source: errno.into() },
        }
    }

    /// As the firmware does it: whole, or not at all.
    fn replace_plain(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        File::open(&self.path)?.sync_all()
    }
}

const READ_ONLY: &str = "they are mounted read-only; mount efivarfs read-write";

impl Variables for EfivarFs {
    fn read(&self, vendor: Vendor, name: &str) -> Result<Option<Vec<u8>>, VariableError> {
        let fail =
            |source| VariableError::Io { action: "read", name: format!("{name}-{vendor}"), source };
        let file = match File::open(self.file(vendor, name)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_VARIABLE + 4).read_to_end(&mut bytes).map_err(fail)?;
        // The kernel shows a variable that is being made as an empty file.
        Ok(bytes.get(4..).map(<[u8]>::to_vec))
    }

    fn write(&self, vendor: Vendor, name: &str, content: &[u8]) -> Result<(), VariableError> {
        let path = self.file(vendor, name);
        let fail = self.fail("write", vendor, name);
        let bytes = [&ATTRIBUTES.to_le_bytes()[..], content].concat();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match fs::open(&path, flags, Mode::empty()) {
            Ok(file) => Self::unlock(file).map_err(&fail)?,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(fail(errno)),
        }
        if self.is_plain {
            let name = format!("{name}-{vendor}");
            let fail = |source| VariableError::Io { action: "write", name, source };
            return self.replace_plain(&path, &bytes).map_err(fail);
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = fs::open(&path, flags, Mode::from_raw_mode(0o644)).map_err(&fail)?;
        match rustix::io::retry_on_intr(|| rustix::io::write(&file, &bytes)).map_err(&fail)? {
            written if written == bytes.len() => Ok(()),
            _ => Err(fail(Errno::IO)),
        }
    }

    fn remove(&self, vendor: Vendor, name: &str) -> Result<(), VariableError> {
        let path = self.file(vendor, name);
        let fail = self.fail("remove", vendor, name);
        match fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(file) => Self::unlock(file).map_err(&fail)?,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(fail(errno)),
        }
        match fs::unlink(&path) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(fail(errno)),
        }
        if self.is_plain {
            let sync = File::open(&self.path).and_then(|directory| directory.sync_all());
            let name = format!("{name}-{vendor}");
            sync.map_err(|source| VariableError::Io { action: "remove", name, source })?;
        }
        Ok(())
    }

    fn names(&self, vendor: Vendor) -> Result<Vec<String>, VariableError> {
        let fail = |source| VariableError::Io {
            action: "list",
            name: self.path.display().to_string(),
            source,
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(vendor.guid()));
            if let Some(name) = name.and_then(|name| name.strip_suffix('-')) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn check_writable(&self) -> Result<(), VariableError> {
        let read_only =
            |why: &str| VariableError::ReadOnly { path: self.path.clone(), why: why.to_owned() };
        let mounted = fs::statvfs(&self.path).map_err(|errno| read_only(&errno.to_string()))?;
        if mounted.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Err(read_only(READ_ONLY));
        }
        fs::access(&self.path, Access::WRITE_OK).map_err(|errno| read_only(&errno.to_string()))
    }
}
