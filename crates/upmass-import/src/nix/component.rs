//! One store path becomes one tree that says what Nix hashes, and no more.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use upmass_format::tree::{Child, Directory, MAX_INLINE, Meta, MtimePolicy, Node};
use upmass_format::{Name, TreePath};

use super::NixError;
use crate::directory::{ReadDirectory, read_directory};
use crate::index::{Index, Learned};
use crate::objects::Objects;
use crate::{ImportOptions, Imported, Owners, TreeBuilder, XattrUse};

/// Imports the store paths of a closure, one after the other.
pub(super) struct Importer<'a> {
    /// Shared by all; whoever made them commits them.
    pub(super) objects: &'a Objects<'a>,
    pub(super) index: &'a Index,
    pub(super) options: &'a ImportOptions,
    pub(super) progress: &'a (dyn Fn(u64) + Sync),
    /// What the index may keep.
    pub(super) learned: Vec<Learned>,
}

/// What a store path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Directory,
    Single,
}

impl Importer<'_> {
    /// Imports a store path. Says whether it is a single file or link: then it is the only
    /// entry, named `base`, of its tree.
    pub(super) fn import(
        &mut self,
        on_host: &Path,
        base: &str,
    ) -> crate::Result<(Shape, Imported)> {
        let meta = on_host
            .symlink_metadata()
            .map_err(|source| NixError::Io { path: on_host.to_owned(), source })?;
        if meta.is_dir() {
            Ok((Shape::Directory, self.tree(on_host)?))
        } else {
            Ok((Shape::Single, self.single(on_host, base, &meta)?))
        }
    }

    fn tree(&mut self, on_host: &Path) -> crate::Result<Imported> {
        let (owners, mtimes) = (Owners::Root, MtimePolicy::Normalised);
        let xattrs = XattrUse::Drop;
        let options = ImportOptions { owners, mtimes, xattrs, ..self.options.clone() };
        let read = read_directory(self.objects, self.index, on_host, &options, self.progress)?;
        self.learned.extend(read.learned);
        let (tree, policy) = Directory::read(&read.tree.encode()?[..]).expect(CANONICAL);
        let normalised = normalise(on_host, &tree, &tree)?;
        let tree = self.objects.put(&normalised.to_bytes(policy).expect(CANONICAL))?.into();
        let ReadDirectory { files, bytes, hashed_bytes, warnings, .. } = read;
        Ok(Imported { tree, files, bytes, hashed_bytes, warnings: warnings.into_sentences() })
    }

    /// A store path that is a file or a link becomes the only entry of a tree.
    fn single(&self, on_host: &Path, base: &str, meta: &Metadata) -> crate::Result<Imported> {
        let io = |source| NixError::Io { path: on_host.to_owned(), source };
        let (mode, node) = if meta.is_symlink() {
            let target = on_host.read_link().map_err(io)?;
            (0o777, Node::Symlink(target.into_os_string().into_vec()))
        } else if meta.is_file() {
            let file = File::open(on_host).map_err(io)?;
            (file_mode(meta.mode()), self.content(file, &io)?)
        } else {
            let found = "a device, pipe or socket";
            return Err(NixError::NotStoreContent { path: on_host.to_owned(), found }.into());
        };
        let bytes = node.file_size().unwrap_or(0);
        let mut builder = TreeBuilder::new(MtimePolicy::Normalised);
        let path = TreePath::new(base).expect("a base name is a name");
        builder.insert(path, Meta { mode, ..Meta::default() }, node)?;
        let tree = self.objects.put_tree(&builder)?;
        let files = u64::from(meta.is_file());
        Ok(Imported { tree, files, bytes, hashed_bytes: bytes, warnings: Vec::new() })
    }

    fn content(
        &self,
        mut file: File,
        io_error: &dyn Fn(io::Error) -> NixError,
    ) -> crate::Result<Node> {
        let mut start = Vec::new();
        let limit = MAX_INLINE as u64 + 1;
        (&mut file).take(limit).read_to_end(&mut start).map_err(io_error)?;
        (self.progress)(start.len() as u64);
        if start.len() <= MAX_INLINE {
            return Ok(Node::Inline(start));
        }
        let mut incoming = self.objects.incoming()?;
        incoming.write(&start)?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => {
                    incoming.write(&buffer[..len])?;
                    (self.progress)(len as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error(error).into()),
            }
        }
        let size = incoming.len();
        Ok(Node::Object { size, id: self.objects.add(incoming)? })
    }
}

/// A directory of a tree without all that Nix does not hash.
fn normalise(here: &Path, directory: &Directory, tree: &Directory) -> Result<Directory, NixError> {
    let below = |name: &Name| here.join(OsString::from_vec(name.as_bytes().to_vec()));
    let mut children = BTreeMap::new();
    for (name, child) in &directory.children {
        let child = match child {
            Child::Directory(child) => Child::Directory(normalise(&below(name), child, tree)?),
            Child::Leaf(meta, node) => {
                let (meta, node) = match node {
                    Node::Hardlink(target) => match tree.get(target) {
                        Some(Child::Leaf(meta, node)) => (meta, node),
                        _ => unreachable!("hardlinks of a tree in memory lead to a leaf"),
                    },
                    _ => (meta, node),
                };
                let mode = match node {
                    Node::Object { .. } | Node::Inline(_) => file_mode(meta.mode.into()),
                    Node::Symlink(_) => 0o777,
                    other => {
                        let found = crate::builder::describe(other);
                        return Err(NixError::NotStoreContent { path: below(name), found });
                    }
                };
                Child::Leaf(Meta { mode, ..Meta::default() }, node.clone())
            }
        };
        children.insert(name.clone(), child);
    }
    Ok(Directory { meta: Meta { mode: 0o555, ..Meta::default() }, children })
}

/// As Nix normalises it: executable means by its owner.
fn file_mode(mode: u32) -> u16 {
    if mode & 0o100 == 0 { 0o444 } else { 0o555 }
}

const CANONICAL: &str = "the builder's tree is canonical, and so is what is made from it";
