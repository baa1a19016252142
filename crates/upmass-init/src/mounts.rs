//! Mounting.

use std::ffi::CString;
use std::fs;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags};

use crate::error::{InitError, Result};

/// Mounts a file system without a device.
pub(crate) fn virtual_fs(kind: &str, at: &str, data: &str) -> Result<()> {
    let data = CString::new(data).expect("our options have no NUL");
    rustix::mount::mount(kind, at, kind, MountFlags::empty(), data.as_c_str())
        .map_err(|errno| failed(kind, at, errno))
}

/// Mounts a partition read-write. Its journal is replayed by that.
pub(crate) fn partition(node: &Path, at: &str) -> Result<()> {
    const FILE_SYSTEM: &str = "ext4";
    rustix::mount::mount(node, at, FILE_SYSTEM, MountFlags::NOATIME, None)
        .map_err(|errno| failed(&node.display().to_string(), at, errno))
}

/// Shows a directory at another place too.
pub(crate) fn bind(from: &Path, at: impl AsRef<Path>) -> Result<()> {
    rustix::mount::mount_bind(from, at.as_ref())
        .map_err(|errno| failed(&from.display().to_string(), at.as_ref(), errno))
}

/// Shows a directory at another place, read-only there.
pub(crate) fn bind_read_only(from: &Path, at: impl AsRef<Path>) -> Result<()> {
    bind(from, at.as_ref())?;
    // The kernel looks at the flags of a bind mount only when it is mounted again.
    let flags = MountFlags::BIND | MountFlags::RDONLY;
    rustix::mount::mount_remount(at.as_ref(), flags, "")
        .map_err(|errno| failed(&from.display().to_string(), at.as_ref(), errno))
}

/// Shows `lower` at its own place, with changes in `upper/upper`; `upper/work` is for the kernel.
pub(crate) fn overlay(lower: &str, upper: &str) -> Result<()> {
    for name in ["upper", "work"] {
        let path = format!("{upper}/{name}");
        match fs::create_dir(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(InitError::Io { action: "make", path: path.into(), source });
            }
            _ => {}
        }
    }
    let data = format!("lowerdir={lower},upperdir={upper}/upper,workdir={upper}/work");
    virtual_fs("overlay", lower, &data)
}

/// Takes a mount out of sight; what is mounted from it stays.
pub(crate) fn hide(at: &str) -> Result<()> {
    rustix::mount::unmount(at, UnmountFlags::DETACH).map_err(|errno| InitError::Io {
        action: "unmount",
        path: at.into(),
        source: errno.into(),
    })
}

/// Moves a mount.
pub(crate) fn move_to(from: &str, to: impl AsRef<Path>) -> Result<()> {
    rustix::mount::mount_move(from, to.as_ref()).map_err(|errno| failed(from, to.as_ref(), errno))
}

fn failed(what: &str, at: impl AsRef<Path>, errno: rustix::io::Errno) -> InitError {
    InitError::Mount { what: what.to_owned(), at: at.as_ref().to_owned(), source: errno.into() }
}
