//! The second pass: what directories are, once all names are there.

use std::os::fd::BorrowedFd;

use upmass_format::tree::{Entry, Event, Meta, Node};
use upmass_format::{Name, TreePath};
use upmass_store::Store;

use crate::Result;
use crate::attributes::Attributes;
use crate::descent::{Descent, open_dir_at};
use crate::error::Context;
use crate::member::Member;

/// Gives directories their attributes. Where several members have a directory, those of the
/// last one stay: so the root of a component wins over the directory that it is installed in.
pub(crate) struct Settle<'a> {
    pub(crate) store: &'a Store,
    pub(crate) root: BorrowedFd<'a>,
    pub(crate) attributes: &'a mut Attributes,
}

impl Settle<'_> {
    /// Settles the directories of a member, and those on the way to it that no component has:
    /// all but the first `existing`, and but its own root. The root of the checkout is left.
    pub(crate) fn member(&mut self, member: &Member, existing: usize) -> Result<()> {
        self.way_to(member, existing)?;
        let damaged = |source| member.damaged(source);
        let mut reader = member.open_tree(self.store)?;
        let root = open_dir_at(self.root, &member.install)
            .on("open", &|| member.path(&TreePath::root()))?;
        let mut descent = Descent::new(root);
        let is_checkout_root = member.install.is_root();
        if !is_checkout_root {
            let path = || member.path(&TreePath::root());
            (self.attributes).set_directory(descent.here(), reader.root(), &path)?;
        }
        // Names of the open directories but the root, and what they get when they are left.
        let mut open: Vec<(Name, u16)> = Vec::new();
        while let Some(event) = reader.next_event().map_err(damaged)? {
            match event {
                Event::Entry(Entry { name, meta, node: Node::Directory }) => {
                    let path = || member.path(&reader.directory());
                    descent.enter(name.as_bytes()).on("open", &path)?;
                    (self.attributes).set_directory(descent.here(), &meta, &path)?;
                    open.push((name, meta.mode));
                }
                Event::Entry(_) => {}
                Event::Leave => {
                    let Some((name, mode)) = open.pop() else {
                        continue;
                    };
                    let path = || member.path_in(&reader.directory(), &name);
                    (self.attributes).set_directory_mode(descent.here(), mode, &path)?;
                    let parent = || member.path(&reader.directory());
                    (descent.leave(|| reader.directory())).on("open", &parent)?;
                }
            }
        }
        if !is_checkout_root {
            let path = || member.path(&TreePath::root());
            (self.attributes).set_directory_mode(descent.here(), reader.root().mode, &path)?;
        }
        Ok(())
    }

    /// Settles the root of the checkout, which opens it to others: the last step. It is as in
    /// the last of the members that are installed there.
    pub(crate) fn root(&mut self, members: &[Member]) -> Result<()> {
        let path = || "/".to_owned();
        let meta = match members.iter().rfind(|member| member.install.is_root()) {
            Some(member) => member.open_tree(self.store)?.root().clone(),
            None => missing_parent(),
        };
        self.attributes.set_directory(self.root, &meta, &path)?;
        (self.attributes).set_directory_mode(self.root, meta.mode, &path)
    }

    fn way_to(&mut self, member: &Member, existing: usize) -> Result<()> {
        let path = || member.path(&TreePath::root());
        let above = member.install.names().count().saturating_sub(1);
        if existing >= above {
            return Ok(());
        }
        let meta = missing_parent();
        let root = open_dir_at(self.root, &TreePath::root()).on("open", &path)?;
        let mut descent = Descent::new(root);
        for (index, name) in member.install.names().take(above).enumerate() {
            descent.enter(name).on("open", &path)?;
            if index >= existing {
                (self.attributes).set_directory(descent.here(), &meta, &path)?;
                (self.attributes).set_directory_mode(descent.here(), meta.mode, &path)?;
            }
        }
        Ok(())
    }
}

/// A directory that no component has, but one is installed below.
fn missing_parent() -> Meta {
    Meta { mode: 0o755, ..Meta::default() }
}
