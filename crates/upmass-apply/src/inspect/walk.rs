//! All edits of trees, executed for what they mention.

use std::collections::HashMap;

use upmass_format::payload::OldPlace;
use upmass_format::tree::{Event, Node, TreeReader};
use upmass_format::{ObjectId, TreePath};

use super::ComponentCost;
use crate::plan::Remembered;
use crate::prelude::{Prelude, Segment, TreeBase, expect_end};
use crate::trees::{FileObject, NewObjects, OldRelease, edit_tree, rename_tree};
use crate::{ApplyError, Result};

/// A new object as trees mention it.
#[derive(Debug, Clone)]
pub(super) struct Met {
    /// Index into the components that change.
    pub(super) component: usize,
    /// The path that mentions it first.
    pub(super) path: TreePath,
    /// The object that was at its place, or that it is a renaming of.
    pub(super) here: Option<FileObject>,
    pub(super) is_renamed: bool,
}

/// What all edits come to.
pub(super) struct Walked {
    /// Those that change, without their files.
    pub(super) components: Vec<ComponentCost>,
    /// Bytes of the edits of each.
    pub(super) edit_bytes: Vec<u64>,
    /// New objects, in order.
    pub(super) objects: Vec<Met>,
}

/// Walks over all edits.
pub(super) fn walk(
    prelude: &Prelude,
    segment: &mut Segment<'_>,
    old: &OldRelease<'_>,
) -> Result<Walked> {
    let mut walked = Walked { components: Vec::new(), edit_bytes: Vec::new(), objects: Vec::new() };
    let mut numbers = Numbers { old, met: Vec::new(), remembered: Remembered::default() };
    for (index, component) in prelude.release.components.iter().enumerate() {
        let before = segment.edits.offset();
        let (from, tree) = match prelude.base_tree(index, old.release)? {
            TreeBase::Same(_) => continue,
            TreeBase::Renamed(tree) => {
                (Some(tree), rename_tree(old, tree, &mut numbers, Vec::new())?)
            }
            TreeBase::Edited(from) => {
                (from, edit_tree(old, from, &mut segment.edits, &mut numbers, Vec::new())?)
            }
        };
        let mut paths = paths(&tree, walked.objects.len(), numbers.met.len())?.into_iter();
        for (here, is_renamed) in &numbers.met[walked.objects.len()..] {
            // An object that a tree mentions is in it.
            let path = paths.next().flatten().unwrap_or_else(TreePath::root);
            let (component, here, is_renamed) = (walked.components.len(), *here, *is_renamed);
            walked.objects.push(Met { component, path, here, is_renamed });
        }
        walked.edit_bytes.push(segment.edits.offset() - before);
        let of_tree = |tree| {
            let components = old.release.iter().flat_map(|release| &release.components);
            components.into_iter().find(|old| old.tree == tree).map(|old| old.name.clone())
        };
        walked.components.push(ComponentCost {
            name: component.name.clone(),
            old: from.and_then(of_tree),
            metadata: 0.0,
            files: Vec::new(),
        });
    }
    expect_end(&mut segment.edits, "tree stream")?;
    Ok(walked)
}

/// Paths of the objects `first..end` in a tree that has their numbers for ids.
fn paths(tree: &[u8], first: usize, end: usize) -> Result<Vec<Option<TreePath>>> {
    let mut paths = vec![None; end - first];
    let mut reader = TreeReader::new(tree)?;
    loop {
        let directory = reader.directory();
        match reader.next_event()? {
            None => return Ok(paths),
            Some(Event::Leave) => {}
            Some(Event::Entry(entry)) => {
                let Node::Object { size: NUMBERED, id } = entry.node else { continue };
                let at = number(id).checked_sub(first).and_then(|at| paths.get_mut(at));
                if let Some(path @ None) = at {
                    *path = directory.join(&entry.name);
                }
            }
        }
    }
}

/// Size of what has a number for id; no file is as large.
const NUMBERED: u64 = u64::MAX;

fn numbered(number: usize) -> FileObject {
    let mut id = [0; ObjectId::LEN];
    id[..8].copy_from_slice(&(number as u64).to_le_bytes());
    FileObject { id: ObjectId::from_bytes(id), size: NUMBERED }
}

fn number(id: ObjectId) -> usize {
    let bytes = *id.as_bytes();
    u64::from_le_bytes(std::array::from_fn(|at| bytes[at])) as usize
}

/// Gives new objects numbers for ids.
struct Numbers<'a> {
    old: &'a OldRelease<'a>,
    /// What was there before, and whether it is only renamed.
    met: Vec<(Option<FileObject>, bool)>,
    remembered: Remembered,
}

impl NewObjects for Numbers<'_> {
    fn next(&mut self, here: Option<FileObject>) -> Result<FileObject> {
        self.met.push((here, false));
        Ok(numbered(self.met.len() - 1))
    }

    fn kept(&mut self, old: FileObject) -> Result<FileObject> {
        if !self.remembered.changes(self.old, old)? {
            return Ok(old);
        }
        self.met.push((Some(old), true));
        Ok(numbered(self.met.len() - 1))
    }

    fn again(&mut self, distance: u64) -> Result<FileObject> {
        let last = (self.met.len() as u64).checked_sub(1);
        match last.and_then(|last| last.checked_sub(distance)) {
            Some(number) => Ok(numbered(number as usize)),
            None => Err(ApplyError::Program("it uses a new object before the first".into())),
        }
    }
}

/// Paths of old files by their places; trees are read once.
pub(super) struct OldPaths<'a> {
    old: &'a OldRelease<'a>,
    trees: HashMap<u64, HashMap<u64, TreePath>>,
}

impl<'a> OldPaths<'a> {
    pub(super) fn new(old: &'a OldRelease<'a>) -> Self {
        Self { old, trees: HashMap::new() }
    }

    /// The name of the component and the path in it. The place was used as a file already.
    pub(super) fn at(&mut self, place: OldPlace) -> Result<(String, TreePath)> {
        let missing = || ApplyError::Program("it patches what the base has not".into());
        let components = self.old.release.map_or(&[][..], |release| &release.components);
        let component = components.get(place.component as usize).ok_or_else(missing)?;
        let paths = match self.trees.entry(place.component) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let mut paths = HashMap::new();
                let mut reader = self.old.store.tree_reader(component.tree)?;
                loop {
                    let (offset, directory) = (reader.offset(), reader.directory());
                    match reader.next_event()? {
                        None => break,
                        Some(Event::Leave) => {}
                        Some(Event::Entry(entry)) => {
                            paths.extend(directory.join(&entry.name).map(|path| (offset, path)));
                        }
                    }
                }
                entry.insert(paths)
            }
        };
        let path = paths.get(&place.offset).ok_or_else(missing)?;
        Ok((component.name.clone(), path.clone()))
    }
}
