//! A directory of the running system becomes a tree.
//!
//! First the directory is walked by one thread, which looks at everything but the content of
//! regular files. Then all threads read these. Memory: the list of entries, and one buffer for
//! each thread.

mod walk;

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rayon::prelude::*;
use rustix::fs::FileType;
use upmass_format::tree::{Meta, Node};
use upmass_store::Store;

use self::walk::{RegularFile, Walk, source_error};
use crate::beneath::{Beneath, FILE};
use crate::content::SourceFile;
use crate::index::{Index, Learned};
use crate::objects::Objects;
use crate::stat::Inode;
use crate::warnings::Warnings;
use crate::xattr::{Opened, XattrReader};
use crate::{ImportError, ImportOptions, Imported, Result, TreeBuilder, XattrUse};

/// Imports a directory. Symlinks are taken as they are and never followed, so that nothing
/// outside of it is read; `source` itself may be one.
///
/// `progress` is told how many more bytes of content are done, from any thread. All objects
/// and the tree are durable on return. They stay as long as `store` has its writer lock; the
/// caller records the release that needs them before it gives that up.
///
/// # Errors
/// What cannot be read is an error and never left out. So is a file that changes while it is
/// read.
pub fn import_directory(
    store: &Store,
    source: &Path,
    options: &ImportOptions,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Imported> {
    let objects = Objects::new(store)?;
    let canonical = source.canonicalize().map_err(|error| open_error(source, error))?;
    let mut warnings = Warnings::default();
    let index = Index::open(store, &canonical, options.index, &mut warnings);
    let read = read_directory(&objects, &index, source, options, progress)?;
    let tree = objects.put_tree(&read.tree)?;
    objects.commit()?;
    warnings.append(read.warnings);
    index.save(store, read.learned, &mut warnings);
    let ReadDirectory { files, bytes, hashed_bytes, .. } = read;
    Ok(Imported { tree, files, bytes, hashed_bytes, warnings: warnings.into_sentences() })
}

/// What was read of a directory. Its contents are among the objects, the tree is not yet.
pub(crate) struct ReadDirectory {
    pub(crate) tree: TreeBuilder,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) hashed_bytes: u64,
    /// What the index may keep.
    pub(crate) learned: Vec<Learned>,
    pub(crate) warnings: Warnings,
}

/// Reads a directory, as [`import_directory`] does, into objects that others may share. The
/// index was opened before anything of the directory was looked at.
pub(crate) fn read_directory(
    objects: &Objects<'_>,
    index: &Index,
    source: &Path,
    options: &ImportOptions,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<ReadDirectory> {
    let beneath = Beneath::open(source).map_err(|errno| open_error(source, errno.into()))?;
    let mut walk = Walk::new(&beneath, options, objects.store());
    walk.run()?;

    let reading = Reading { beneath: &beneath, objects, index, progress };
    let contents = (walk.files.par_iter())
        .map_init(|| Reader::new(options.xattrs), |reader, file| reading.read(reader, file))
        .collect::<Result<Vec<Content>>>()?;

    let (mut files, mut bytes, mut hashed_bytes) = (0, 0, 0);
    let mut learned = Vec::new();
    for (file, content) in std::mem::take(&mut walk.files).into_iter().zip(contents) {
        files += 1;
        bytes += content.node.file_size().unwrap_or(0);
        hashed_bytes += content.hashed_bytes;
        learned.extend(content.learned);
        for name in content.left_out {
            walk.warn_left_out(&name, &file.path);
        }
        let mut meta = content.meta;
        options.owners.apply(&file.path, &mut meta)?;
        walk.tree.insert(file.path, meta, content.node)?;
    }
    for (path, target) in walk.links {
        walk.tree.link(path, &target)?;
    }
    let Walk { tree, warnings, .. } = walk;
    Ok(ReadDirectory { tree, files, bytes, hashed_bytes, learned, warnings })
}

/// What all threads share that read files.
struct Reading<'a> {
    beneath: &'a Beneath,
    objects: &'a Objects<'a>,
    index: &'a Index,
    progress: &'a (dyn Fn(u64) + Sync),
}

/// What one thread needs to read files.
struct Reader {
    buffer: Vec<u8>,
    xattrs: XattrReader,
}

/// A regular file that was read.
struct Content {
    meta: Meta,
    node: Node,
    hashed_bytes: u64,
    learned: Option<Learned>,
    /// Names of attributes that the tree does not keep.
    left_out: Vec<String>,
}

impl Reader {
    fn new(xattrs: XattrUse) -> Self {
        Self { buffer: Vec::new(), xattrs: XattrReader::new(xattrs) }
    }
}

impl Reading<'_> {
    fn read(&self, reader: &mut Reader, found: &RegularFile) -> Result<Content> {
        let error = |action, errno| source_error(self.beneath, action, &found.path, errno);
        let file = self.beneath.open_at(&found.path, FILE).map_err(|errno| error("open", errno))?;
        let inode = Inode::of(&file).map_err(|errno| error("look at", errno))?;
        if inode.key != found.key || inode.file_type != FileType::RegularFile {
            let what = "another file has its name now";
            return Err(ImportError::Changed { path: self.beneath.display(&found.path), what });
        }
        let xattrs = reader.xattrs.read(Opened::ToRead(file.as_fd()));
        let xattrs = xattrs.map_err(|errno| error("read the attributes of", errno))?;
        let known = self.index.look_up(found.filesystem, &inode);
        let (node, hashed_bytes) = match known {
            Some(id) if self.objects.has(id)? => {
                (self.progress)(inode.size);
                (Node::Object { size: inode.size, id }, 0)
            }
            _ => {
                let path = &|| self.beneath.display(&found.path);
                let progress = self.progress;
                let source = SourceFile { file: &file, inode: &inode, path, progress };
                (source.store(self.objects, &mut reader.buffer)?, inode.size)
            }
        };
        let learned = match node {
            Node::Object { id, .. } => self.index.learn(found.filesystem, &inode, id),
            _ => None,
        };
        let meta = Meta { xattrs: xattrs.kept, ..inode.meta() };
        Ok(Content { meta, node, hashed_bytes, learned, left_out: xattrs.left_out })
    }
}

fn open_error(source: &Path, error: io::Error) -> ImportError {
    ImportError::read("open", source.display(), error)
}
