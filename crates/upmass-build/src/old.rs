//! The old release in memory: its trees with the position of every entry, and ways to look
//! objects and directories up.

use std::collections::{BTreeMap, HashMap};

use upmass_format::payload::OldPlace;
use upmass_format::release::Release;
use upmass_format::tree::{Entry, Event, Meta, MtimePolicy, Node, TreeReader};
use upmass_format::{Name, ObjectId, TreeId, TreePath};
use upmass_store::{Store, StoreError};

use crate::Result;
use crate::names::stem;

/// More places of one name than this do not help to choose.
const MAX_PER_NAME: usize = 256;

/// All trees of the old release.
#[derive(Default)]
pub(crate) struct OldTrees {
    directories: Vec<OldDirectory>,
    roots: Vec<OldRoot>,
    /// Where each object is first; for naming it in an update.
    places: HashMap<ObjectId, (OldPlace, u64)>,
    files: Vec<OldFile>,
    files_by_name: HashMap<Name, Vec<usize>>,
    files_by_stem: HashMap<Vec<u8>, Vec<usize>>,
    parents: HashMap<Name, Vec<usize>>,
}

/// The tree of an old component.
pub(crate) struct OldRoot {
    pub(crate) tree: TreeId,
    pub(crate) policy: MtimePolicy,
    pub(crate) directory: usize,
}

/// A directory of an old tree.
pub(crate) struct OldDirectory {
    pub(crate) place: OldPlace,
    pub(crate) path: TreePath,
    pub(crate) meta: Meta,
    pub(crate) children: BTreeMap<Name, OldChild>,
}

/// An entry of an old directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OldChild {
    Directory(usize),
    Leaf(Meta, Node),
}

/// A file of an old tree with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OldFile {
    pub(crate) id: ObjectId,
    pub(crate) size: u64,
    pub(crate) path: TreePath,
}

impl OldTrees {
    /// Reads all trees of a release.
    pub(crate) fn read(store: &Store, release: &Release) -> Result<Self> {
        let mut trees = Self::default();
        for (index, component) in release.components.iter().enumerate() {
            let damaged = |source| StoreError::Damaged { id: component.tree.into(), source };
            let reader = store.tree_reader(component.tree)?;
            let policy = reader.policy();
            let directory = trees.read_tree(index as u64, reader).map_err(damaged)?;
            trees.roots.push(OldRoot { tree: component.tree, policy, directory });
        }
        Ok(trees)
    }

    fn read_tree<R: std::io::Read>(
        &mut self,
        component: u64,
        mut reader: TreeReader<R>,
    ) -> upmass_format::Result<usize> {
        let root = self.add_directory(OldDirectory {
            place: OldPlace { component, offset: 0 },
            path: TreePath::root(),
            meta: reader.root().clone(),
            children: BTreeMap::new(),
        });
        let mut open = vec![root];
        loop {
            let place = OldPlace { component, offset: reader.offset() };
            let Some(event) = reader.next_event()? else {
                break;
            };
            let Event::Entry(Entry { name, meta, node }) = event else {
                open.pop();
                continue;
            };
            let here = *open.last().expect("an entry is in a directory");
            let path = self.directories[here].path.join(&name).expect("checked by the reader");
            let parents = self.parents.entry(name.clone()).or_default();
            if parents.len() < MAX_PER_NAME {
                parents.push(here);
            }
            if let Node::Object { size, id } = node {
                self.add_file(&name, OldFile { id, size, path: path.clone() }, place);
            }
            let child = match node {
                Node::Directory => {
                    let children = BTreeMap::new();
                    let index = self.add_directory(OldDirectory { place, path, meta, children });
                    open.push(index);
                    OldChild::Directory(index)
                }
                node => OldChild::Leaf(meta, node),
            };
            self.directories[here].children.insert(name, child);
        }
        reader.finish()?;
        Ok(root)
    }

    fn add_directory(&mut self, directory: OldDirectory) -> usize {
        self.directories.push(directory);
        self.directories.len() - 1
    }

    fn add_file(&mut self, name: &Name, file: OldFile, place: OldPlace) {
        self.places.entry(file.id).or_insert((place, file.size));
        let index = self.files.len();
        let by_name = self.files_by_name.entry(name.clone()).or_default();
        if by_name.len() < MAX_PER_NAME {
            by_name.push(index);
        }
        let by_stem = self.files_by_stem.entry(stem(name.as_bytes())).or_default();
        if by_stem.len() < MAX_PER_NAME {
            by_stem.push(index);
        }
        self.files.push(file);
    }

    /// The trees, by component.
    pub(crate) fn roots(&self) -> &[OldRoot] {
        &self.roots
    }

    /// A directory.
    pub(crate) fn directory(&self, index: usize) -> &OldDirectory {
        &self.directories[index]
    }

    /// Where an object is, and its length.
    pub(crate) fn place(&self, id: ObjectId) -> Option<(OldPlace, u64)> {
        self.places.get(&id).copied()
    }

    /// All files with objects.
    pub(crate) fn files(&self) -> &[OldFile] {
        &self.files
    }

    /// Files with this name, or with names that differ from it in numbers only.
    pub(crate) fn files_like<'a>(&'a self, name: &Name) -> impl Iterator<Item = &'a OldFile> {
        let same = self.files_by_name.get(name).map_or(&[][..], Vec::as_slice);
        let similar = match same {
            [] => self.files_by_stem.get(&stem(name.as_bytes())).map_or(&[][..], Vec::as_slice),
            _ => &[],
        };
        same.iter().chain(similar).map(|index| &self.files[*index])
    }

    /// Directories that have an entry of this name.
    pub(crate) fn parents_of(&self, name: &Name) -> &[usize] {
        self.parents.get(name).map_or(&[], Vec::as_slice)
    }
}
