//! A directory of the running system becomes a tree.
//!
//! First the directory is walked by one thread, which looks at everything but the content of
//! regular files. Then all threads read these. Memory: the list of entries, and one buffer for
//! each thread.

mod walk;

use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rayon::prelude::*;
use rustix::fs::FileType;
use upmass_format::tree::{Meta, Node};
use upmass_store::Store;

use self::walk::{RegularFile, Walk, source_error};
use crate::beneath::{Beneath, FILE};
use crate::content::{BUFFER, SourceFile};
use crate::index::{Index, Learned};
use crate::objects::Objects;
use crate::stat::Inode;
use crate::warnings::Warnings;
use crate::xattr::{Opened, XattrReader};
use crate::{ImportError, ImportOptions, Imported, IndexUse, Result};

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
    let open_error = |error| ImportError::read("open", source.display(), error);
    let canonical = source.canonicalize().map_err(open_error)?;
    let beneath = Beneath::open(source).map_err(|errno| open_error(errno.into()))?;
    let mut walk = Walk::new(&beneath, options, store);
    let index = load_index(store, &canonical, options.index, &mut walk.warnings);
    walk.run()?;

    let reading = Reading { beneath: &beneath, objects: &objects, index: &index, progress };
    let contents = (walk.files.par_iter())
        .map_init(Reader::new, |reader, file| reading.read(reader, file))
        .collect::<Result<Vec<Content>>>()?;

    let mut imported = Counts::default();
    let mut learned = Vec::new();
    for (file, content) in std::mem::take(&mut walk.files).into_iter().zip(contents) {
        imported.files += 1;
        imported.bytes += content.node.file_size().unwrap_or(0);
        imported.hashed_bytes += content.hashed_bytes;
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
    let tree = objects.finish(walk.tree)?;
    if let Err(error) = index.save(store, learned) {
        walk.warnings.add(INDEX_NOT_SAVED, error);
    }
    let Counts { files, bytes, hashed_bytes } = imported;
    let warnings = walk.warnings.into_sentences();
    Ok(Imported { tree, files, bytes, hashed_bytes, warnings })
}

#[derive(Default)]
struct Counts {
    files: u64,
    bytes: u64,
    hashed_bytes: u64,
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
    fn new() -> Self {
        Self { buffer: vec![0; BUFFER], xattrs: XattrReader::new() }
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

fn load_index(store: &Store, source: &Path, wanted: IndexUse, warnings: &mut Warnings) -> Index {
    let source = source.as_os_str().as_bytes();
    match wanted {
        IndexUse::Rebuild => Index::empty(source),
        IndexUse::Believe => Index::load(store, source).unwrap_or_else(|why| {
            warnings.add(INDEX_NOT_READ, why);
            Index::empty(source)
        }),
    }
}

const INDEX_NOT_READ: &str = "the index of the last import cannot be read and is made anew";
const INDEX_NOT_SAVED: &str =
    "the index could not be written, so the next import reads all files again";
