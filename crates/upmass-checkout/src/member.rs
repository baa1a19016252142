//! The components of a checkout, in the order in which they are installed.

use std::cmp::Ordering;
use std::io::BufReader;

use upmass_format::release::Release;
use upmass_format::tree::{Event, Node, TreeReader};
use upmass_format::{FormatError, Name, TreeId, TreePath};
use upmass_store::{ObjectReader, Store, StoreError};

use crate::{CheckoutError, Result};

/// A tree as a stream.
pub(crate) type Tree = TreeReader<BufReader<ObjectReader>>;

/// A component and where it goes.
pub(crate) struct Member {
    pub(crate) name: String,
    /// From the target.
    pub(crate) install: TreePath,
    pub(crate) tree: TreeId,
}

impl Member {
    /// The components with these indexes, shallow install paths first: then a directory that
    /// one component has, and another is installed in, is there when it is needed. Those with
    /// the same install path are in the order of their names.
    pub(crate) fn in_order(release: &Release, indexes: &[usize]) -> Vec<Self> {
        let mut members: Vec<_> = (indexes.iter())
            .map(|index| {
                let component = &release.components[*index];
                Self {
                    name: component.name.clone(),
                    install: component.install.tree_path().clone(),
                    tree: component.tree,
                }
            })
            .collect();
        let depth = |member: &Self| member.install.names().count();
        members
            .sort_by(|a, b| (depth(a), &a.install, &a.name).cmp(&(depth(b), &b.install, &b.name)));
        members
    }

    /// The path of an entry of the tree in the running system, for people.
    pub(crate) fn path(&self, path: &TreePath) -> String {
        let install = &self.install;
        match (install.is_root(), path.is_root()) {
            (true, _) => format!("/{path}"),
            (false, true) => format!("/{install}"),
            (false, false) => format!("/{install}/{path}"),
        }
    }

    /// The path of an entry in a directory of the tree, for people.
    pub(crate) fn path_in(&self, directory: &TreePath, name: &Name) -> String {
        let directory = self.path(directory);
        let slash = if directory == "/" { "" } else { "/" };
        format!("{directory}{slash}{name}")
    }

    /// Opens the tree as a stream.
    pub(crate) fn open_tree(&self, store: &Store) -> Result<Tree> {
        (store.tree_reader(self.tree)).map_err(|source| self.unreadable(source))
    }

    /// As an error: what the stream says of the tree.
    pub(crate) fn damaged(&self, source: FormatError) -> CheckoutError {
        let id = self.tree.into();
        self.unreadable(StoreError::Damaged { id, source })
    }

    fn unreadable(&self, source: StoreError) -> CheckoutError {
        let component = self.name.clone();
        let source = Box::new(source);
        CheckoutError::Tree { component, source }
    }

    fn has_entry(&self, store: &Store, path: &[&[u8]]) -> Result<bool> {
        let mut reader = self.open_tree(store)?;
        let mut rest = path.iter();
        let Some(mut wanted) = rest.next() else {
            return Ok(true);
        };
        let damaged = |source| self.damaged(source);
        while let Some(Event::Entry(entry)) = reader.next_event().map_err(damaged)? {
            let is_directory = entry.node == Node::Directory;
            match entry.name.as_bytes().cmp(wanted) {
                Ordering::Less if is_directory => reader.skip_directory().map_err(damaged)?,
                Ordering::Less => {}
                Ordering::Equal => match rest.next() {
                    None => return Ok(true),
                    Some(next) if is_directory => wanted = next,
                    Some(_) => return Ok(false),
                },
                Ordering::Greater => return Ok(false),
            }
        }
        Ok(false)
    }
}

/// Who of the members has an entry at a path from the target: the last one that does. Reads
/// their trees, so this is for messages.
pub(crate) fn provider<'m>(
    store: &Store,
    members: &'m [Member],
    path: &[&[u8]],
) -> Result<Option<&'m Member>> {
    for member in members.iter().rev() {
        let mut rest = path.iter();
        if member.install.names().all(|name| rest.next() == Some(&name))
            && member.has_entry(store, rest.as_slice())?
        {
            return Ok(Some(member));
        }
    }
    Ok(None)
}
