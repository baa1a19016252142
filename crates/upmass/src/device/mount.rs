//! A partition as a directory that only this process sees.
//!
//! The mount is never attached to a place of the running system (fsmount(2) without move_mount),
//! so that nobody else can look into the store or change it, nothing must exist where it would
//! be mounted, and it goes with the process. It shares the file system with a mount that is there.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, fsconfig_create, fsconfig_reconfigure,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, fspick,
};
use upmass_boot::Part;

use crate::failure::{Failure, Kind, say_instead};

/// What will be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    Write,
}

/// A mounted partition.
pub struct Mounted {
    path: PathBuf,
    directory: OwnedFd,
    /// Whether the file system was read-only before, and is to be so again.
    was_read_only: bool,
}

impl Mounted {
    /// Mounts a partition of a disk, which may be mounted elsewhere as well.
    ///
    /// Where the file system is mounted read-only as a whole, as some initial RAM disks do, it is made
    /// writable for the time that this value lives. Other mounts of it stay read-only.
    pub fn new(name: &str, disk: &Path, part: &Part, access: Access) -> Result<Self, Failure> {
        let fail = |what: &str, errno: Errno| {
            let why = std::io::Error::from(errno);
            let message = format!("{what} partition {name} of {}: {why}", disk.display());
            Failure::new(Kind::Failed, message)
        };
        let looped;
        let node = match &part.node {
            Some(node) => node,
            None => {
                looped = Looped::new(disk, part)?;
                &looped.node
            }
        };
        let orders = match access {
            Access::Read => [["ro", "noload"], ["rw", "rw"]],
            Access::Write => [["rw", "rw"], ["ro", "ro"]],
        };
        // The flags must be those of a mount that is there.
        let first = mount(node, &orders[0]);
        let (mounted, other) = match first {
            Err(Errno::BUSY | Errno::ROFS | Errno::ACCESS) => (mount(node, &orders[1]), true),
            first => (first, false),
        };
        let directory = mounted.map_err(|errno| fail("mount", errno))?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        say_instead(&path, &format!("{}:{name}", disk.display()));
        let was_read_only = access == Access::Write && other;
        let this = Self { path, directory, was_read_only };
        if was_read_only {
            this.reconfigure("rw").map_err(|errno| fail("make writable", errno))?;
        }
        Ok(this)
    }

    /// A path that leads there, in this process alone.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Free bytes, and all.
    pub fn space(&self) -> Result<(u64, u64), Failure> {
        let found = rustix::fs::fstatvfs(&self.directory)
            .map_err(|errno| Failure::io("ask the space of", &self.path, errno.into()))?;
        Ok((found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize))
    }

    fn reconfigure(&self, flag: &str) -> Result<(), Errno> {
        let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
        let context = fspick(&self.directory, "", flags)?;
        fsconfig_set_flag(&context, flag)?;
        fsconfig_reconfigure(&context)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.was_read_only {
            // All that must be durable is; whoever writes there now keeps it writable.
            let _ = self.reconfigure("ro");
        }
    }
}

fn mount(node: &Path, flags: &[&str; 2]) -> Result<OwnedFd, Errno> {
    let context = fsopen("ext4", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", node)?;
    for flag in flags {
        fsconfig_set_flag(&context, *flag)?;
    }
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
    // It lives for as long as this descriptor is open.
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// A node for a partition that the kernel shows none for, as of an image.
struct Looped {
    node: PathBuf,
    is_ours: bool,
}

impl Looped {
    /// The loop device of this range. One that is there is taken, since two over the same bytes
    /// would be two file systems that know nothing of each other.
    fn new(disk: &Path, part: &Part) -> Result<Self, Failure> {
        let (offset, len) = (part.range.start().to_string(), part.range.len().to_string());
        let known = losetup(&["--list", "--noheadings", "--raw", "-O", COLUMNS, "-j"], disk)?;
        for line in known.lines() {
            let mut words = line.split_whitespace();
            let node = words.next().map(PathBuf::from);
            if let Some(node) = node.filter(|_| words.eq([&offset[..], &len])) {
                return Ok(Self { node, is_ours: false });
            }
        }
        let words = ["--find", "--show", "--offset", &offset, "--sizelimit", &len];
        let node = losetup(&words, disk)?.trim().into();
        Ok(Self { node, is_ours: true })
    }
}

const COLUMNS: &str = "NAME,OFFSET,SIZELIMIT";

fn losetup(words: &[&str], disk: &Path) -> Result<String, Failure> {
    let output = Command::new("losetup").args(words).arg(disk).output();
    let output = output.map_err(|error| Failure::io("run", Path::new("losetup"), error))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let disk = disk.display();
            let message = format!("the kernel shows no partitions of {disk}, and {why}");
            Err(Failure::new(Kind::Failed, message))
        }
    }
}

impl Drop for Looped {
    fn drop(&mut self) {
        if self.is_ours {
            // The kernel keeps it for as long as it is mounted.
            let _ = Command::new("losetup").arg("--detach").arg(&self.node).status();
        }
    }
}
