//! The Nix archive digest of a tree, computed from the store.

use upmass_format::nar::{NarDigest, NarHasher};
use upmass_format::tree::{Entry, Event, Node};
use upmass_format::{Name, ObjectId, TreeId, TreePath};

use crate::{Store, StoreError};

/// Why a tree has no Nix archive.
#[derive(Debug, thiserror::Error)]
pub enum NarError {
    /// The tree or the content of one of its files cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It holds what no store path can hold.
    #[error("{path} is {found}: a Nix store path has only directories, files and symlinks")]
    NotStoreContent {
        /// From the root of the tree.
        path: TreePath,
        /// What is there.
        found: &'static str,
    },
    /// It was to be a single file or symlink.
    #[error("its tree is not the single file or symlink {name}")]
    NotSingle {
        /// The name that its only entry should have.
        name: Name,
    },
}

impl Store {
    /// The digest of the Nix archive of a tree; with `single`, of the file or symlink of that
    /// name that must be the tree's only entry.
    ///
    /// Of a tree it depends on names, contents, targets of symlinks and whether owners may
    /// execute a file. `progress` is told the bytes of each piece of content that was read.
    /// Memory: one entry, one name for each open directory, 128 KiB.
    pub fn nar_digest(
        &self,
        tree: TreeId,
        single: Option<&Name>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<NarDigest, NarError> {
        let damaged = |source| StoreError::Damaged { id: tree.into(), source };
        let mut reader = self.tree_reader(tree)?;
        let mut nar = Archive { store: self, nar: NarHasher::new(), buffer: vec![0; BUFFER] };
        if let Some(name) = single {
            let not_single = || NarError::NotSingle { name: name.clone() };
            match reader.next_event().map_err(damaged)? {
                Some(Event::Entry(entry)) if entry.name == *name => {
                    nar.leaf(&entry, &TreePath::root(), progress)?;
                }
                _ => return Err(not_single()),
            }
            return match reader.next_event().map_err(damaged)? {
                Some(Event::Leave) => Ok(nar.nar.finish()),
                _ => Err(not_single()),
            };
        }
        nar.nar.begin_directory();
        let mut depth = 1_usize;
        while let Some(event) = reader.next_event().map_err(damaged)? {
            match event {
                Event::Entry(entry) => {
                    nar.nar.entry(entry.name.as_bytes());
                    if entry.node == Node::Directory {
                        nar.nar.begin_directory();
                        depth += 1;
                    } else {
                        nar.leaf(&entry, &reader.directory(), progress)?;
                        nar.nar.end_entry();
                    }
                }
                Event::Leave => {
                    nar.nar.end_directory();
                    depth -= 1;
                    if depth > 0 {
                        nar.nar.end_entry();
                    }
                }
            }
        }
        reader.finish().map_err(damaged)?;
        Ok(nar.nar.finish())
    }
}

/// An archive in the making.
struct Archive<'a> {
    store: &'a Store,
    nar: NarHasher,
    buffer: Vec<u8>,
}

impl Archive<'_> {
    fn leaf(
        &mut self,
        entry: &Entry,
        directory: &TreePath,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), NarError> {
        let is_executable = entry.meta.mode & 0o100 != 0;
        let found = match &entry.node {
            Node::Symlink(target) => {
                self.nar.symlink(target);
                return Ok(());
            }
            Node::Inline(content) => {
                self.nar.begin_file(is_executable, content.len() as u64);
                self.nar.content(content);
                self.nar.end_file();
                progress(content.len() as u64);
                return Ok(());
            }
            Node::Object { size, id } => {
                self.nar.begin_file(is_executable, *size);
                self.object(*id, *size, progress)?;
                self.nar.end_file();
                return Ok(());
            }
            Node::Directory => "a directory",
            Node::Hardlink(_) => "a hardlink",
            Node::Fifo => "a named pipe",
            Node::Socket => "a socket",
            Node::CharDevice(_) => "a character device",
            Node::BlockDevice(_) => "a block device",
        };
        let path = directory.join(&entry.name).expect("paths of a tree are within the limit");
        Err(NarError::NotStoreContent { path, found })
    }

    fn object(
        &mut self,
        id: ObjectId,
        size: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), NarError> {
        let unreadable = |source| StoreError::Read { path: format!("object {id}"), source };
        let object = self.store.open_object(id)?;
        if object.len() != size {
            let (expected, found) = (size, object.len());
            return Err(StoreError::WrongLength { id, expected, found }.into());
        }
        let mut position = 0;
        while position < size {
            let wanted = (size - position).min(BUFFER as u64) as usize;
            let piece = &mut self.buffer[..wanted];
            object.read_exact_at(piece, position).map_err(unreadable)?;
            self.nar.content(piece);
            progress(wanted as u64);
            position += wanted as u64;
        }
        Ok(())
    }
}

/// How much of an object is read at once.
const BUFFER: usize = 1 << 17;
