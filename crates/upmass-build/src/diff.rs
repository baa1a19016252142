//! New trees as edits of old ones, and the list of new objects that comes out of it.

use std::collections::HashMap;

use upmass_format::tree::{Child, Directory, MtimePolicy, Node};
use upmass_format::tree_edit::{Content, Edit, EditHead, NewNode, OldNames};
use upmass_format::{Name, ObjectId, TreePath};

use crate::old::{OldChild, OldTrees};

/// How many entries of a new directory are looked up to find an old one like it.
const MAX_VOTERS: usize = 256;

/// An object that the old release does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewObject {
    pub(crate) id: ObjectId,
    pub(crate) size: u64,
    /// Its number among all new objects.
    pub(crate) number: u64,
    /// Index of the component where it was met first.
    pub(crate) component: usize,
    /// Where it was met first.
    pub(crate) path: TreePath,
    /// The object that the file had before, where the edits say so.
    pub(crate) here: Option<(ObjectId, u64)>,
}

/// Writes the edits of all components, one after the other, and numbers new objects in the
/// order in which the device will meet them.
pub(crate) struct TreeDiff<'a> {
    old: &'a OldTrees,
    /// The tree stream.
    pub(crate) edits: Vec<u8>,
    /// New objects in their order.
    pub(crate) objects: Vec<NewObject>,
    /// Objects that come without a step, since they are old ones renamed, and their bytes.
    pub(crate) renamed: Vec<u64>,
    numbers: HashMap<ObjectId, usize>,
    component: usize,
    policy: MtimePolicy,
    names: OldNames,
}

/// Old entries that stay or go and are not written yet.
enum Pending {
    Nothing,
    Keep(u64),
    Drop(u64),
}

impl<'a> TreeDiff<'a> {
    pub(crate) fn new(old: &'a OldTrees) -> Self {
        Self {
            old,
            edits: Vec::new(),
            objects: Vec::new(),
            renamed: Vec::new(),
            numbers: HashMap::new(),
            component: 0,
            policy: MtimePolicy::Normalised,
            names: OldNames::default(),
        }
    }

    /// Whether a new tree is an old one, renamed. If so, what that makes is counted here.
    pub(crate) fn keep(&mut self, tree: &Directory, policy: MtimePolicy, base: usize) -> bool {
        let root = &self.old.roots()[base];
        let old = OldChild::Directory(root.directory);
        if root.policy != policy
            || root.names == Some(OldNames::Stay)
            || !self.is_same_directory(tree, root.directory)
        {
            return false;
        }
        self.number_kept(&old);
        true
    }

    /// Writes the edits that turn the tree of an old component into a new one; of nothing, when
    /// there is no old one. The old tree must have the same policy.
    pub(crate) fn component(
        &mut self,
        index: usize,
        tree: &Directory,
        policy: MtimePolicy,
        base: Option<usize>,
    ) {
        self.component = index;
        self.policy = policy;
        self.names = base.and_then(|base| self.old.roots()[base].names).unwrap_or_default();
        let base = base.map(|component| self.old.roots()[component].directory);
        let is_same = base.is_some_and(|base| self.old.directory(base).meta == tree.meta);
        let root = (!is_same).then(|| tree.meta.clone());
        EditHead { policy, names: self.names, root }.put(&mut self.edits);
        self.directory(&TreePath::root(), tree, base);
    }

