//! What a caller may choose, and what an import tells.

use upmass_format::tree::{Meta, MtimePolicy};
use upmass_format::{TreeId, TreePath};

use crate::acl;
use crate::{ImportError, Result};

/// How a source is taken over. `Default` keeps owners and drops modification times.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Whether the tree keeps modification times.
    pub mtimes: MtimePolicy,
    /// Whose the files are on the device.
    pub owners: Owners,
    /// Whether the tree of a directory keeps extended attributes.
    pub xattrs: XattrUse,
    /// What becomes of other file systems that are mounted inside a directory.
    pub mounts: Mounts,
    /// Whether files that did not change since the last import of the same directory are read.
    pub index: IndexUse,
}

/// Whose the files are on the device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Owners {
    /// As the source says.
    #[default]
    Keep,
    /// Every owner and group becomes 0. Access lists keep the ids that they name.
    Root,
    /// Each id becomes the one beside it. An id that is not in the list is refused.
    Map {
        /// Owners, as (from, to).
        uids: Vec<(u32, u32)>,
        /// Groups, as (from, to).
        gids: Vec<(u32, u32)>,
    },
}

/// Whether a tree keeps the extended attributes of the directory that it is made from, and of what
/// is in it. Access lists and capabilities are such attributes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum XattrUse {
    /// All but those that belong to a file system.
    #[default]
    Keep,
    /// None is looked at.
    Drop,
}

/// What becomes of other file systems that are mounted inside an imported directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mounts {
    /// They are imported as if they were part of it.
    #[default]
    Descend,
    /// Their mount points become empty directories, with a warning.
    Empty,
}

/// Whether an import of a directory believes the index that the last one left in the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IndexUse {
    /// Files whose inode did not change are not read again.
    #[default]
    Believe,
    /// All files are read; the index is written anew.
    Rebuild,
}

/// What an import made. All of it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The tree.
    pub tree: TreeId,
    /// Regular files; names of one inode count once.
    pub files: u64,
    /// Their length in bytes, holes included.
    pub bytes: u64,
    /// Bytes that were hashed, so not taken from the index; holes included.
    pub hashed_bytes: u64,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
}

impl Owners {
    /// Changes owner and group, also where an access list names them.
    pub(crate) fn apply(&self, path: &TreePath, meta: &mut Meta) -> Result<()> {
        match self {
            Owners::Keep => {}
            Owners::Root => {
                meta.uid = 0;
                meta.gid = 0;
            }
            Owners::Map { .. } => {
                meta.uid = self.map_uid(path, meta.uid)?;
                meta.gid = self.map_gid(path, meta.gid)?;
                acl::map_ids(
                    &mut meta.xattrs,
                    |uid| self.map_uid(path, uid),
                    |gid| self.map_gid(path, gid),
                )?;
            }
        }
        Ok(())
    }

    fn map_uid(&self, path: &TreePath, id: u32) -> Result<u32> {
        let Owners::Map { uids, .. } = self else {
            return Ok(id);
        };
        look_up(uids, id).ok_or_else(|| ImportError::UnknownOwner {
            path: path.to_string(),
            kind: "owner",
            option: "uids",
            id,
        })
    }

    fn map_gid(&self, path: &TreePath, id: u32) -> Result<u32> {
        let Owners::Map { gids, .. } = self else {
            return Ok(id);
        };
        look_up(gids, id).ok_or_else(|| ImportError::UnknownOwner {
            path: path.to_string(),
            kind: "group",
            option: "gids",
            id,
        })
    }
}

fn look_up(list: &[(u32, u32)], id: u32) -> Option<u32> {
    list.iter().find(|(from, _)| *from == id).map(|(_, to)| *to)
}
