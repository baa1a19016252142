//! Reading extended attributes.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs;
use rustix::io::{Errno, Result};
use upmass_format::tree::{MAX_XATTR_VALUE, Xattr};

use crate::XattrUse;

/// A warning of attributes that are not portable.
pub(crate) const LEFT_OUT: &str = "extended attributes that belong to a file system were left out";

/// Longest list of names that the kernel gives (XATTR_LIST_MAX).
const MAX_LIST: usize = 65536;
/// Enough for the names that nearly all files have.
const USUAL_LIST: usize = 1024;

/// Reads the attributes of files, one after the other, with the same buffers.
pub(crate) struct XattrReader {
    wanted: XattrUse,
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
    pub(crate) fn new(wanted: XattrUse) -> Self {
        Self { wanted, list: vec![0; USUAL_LIST], value: Vec::new() }
    }

    /// Reads all attributes that this process may see. `trusted.*` are shown to root only.
    pub(crate) fn read(&mut self, file: Opened<'_>) -> Result<Xattrs> {
        let mut xattrs = Xattrs { kept: Vec::new(), left_out: Vec::new() };
        if self.wanted == XattrUse::Drop {
            return Ok(xattrs);
        }
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
            if !has_portable_name(name) {
                xattrs.left_out.push(name.escape_ascii().to_string());
                continue;
            }
            self.value.resize(MAX_XATTR_VALUE, 0);
            let len = file.get(name, &mut self.value)?;
            let xattr = Xattr { name: name.to_vec(), value: self.value[..len].to_vec() };
            match is_portable(&xattr) {
                true => xattrs.kept.push(xattr),
                false => xattrs.left_out.push(name.escape_ascii().to_string()),
            }
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

/// Whether an attribute means the same on another file system.
pub(crate) fn is_portable(xattr: &Xattr) -> bool {
    has_portable_name(&xattr.name)
        // An HMAC is made with a key of its machine, and both it and most signatures cover the
        // number of the inode (Linux, security/integrity/evm/evm_crypto.c).
        && (xattr.name != b"security.evm" || xattr.value.first() == Some(&EVM_PORTABLE))
}

/// Whether an attribute of that name may mean the same on another file system.
/// `btrfs.compression` or `system.nfs4_acl` do not.
fn has_portable_name(name: &[u8]) -> bool {
    let begins_with = |starts: &[&[u8]]| starts.iter().any(|start| name.starts_with(start));
    begins_with(&NAMESPACES) && !begins_with(&PRIVATE)
}

/// What stands in front of names that mean the same everywhere, but for [`PRIVATE`].
const NAMESPACES: [&[u8]; 4] = [b"user.", b"trusted.", b"security.", b"system.posix_acl_"];

/// What stands in front of names that one file system or one machine keeps for itself.
const PRIVATE: [&[u8]; 9] = [
    // XFS shows root how it stores access lists, capabilities and labels, besides their usual
    // names. The list is that of libattr's xattr.conf, which says what `cp -a` is to skip.
    b"trusted.SGI_ACL_",
    b"trusted.SGI_CAP_FILE",
    b"trusted.SGI_DMI_",
    b"trusted.SGI_MAC_FILE",
    // Overlayfs keeps, in the layers themselves, handles of inodes below and what follows from
    // them (Linux, fs/overlayfs/overlayfs.h). `opaque`, `redirect` and `metacopy` say what a
    // directory or file is, and stay.
    b"trusted.overlay.impure",
    b"trusted.overlay.nlink",
    b"trusted.overlay.origin",
    b"trusted.overlay.upper",
    b"trusted.overlay.uuid",
];

/// The first byte of a signature that does not cover the inode (EVM_XATTR_PORTABLE_DIGSIG in
/// Linux, security/integrity/integrity.h).
const EVM_PORTABLE: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &[u8], expected: bool) {
        let xattr = Xattr { name: name.into(), value: value.to_vec() };
        assert_eq!(is_portable(&xattr), expected, "{name} {value:?}");
    }

    #[test]
    fn what_means_the_same_elsewhere_is_portable() {
        for name in ["user.a", "user.SGI_ACL_FILE", "trusted.SGI", "trusted.overlay.opaque"] {
            check(name, b"", true);
        }
        for name in ["trusted.overlay.redirect", "security.capability", "security.selinux"] {
            check(name, b"", true);
        }
        for name in ["security.ima", "system.posix_acl_access", "system.posix_acl_default"] {
            check(name, b"", true);
        }
    }

    #[test]
    fn what_one_file_system_or_machine_keeps_for_itself_is_not_portable() {
        for name in ["btrfs.compression", "system.nfs4_acl", "system.richacl", "os2.a", "user"] {
            check(name, b"", false);
        }
        for name in ["ACL_FILE", "ACL_DEFAULT", "CAP_FILE", "DMI_ATTR", "MAC_FILE"] {
            check(&format!("trusted.SGI_{name}"), b"", false);
        }
        for name in ["impure", "nlink", "origin", "upper", "uuid"] {
            check(&format!("trusted.overlay.{name}"), b"", false);
        }
    }

    #[test]
    fn of_evm_only_a_signature_without_the_inode_is_portable() {
        check("security.evm", &[5, 2, 4], true);
        for value in [&[2, 0, 0][..], &[3, 2, 4], &[]] {
            check("security.evm", value, false);
        }
    }
}
