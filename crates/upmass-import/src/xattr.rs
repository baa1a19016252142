//! Reading extended attributes.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs;
use rustix::io::{Errno, Result};
use upmass_format::tree::{MAX_XATTR_VALUE, Xattr};

/// A warning of attributes that are not portable.
pub(crate) const LEFT_OUT: &str = "extended attributes that belong to a file system were left out";

/// Longest list of names that the kernel gives (XATTR_LIST_MAX).
const MAX_LIST: usize = 65536;
/// Enough for the names that nearly all files have.
const USUAL_LIST: usize = 1024;

/// Reads the attributes of files, one after the other, with the same buffers.
pub(crate) struct XattrReader {
    list: Vec<u8>,
    value: Vec<u8>,
}

/// How a file was opened.
#[derive(Clone, Copy)]
pub(crate) enum Opened<'a> {
    /// To be read or listed.
    ToRead(BorrowedFd<'a>),
    /// Only to be looked at: such a file has no calls of its own for attributes, and is reached
    /// through /proc, which leads to this inode whatever has its name now.
    ToLook(BorrowedFd<'a>),
}

/// The attributes of one file.
pub(crate) struct Xattrs {
    /// Those that belong to the file, ascending by name.
    pub(crate) kept: Vec<Xattr>,
    /// Names of those that belong to its file system, and mean nothing elsewhere.
    pub(crate) left_out: Vec<String>,
}

impl XattrReader {
    pub(crate) fn new() -> Self {
        Self { list: vec![0; USUAL_LIST], value: Vec::new() }
    }

    /// Reads all attributes that this process may see. `trusted.*` are shown to root only.
    pub(crate) fn read(&mut self, file: Opened<'_>) -> Result<Xattrs> {
        let mut xattrs = Xattrs { kept: Vec::new(), left_out: Vec::new() };
        let len = match file.list(&mut self.list) {
            Err(Errno::RANGE) => {
                self.list.resize(MAX_LIST, 0);
                file.list(&mut self.list)
            }
            other => other,
        };
        let len = match len {
            Ok(len) => len,
            Err(Errno::OPNOTSUPP) => return Ok(xattrs),
            Err(errno) => return Err(errno),
        };
        for name in self.list[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            if !is_portable(name) {
                xattrs.left_out.push(name.escape_ascii().to_string());
                continue;
            }
            self.value.resize(MAX_XATTR_VALUE, 0);
            let len = file.get(name, &mut self.value)?;
            xattrs.kept.push(Xattr { name: name.to_vec(), value: self.value[..len].to_vec() });
        }
        xattrs.kept.sort();
        Ok(xattrs)
    }
}

impl Opened<'_> {
    fn list(self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Opened::ToRead(file) => fs::flistxattr(file, buffer),
            Opened::ToLook(file) => fs::listxattr(proc_path(file), buffer),
        }
    }

    fn get(self, name: &[u8], buffer: &mut [u8]) -> Result<usize> {
        match self {
            Opened::ToRead(file) => fs::fgetxattr(file, name, buffer),
            Opened::ToLook(file) => fs::getxattr(proc_path(file), name, buffer),
        }
    }
}

fn proc_path(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

/// Whether an attribute means the same on another file system. `btrfs.compression` or
/// `system.nfs4_acl` do not.
pub(crate) fn is_portable(name: &[u8]) -> bool {
    let namespaces: [&[u8]; 4] = [b"user.", b"trusted.", b"security.", b"system.posix_acl_"];
    namespaces.iter().any(|namespace| name.starts_with(namespace))
}
