//! One regular file becomes a tree of one entry.

use std::path::Path;

use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::retry_on_intr;
use upmass_format::TreePath;
use upmass_format::tree::{Meta, MtimePolicy};
use upmass_store::Store;

use crate::content::SourceFile;
use crate::objects::Objects;
use crate::stat::Inode;
use crate::{ImportError, Imported, Result, TreeBuilder};

/// Imports the content of one regular file, which gets this path in a tree without any other
/// entry. Its own name, owner, times and attributes are not looked at, and `source` may be a
/// symlink to it: the tree says `mode`, and that the file is root's.
///
/// `progress` is told how many more bytes are done. All else is as in
/// [`import_directory`](crate::import_directory).
///
/// # Errors
/// What is no regular file is refused; what cannot be read is an error, and so is a file that
/// changes while it is read.
pub fn import_file(
    store: &Store,
    source: &Path,
    path: TreePath,
    mode: u16,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Imported> {
    let objects = Objects::new(store)?;
    let error =
        |action, errno: rustix::io::Errno| ImportError::read(action, source.display(), errno);
    // Without waiting for the other side of a pipe.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = retry_on_intr(|| fs::open(source, flags, Mode::empty()))
        .map_err(|errno| error("open", errno))?;
    let inode = Inode::of(&file).map_err(|errno| error("look at", errno))?;
    if inode.file_type != FileType::RegularFile {
        let (path, why) = (source.display().to_string(), "is not a regular file".to_owned());
        return Err(ImportError::Conflict { path, why });
    }
    let name = &|| source.display().to_string();
    let content = SourceFile { file: &file, inode: &inode, path: name, progress };
    let node = content.store(&objects, &mut Vec::new())?;
    let mut tree = TreeBuilder::new(MtimePolicy::Normalised);
    tree.insert(path, Meta { mode, ..Meta::default() }, node)?;
    let tree = objects.put_tree(&tree)?;
    objects.commit()?;
    Ok(Imported {
        tree,
        files: 1,
        bytes: inode.size,
        hashed_bytes: inode.size,
        warnings: Vec::new(),
    })
}
