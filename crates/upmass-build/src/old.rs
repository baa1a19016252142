//! The old release in memory: its trees with the position of every entry, and ways to look
//! objects and directories up.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use upmass_delta::rename::Renamer;
use upmass_format::payload::OldPlace;
use upmass_format::release::Release;
use upmass_format::tree::{
    Entry, Event, MAX_INLINE, MAX_SYMLINK, Meta, MtimePolicy, Node, TreeReader,
};
use upmass_format::tree_edit::OldNames;
use upmass_format::{Name, ObjectId, TreeId, TreePath};
use upmass_store::StoreError;

use crate::Result;
use crate::names::stem;
use crate::renamed::OldObjects;

/// More places of one name than this do not help to choose.
const MAX_PER_NAME: usize = 256;

/// All trees of the old release.
#[derive(Default)]
pub(crate) struct OldTrees {
    directories: Vec<OldDirectory>,
    roots: Vec<OldRoot>,
    /// Where each object is first; for naming it in an update.
    places: HashMap<ObjectId, (OldPlace, u64)>,
    /// Where is what becomes which object, and whether that is another one; for what an update
    /// need not make.
    kept_places: HashMap<ObjectId, (bool, OldPlace)>,
    /// Objects that become others, with their lengths.
    renamed: HashMap<ObjectId, (ObjectId, u64)>,
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
    /// What renaming does to the names in it; `None` when nothing.
    pub(crate) names: Option<OldNames>,
}

/// A directory of an old tree.
pub(crate) struct OldDirectory {
    pub(crate) place: OldPlace,
    pub(crate) path: TreePath,
    pub(crate) meta: Meta,
    pub(crate) children: BTreeMap<Name, OldChild>,
}

/// An entry of an old directory, renamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OldChild {
    Directory(usize),
    /// With the object that it was before, if it was one.
    Leaf(Meta, Node, Option<(ObjectId, u64)>),
}

/// A file of an old tree with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OldFile {
    pub(crate) id: ObjectId,
    pub(crate) size: u64,
    pub(crate) path: TreePath,
}

impl OldTrees {
    /// Reads all trees of a release, and renames what is in them.
    pub(crate) fn read(objects: OldObjects<'_>, release: &Release) -> Result<Self> {
        let store = objects.store;
        let mut trees = Self::default();
        for (index, component) in release.components.iter().enumerate() {
            let damaged = |source| StoreError::Damaged { id: component.tree.into(), source };
            let reader = store.tree_reader(component.tree)?;
            let policy = reader.policy();
            let directory = trees.read_tree(index as u64, reader).map_err(damaged)?;
            trees.roots.push(OldRoot { tree: component.tree, policy, directory, names: None });
        }
        if !objects.renamer.is_empty() {
            trees.rename(objects)?;
        }
        for (before, (place, _)) in &trees.places {
            let becomes = trees.renamed.get(before);
            let kept = (becomes.is_some(), *place);
            let id = becomes.map_or(*before, |(id, _)| *id);
            // The first, and rather one that stays.
            let best = trees.kept_places.entry(id).or_insert(kept);
            *best = kept.min(*best);
        }
        Ok(trees)
    }

    /// Does to all entries what a device does to those that it keeps.
    fn rename(&mut self, objects: OldObjects<'_>) -> Result<()> {
        let ids: Vec<ObjectId> = self.places.keys().copied().collect();
        self.renamed = ids
            .par_iter()
            .filter_map(|id| {
                let becomes = objects.becomes(*id).transpose()?;
                Some(becomes.map(|becomes| (*id, becomes)))
            })
            .collect::<Result<_>>()?;
        let text = |text: &mut Vec<u8>, limit| {
            if let Some(renamed) = objects.renamer.rename(text)
                && renamed.len() <= limit
            {
                *text = renamed;
            }
        };
        for directory in &mut self.directories {
            for child in directory.children.values_mut() {
                match child {
                    OldChild::Leaf(_, Node::Object { size, id }, _) => {
                        if let Some(renamed) = self.renamed.get(id) {
                            (*id, *size) = *renamed;
                        }
                    }
                    OldChild::Leaf(_, Node::Inline(content), _) => text(content, MAX_INLINE),
                    OldChild::Leaf(_, Node::Symlink(target), _) => text(target, MAX_SYMLINK),
                    OldChild::Leaf(..) | OldChild::Directory(_) => {}
                }
            }
        }
        self.rename_names(objects.renamer);
        Ok(())
    }

    /// Renames the entries of each tree, unless they would be in another order then: a device could
    /// not write them as it reads them.
    fn rename_names(&mut self, renamer: &Renamer) {
        for directory in &self.directories {
            let names = || directory.children.keys().map(|name| renamer.rename_name(name));
            if names().all(|renamed| renamed.is_none()) {
                continue;
            }
            let new: Vec<Name> = directory
                .children
                .keys()
                .zip(names())
                .map(|(name, renamed)| renamed.unwrap_or_else(|| name.clone()))
                .collect();
            let root = &mut self.roots[directory.place.component as usize];
            root.names = match new.is_sorted_by(|a, b| a < b) {
                true => Some(root.names.unwrap_or(OldNames::Renamed)),
                false => Some(OldNames::Stay),
            };
        }
        let roots = &self.roots;
        let renames = |directory: &OldDirectory| {
            roots[directory.place.component as usize].names == Some(OldNames::Renamed)
        };
        for directory in self.directories.iter_mut().filter(|directory| renames(directory)) {
            let children = std::mem::take(&mut directory.children);
            let children = children.into_iter().map(|(name, child)| {
                let child = match child {
                    OldChild::Leaf(meta, Node::Hardlink(target), before) => {
                        let target = renamer.rename_path(&target);
                        OldChild::Leaf(meta, Node::Hardlink(target), before)
                    }
                    child => child,
                };
                (renamer.rename_name(&name).unwrap_or(name), child)
            });
            directory.children = children.collect();
        }
        self.parents.clear();
        for (index, directory) in self.directories.iter().enumerate() {
            for name in directory.children.keys() {
                let parents = self.parents.entry(name.clone()).or_default();
                if parents.len() < MAX_PER_NAME {
                    parents.push(index);
                }
            }
        }
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
                node => {
                    let object = match node {
                        Node::Object { size, id } => Some((id, size)),
                        _ => None,
                    };
                    OldChild::Leaf(meta, node, object)
                }
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

    /// Where the object is that becomes this one, and whether it is another one now.
    pub(crate) fn kept_place(&self, id: ObjectId) -> Option<(bool, OldPlace)> {
        self.kept_places.get(&id).copied()
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