    fn directory(&mut self, path: &TreePath, new: &Directory, base: Option<usize>) {
        let old = self.old;
        let nothing = Default::default();
        let old_children = base.map_or(&nothing, |base| &old.directory(base).children);
        let mut names: Vec<&Name> = new.children.keys().chain(old_children.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let mut pending = Pending::Nothing;
        for name in names {
            let inner = path.join(name).expect("paths of a tree are within the limit");
            match (new.children.get(name), old_children.get(name)) {
                (None, _) => self.drop_one(&mut pending),
                (Some(new), Some(old)) if self.is_same(new, old) => {
                    self.keep_one(&mut pending);
                    self.number_kept(old);
                }
                (Some(Child::Directory(new)), Some(OldChild::Directory(index))) => {
                    self.flush(&mut pending);
                    let meta = &self.old.directory(*index).meta;
                    Edit::Enter((new.meta != *meta).then(|| new.meta.clone())).put(&mut self.edits);
                    self.directory(&inner, new, Some(*index));
                }
                (
                    Some(Child::Leaf(meta, node)),
                    Some(old @ OldChild::Leaf(old_meta, old_node, here)),
                ) => {
                    self.flush(&mut pending);
                    // A hardlink has no attributes of its own.
                    let is_link = matches!(node, Node::Hardlink(_));
                    let was_link = matches!(old_node, Node::Hardlink(_));
                    let meta = ((meta != old_meta || was_link) && !is_link).then(|| meta.clone());
                    let node = match node == old_node {
                        true => {
                            self.number_kept(old);
                            None
                        }
                        false => Some(self.node(&inner, node, *here)),
                    };
                    Edit::Change(meta, node).put(&mut self.edits);
                }
                (Some(new), old) => {
                    if old.is_some() {
                        self.drop_one(&mut pending);
                    }
                    self.flush(&mut pending);
                    self.add(&inner, name, new);
                }
            }
        }
        match pending {
            Pending::Drop(_) => Edit::DropRest.put(&mut self.edits),
            Pending::Nothing | Pending::Keep(_) => Edit::KeepRest.put(&mut self.edits),
        }
    }

    fn add(&mut self, path: &TreePath, name: &Name, child: &Child) {
        match child {
            Child::Directory(new) => {
                let base = self.directory_like(path, new);
                let place = base.map(|base| self.old.directory(base).place);
                let node = NewNode::Directory(place);
                Edit::Add(name.clone(), new.meta.clone(), node).put(&mut self.edits);
                self.directory(path, new, base);
            }
            Child::Leaf(meta, node) => {
                let node = self.node(path, node, None);
                Edit::Add(name.clone(), meta.clone(), node).put(&mut self.edits);
            }
        }
    }

    fn node(&mut self, path: &TreePath, node: &Node, here: Option<(ObjectId, u64)>) -> NewNode {
        let Node::Object { size, id } = node else {
            return NewNode::Other(node.clone());
        };
        let next = self.made();
        if let Some(number) = self.numbers.get(id) {
            return NewNode::File(Content::Again((next - 1 - number) as u64));
        }
        if let Some((is_new, place)) = self.old.kept_place(*id) {
            self.number_object(*id, *size, is_new);
            return NewNode::File(Content::Old(place));
        }
        self.numbers.insert(*id, next);
        let (component, path) = (self.component, path.clone());
        let (id, size, number) = (*id, *size, next as u64);
        self.objects.push(NewObject { id, size, number, component, path, here });
        NewNode::File(Content::New)
    }

    /// How many new objects were mentioned.
    fn made(&self) -> usize {
        self.objects.len() + self.renamed.len()
    }

    /// Counts the objects of an old entry that stays: renamed, some of them are new.
    fn number_kept(&mut self, old: &OldChild) {
        match old {
            OldChild::Leaf(_, Node::Object { id, size }, Some((before, _))) => {
                self.number_object(*id, *size, id != before);
            }
            OldChild::Leaf(..) => {}
            OldChild::Directory(index) => {
                let old = self.old;
                old.directory(*index).children.values().for_each(|child| self.number_kept(child));
            }
        }
    }

    fn number_object(&mut self, id: ObjectId, size: u64, is_new: bool) {
        if is_new {
            self.numbers.insert(id, self.made());
            self.renamed.push(size);
        }
    }

    /// The old directory that has most in common with a new one, by its entries.
    fn directory_like(&self, path: &TreePath, new: &Directory) -> Option<usize> {
        let mut votes: HashMap<usize, usize> = HashMap::new();
        for (name, child) in new.children.iter().take(MAX_VOTERS) {
            for parent in self.old.parents_of(name) {
                let directory = self.old.directory(*parent);
                if !self.is_open_to(*parent) {
                    continue;
                }
                let is_same = match (child, &directory.children[name]) {
                    (Child::Leaf(_, new), OldChild::Leaf(_, old, _)) => new == old,
                    _ => false,
                };
                *votes.entry(*parent).or_default() += if is_same { 4 } else { 1 };
            }
        }
        let voters = new.children.len().min(MAX_VOTERS);
        let parts = |path: &TreePath| path.names().map(<[u8]>::to_vec).collect::<Vec<_>>();
        let here = parts(path);
        let closeness = |index: usize| {
            let there = parts(&self.old.directory(index).path);
            let ends = here.iter().rev().zip(there.iter().rev()).take_while(|(a, b)| a == b);
            let starts = here.iter().zip(&there).take_while(|(a, b)| a == b);
            ends.count() + starts.count()
        };
        votes
            .into_iter()
            .filter(|(_, votes)| votes * 2 >= voters)
            .max_by_key(|(index, votes)| (*votes, closeness(*index), std::cmp::Reverse(*index)))
            .map(|(index, _)| index)
    }

    /// Whether a directory can be a base here: only with the same policies, and never a root,
    /// which is no entry.
    fn is_open_to(&self, index: usize) -> bool {
        let directory = self.old.directory(index);
        let root = &self.old.roots()[directory.place.component as usize];
        let fits = root.names.is_none_or(|names| names == self.names);
        !directory.path.is_root() && root.policy == self.policy && fits
    }

    fn is_same(&self, new: &Child, old: &OldChild) -> bool {
        match (new, old) {
            (Child::Leaf(meta, node), OldChild::Leaf(old_meta, old_node, _)) => {
                node == old_node && meta == old_meta
            }
            (Child::Directory(new), OldChild::Directory(index)) => {
                self.is_same_directory(new, *index)
            }
            _ => false,
        }
    }

    fn is_same_directory(&self, new: &Directory, old: usize) -> bool {
        let old = self.old.directory(old);
        new.meta == old.meta
            && new.children.len() == old.children.len()
            && new
                .children
                .iter()
                .zip(&old.children)
                .all(|((name, new), (old_name, old))| name == old_name && self.is_same(new, old))
    }

    fn keep_one(&mut self, pending: &mut Pending) {
        match pending {
            Pending::Keep(count) => *count += 1,
            _ => {
                self.flush(pending);
                *pending = Pending::Keep(1);
            }
        }
    }

    fn drop_one(&mut self, pending: &mut Pending) {
        match pending {
            Pending::Drop(count) => *count += 1,
            _ => {
                self.flush(pending);
                *pending = Pending::Drop(1);
            }
        }
    }

    fn flush(&mut self, pending: &mut Pending) {
        match std::mem::replace(pending, Pending::Nothing) {
            Pending::Nothing => {}
            Pending::Keep(count) => Edit::Keep(count).put(&mut self.edits),
            Pending::Drop(count) => Edit::Drop(count).put(&mut self.edits),
        }
    }
}
