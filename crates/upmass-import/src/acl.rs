//! The owners inside POSIX access lists, which the kernel shows as extended attributes.
//!
//! Layout (`include/uapi/linux/posix_acl_xattr.h`): version 2 as 4 bytes, then entries of
//! tag (2 bytes), permissions (2 bytes) and id (4 bytes), all little-endian.

use upmass_format::tree::Xattr;

use crate::Result;

const VERSION: [u8; 4] = 2u32.to_le_bytes();
const ENTRY_LEN: usize = 8;
const TAG_USER: u16 = 0x02;
const TAG_GROUP: u16 = 0x08;

/// Replaces the ids of named users and groups in all access lists of an entry. A list in
/// another form than the one above is left as it is.
pub(crate) fn map_ids(
    xattrs: &mut [Xattr],
    uid: impl Fn(u32) -> Result<u32>,
    gid: impl Fn(u32) -> Result<u32>,
) -> Result<()> {
    for xattr in xattrs {
        if !matches!(&xattr.name[..], b"system.posix_acl_access" | b"system.posix_acl_default") {
            continue;
        }
        let Some((VERSION, entries)) = xattr.value.split_first_chunk_mut().map(|(v, e)| (*v, e))
        else {
            continue;
        };
        for entry in entries.chunks_exact_mut(ENTRY_LEN) {
            let id = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
            let id = match u16::from_le_bytes([entry[0], entry[1]]) {
                TAG_USER => uid(id)?,
                TAG_GROUP => gid(id)?,
                _ => continue,
            };
            entry[4..].copy_from_slice(&id.to_le_bytes());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u32)]) -> Xattr {
        let mut value = VERSION.to_vec();
        for (tag, id) in entries {
            value.extend_from_slice(&tag.to_le_bytes());
            value.extend_from_slice(&7u16.to_le_bytes());
            value.extend_from_slice(&id.to_le_bytes());
        }
        Xattr { name: b"system.posix_acl_access".to_vec(), value }
    }

    #[test]
    fn named_users_and_groups_are_mapped_and_nothing_else() {
        let mut xattrs = [list(&[(0x01, u32::MAX), (0x02, 1000), (0x08, 1000), (0x10, u32::MAX)])];
        map_ids(&mut xattrs, |id| Ok(id + 1), |id| Ok(id + 2)).unwrap();
        assert_eq!(
            xattrs,
            [list(&[(0x01, u32::MAX), (0x02, 1001), (0x08, 1002), (0x10, u32::MAX)])]
        );
    }

    #[test]
    fn other_attributes_and_damaged_lists_are_left_alone() {
        for value in [&b""[..], b"\x02\0\0", b"\x03\0\0\0\x02\0\x07\0\x01\0\0\0", b"\x02\0\0\0\x02"]
        {
            let mut xattrs =
                [Xattr { name: b"system.posix_acl_default".to_vec(), value: value.to_vec() }];
            map_ids(&mut xattrs, |_| Ok(9), |_| Ok(9)).unwrap();
            assert_eq!(xattrs[0].value, value);
        }
        let mut xattrs = [Xattr { name: b"user.x".to_vec(), ..list(&[(0x02, 1)]) }];
        map_ids(&mut xattrs, |_| Ok(9), |_| Ok(9)).unwrap();
        assert_eq!(xattrs[0].value, list(&[(0x02, 1)]).value);
    }
}
