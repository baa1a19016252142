//! The first pass: all names, and all of what is no directory.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, Mode};
use rustix::io::Errno;
use upmass_format::TreePath;
use upmass_format::tree::{Entry, Event, Node};
use upmass_store::Store;

use crate::descent::{Descent, open_dir};
use crate::error::Context;
use crate::leaf::{Leaves, Outcome, Place};
use crate::member::{Member, provider};
use crate::{CheckoutError, Result};

/// What a directory has until the second pass: nobody else can enter it.
pub(crate) const PRIVATE_DIRECTORY: Mode = Mode::RWXU;

/// Fills the root of a checkout.
pub(crate) struct Fill<'a> {
    pub(crate) store: &'a Store,
    pub(crate) root: BorrowedFd<'a>,
    pub(crate) members: &'a [Member],
    pub(crate) leaves: Leaves<'a>,
}

impl Fill<'_> {
    /// Makes all that a member has. Gives how many directories on the way to its install path
    /// were there before.
    pub(crate) fn member(&mut self, index: usize) -> Result<usize> {
        let member = &self.members[index];
        let (root, existing) = self.make_install_path(index)?;
        let mut descent = Descent::new(root);
        let damaged = |source| member.damaged(source);
        let mut reader = member.open_tree(self.store)?;
        while let Some(event) = reader.next_event().map_err(damaged)? {
            match event {
                Event::Entry(entry) if entry.node == Node::Directory => {
                    self.directory(index, &mut descent, &reader.directory(), &entry)?;
                }
                Event::Entry(entry) => {
                    self.leaf(index, &descent, &|| reader.directory(), &entry)?;
                }
                Event::Leave => {
                    let path = || member.path(&reader.directory());
                    descent.leave(|| reader.directory()).on("open", &path)?;
                }
            }
        }
        reader.finish().map_err(damaged)?;
        Ok(existing)
    }

    /// Makes a directory and goes into it.
    fn directory(
        &mut self,
        index: usize,
        descent: &mut Descent,
        path: &TreePath,
        entry: &Entry,
    ) -> Result<()> {
        let member = &self.members[index];
        let display = || member.path(path);
        let name = entry.name.as_bytes();
        let is_new = make_dir(descent.here(), name).on("make directory", &display)?;
        if is_new {
            self.leaves.report.entries += 1;
        } else if index == 0 {
            // Nobody else was here: this must be another name of the same tree.
            return Err(CheckoutError::SameName { path: display() });
        }
        match descent.enter(name) {
            Err(Errno::NOTDIR | Errno::LOOP) => Err(self.taken(index, path)),
            other => other.on("open", &display),
        }
    }

    /// Makes anything but a directory.
    fn leaf(
        &mut self,
        index: usize,
        descent: &Descent,
        directory: &dyn Fn() -> TreePath,
        entry: &Entry,
    ) -> Result<()> {
        let member = &self.members[index];
        let place = Place {
            directory: descent.here(),
            root: descent.root(),
            path: &|| member.path_in(&directory(), &entry.name),
        };
        match self.leaves.make(entry, place)? {
            Outcome::Made => self.leaves.report.entries += 1,
            Outcome::LeftOut => {}
            Outcome::Taken => {
                let path = directory().join(&entry.name);
                let path = path.expect("paths of a tree are within the limit");
                return Err(self.taken(index, &path));
            }
            Outcome::BrokenHardlink => {
                let Node::Hardlink(target) = &entry.node else {
                    unreachable!("nothing else is a broken hardlink");
                };
                return Err(CheckoutError::BrokenHardlink {
                    component: member.name.clone(),
                    path: (place.path)(),
                    target: target.to_string(),
                });
            }
        }
        Ok(())
    }

    /// Makes the directories on the way to the install path of a member, and that itself, where
    /// they are not there yet. Gives the last one, and how many were there.
    fn make_install_path(&mut self, index: usize) -> Result<(OwnedFd, usize)> {
        let member = &self.members[index];
        let display = || member.path(&TreePath::root());
        let mut here = open_dir(self.root, b".").on("open", &display)?;
        let mut existing = 0;
        for (above, name) in member.install.names().enumerate() {
            if make_dir(here.as_fd(), name).on("make directory", &display)? {
                self.leaves.report.entries += 1;
            } else {
                existing = above + 1;
            }
            here = match open_dir(here.as_fd(), name) {
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    return Err(self.not_a_directory(index, above + 1));
                }
                other => other.on("open", &display)?,
            };
        }
        Ok((here, existing))
    }

    /// Why a path in the tree of a member is there already.
    fn taken(&self, index: usize, path: &TreePath) -> CheckoutError {
        let member = &self.members[index];
        let names: Vec<_> = member.install.names().chain(path.names()).collect();
        let path = member.path(path);
        match provider(self.store, &self.members[..index], &names) {
            Ok(Some(first)) => CheckoutError::Conflict {
                path,
                first: first.name.clone(),
                second: member.name.clone(),
            },
            Ok(None) => CheckoutError::SameName { path },
            Err(error) => error,
        }
    }

    /// Why the first `depth` names of an install path do not lead to a directory.
    fn not_a_directory(&self, index: usize, depth: usize) -> CheckoutError {
        let member = &self.members[index];
        let names: Vec<_> = member.install.names().take(depth).collect();
        if depth == member.install.names().count() {
            return self.taken(index, &TreePath::root());
        }
        let path = TreePath::new(names.join(&b'/')).expect("the start of a path is a path");
        let path = format!("/{path}");
        match provider(self.store, &self.members[..index], &names) {
            Ok(Some(other)) => CheckoutError::NotADirectory {
                component: member.name.clone(),
                install: member.path(&TreePath::root()),
                path,
                other: other.name.clone(),
            },
            Ok(None) => CheckoutError::SameName { path },
            Err(error) => error,
        }
    }
}

/// Makes a directory; `false` when something has the name.
fn make_dir(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<bool> {
    match fs::mkdirat(parent, OsStr::from_bytes(name), PRIVATE_DIRECTORY) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(errno) => Err(errno),
    }
}
