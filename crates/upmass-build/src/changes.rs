//! What differs between two releases, file by file, before anything is built.

use std::collections::BTreeMap;

use upmass_format::release::Release;
use upmass_format::tree::{Child, Directory};
use upmass_format::{Name, ReleaseId, TreePath};
use upmass_store::Store;

use crate::Result;

/// One difference between two releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The component.
    pub component: String,
    /// The path in its tree; the root of a component that is new or gone.
    pub path: TreePath,
    /// What happened.
    pub kind: ChangeKind,
    /// Bytes of the file before; 0 when it is no file.
    pub old_size: u64,
    /// Bytes of the file now.
    pub new_size: u64,
}

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has other content, or is of another type.
    Content,
    /// Its owner, mode, times or attributes changed, and nothing else.
    Attributes,
}

impl ChangeKind {
    /// The word for it in reports.
    pub const fn word(self) -> &'static str {
        match self {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::Content => "changed",
            ChangeKind::Attributes => "attributes",
        }
    }
}

/// All differences, ascending by component and path.
pub fn changes(store: &Store, old: ReleaseId, new: ReleaseId) -> Result<Vec<Change>> {
    let (old, new) = (store.release(old)?, store.release(new)?);
    let mut names: Vec<&str> =
        old.components.iter().chain(&new.components).map(|c| c.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut changes = Vec::new();
    for name in names {
        let tree =
            |release: &Release| release.component(name).map(|index| release.components[index].tree);
        let (old, new) = (tree(&old), tree(&new));
        if old == new {
            continue;
        }
        let read = |id| -> Result<Directory> { Ok(store.tree(id)?.0) };
        let old = old.map(read).transpose()?.map(Child::Directory);
        let new = new.map(read).transpose()?.map(Child::Directory);
        let mut compare = Compare { component: name, changes: &mut changes };
        compare.entry(&TreePath::root(), old.as_ref(), new.as_ref());
    }
    Ok(changes)
}

struct Compare<'a> {
    component: &'a str,
    changes: &'a mut Vec<Change>,
}

impl Compare<'_> {
    fn entry(&mut self, path: &TreePath, old: Option<&Child>, new: Option<&Child>) {
        if old == new {
            return;
        }
        let size = |child: Option<&Child>| match child {
            Some(Child::Leaf(_, node)) => node.file_size().unwrap_or(0),
            _ => 0,
        };
        let kind = match (old, new) {
            (None, _) => Some(ChangeKind::Added),
            (_, None) => Some(ChangeKind::Removed),
            (Some(Child::Directory(old)), Some(Child::Directory(new))) => {
                (old.meta != new.meta).then_some(ChangeKind::Attributes)
            }
            (Some(Child::Leaf(_, old)), Some(Child::Leaf(_, new))) if old == new => {
                Some(ChangeKind::Attributes)
            }
            _ => Some(ChangeKind::Content),
        };
        if let Some(kind) = kind {
            let component = self.component.to_owned();
            let (old_size, new_size) = (size(old), size(new));
            let path = path.clone();
            self.changes.push(Change { component, path, kind, old_size, new_size });
        }
        let empty = BTreeMap::new();
        let (old, new) = (children(old, &empty), children(new, &empty));
        let mut names: Vec<_> = old.keys().chain(new.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let inner = path.join(name).expect("paths of a tree are within the limit");
            self.entry(&inner, old.get(name), new.get(name));
        }
    }
}

fn children<'a>(
    child: Option<&'a Child>,
    empty: &'a BTreeMap<Name, Child>,
) -> &'a BTreeMap<Name, Child> {
    match child {
        Some(Child::Directory(directory)) => &directory.children,
        _ => empty,
    }
}
