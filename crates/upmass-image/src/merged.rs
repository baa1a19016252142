//! All that a system consists of, as one tree.

use std::collections::BTreeMap;

use upmass_format::release::{Release, System};
use upmass_format::tree::{Child, Directory, Meta, Node};
use upmass_format::{Name, TreePath};
use upmass_store::Store;

use crate::{ImageError, Result};

/// A directory and all below it, from any components.
#[derive(Default)]
pub(crate) struct Merged {
    pub(crate) meta: Meta,
    pub(crate) children: BTreeMap<Name, Entry>,
}

/// What a name is.
pub(crate) enum Entry {
    Directory(Merged),
    /// Anything else. The target of a hardlink is a path in the system.
    Leaf(Meta, Node),
}

/// What a directory has that no component says anything of.
fn unsaid() -> Meta {
    Meta { mode: 0o755, ..Meta::default() }
}

/// Merges the components of a system as a checkout does: directories that several have are one,
/// with the attributes of the last one in order of install paths and names; nothing else may come
/// twice.
pub(crate) fn merge(store: &Store, release: &Release, system: &System) -> Result<Merged> {
    let mut members: Vec<_> =
        release.closure(system).into_iter().map(|index| &release.components[index]).collect();
    members.sort_by_key(|component| {
        let install = component.install.tree_path();
        (install.names().count(), install, &component.name)
    });
    let mut root = Merged { meta: unsaid(), ..Merged::default() };
    for component in members {
        let (tree, _) = store.tree(component.tree)?;
        let install = component.install.tree_path();
        let fail = |path: &TreePath, why: &str| ImageError::System {
            system: system.name.clone(),
            why: format!("component {:?} has /{path}, {why}", component.name),
        };
        let mut here = &mut root;
        for name in install.names() {
            let name = Name::new(name).expect("paths are made of names");
            let new = || Entry::Directory(Merged { meta: unsaid(), ..Merged::default() });
            match here.children.entry(name).or_insert_with(new) {
                Entry::Directory(next) => here = next,
                Entry::Leaf(..) => {
                    return Err(fail(install, "which another component has as something else"));
                }
            }
        }
        here.add(tree, install, install, &fail)?;
    }
    Ok(root)
}

impl Merged {
    fn add(
        &mut self,
        tree: Directory,
        path: &TreePath,
        install: &TreePath,
        fail: &dyn Fn(&TreePath, &str) -> ImageError,
    ) -> Result<()> {
        self.meta = tree.meta;
        for (name, child) in tree.children {
            let too_long = || fail(path, "in which a path is too long");
            let path = path.join(&name).ok_or_else(too_long)?;
            let known = self.children.remove(&name);
            let entry = match (known, child) {
                (None, Child::Leaf(meta, Node::Hardlink(target))) => {
                    let mut full = install.clone();
                    for name in target.names() {
                        let name = Name::new(name).expect("paths are made of names");
                        full = full.join(&name).ok_or_else(too_long)?;
                    }
                    Entry::Leaf(meta, Node::Hardlink(full))
                }
                (None, Child::Leaf(meta, node)) => Entry::Leaf(meta, node),
                (None, Child::Directory(directory)) => {
                    let mut new = Merged::default();
                    new.add(directory, &path, install, fail)?;
                    Entry::Directory(new)
                }
                (Some(Entry::Directory(mut known)), Child::Directory(directory)) => {
                    known.add(directory, &path, install, fail)?;
                    Entry::Directory(known)
                }
                (Some(_), _) => return Err(fail(&path, "which another component has as well")),
            };
            self.children.insert(name, entry);
        }
        Ok(())
    }
}
