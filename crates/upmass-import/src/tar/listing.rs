//! An archive as a set of files that are read at any position.

use std::collections::BTreeMap;

use upmass_disk::ReadAt;
use upmass_format::TreePath;

use super::compression::Compression;
use super::fault::ArchiveFault;
use super::member::{Kind, Members};
use super::stream::Stream;
use super::{Failure, archive_error, path};
use crate::Result;
use crate::read_at::Cursor;

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listed {
    /// A regular file, and where in the archive its content is.
    File { offset: u64, len: u64 },
    /// A symlink, with its target as written.
    Symlink(Vec<u8>),
}

/// Reads through an archive that is not compressed, and says where its files are. Everything but
/// regular files and symlinks is left out; of members with the same path, the last one stays.
pub(crate) fn list(name: &str, archive: &dyn ReadAt) -> Result<BTreeMap<TreePath, Listed>> {
    let stream = Stream::new(Box::new(Cursor::new(archive)));
    let mut members = Members::new(stream, Compression::None);
    let mut listed = BTreeMap::new();
    walk(&mut members, &mut listed)
        .map_err(|fault| archive_error(name, &Failure::default(), None, members.at, fault))?;
    Ok(listed)
}

fn walk(
    members: &mut Members<'_>,
    listed: &mut BTreeMap<TreePath, Listed>,
) -> Result<(), ArchiveFault> {
    while let Some(member) = members.next()? {
        let path = path::clean(&member.path, "path")?.path;
        if listed.len() >= MAX_MEMBERS {
            let what = "list of members";
            let (found, limit) = (listed.len() as u64 + 1, MAX_MEMBERS as u64);
            return Err(ArchiveFault::TooLong { what, found, limit });
        }
        match member.kind {
            Kind::File if member.map.is_some() => {
                return Err(ArchiveFault::Sparse { why: "expected a file without holes" });
            }
            Kind::File => {
                let (offset, len) = (members.stream.offset(), member.stored);
                members.stream.pass(len, "a file")?;
                members.stream.padding(len, "a file")?;
                listed.insert(path, Listed::File { offset, len });
            }
            Kind::Symlink(target) => {
                listed.insert(path, Listed::Symlink(target));
            }
            _ => {}
        }
    }
    Ok(())
}

/// An image has three files and a directory for each layer.
const MAX_MEMBERS: usize = 1 << 16;
