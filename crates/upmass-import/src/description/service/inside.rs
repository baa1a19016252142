//! Looking at paths in the tree of an image, as a program in it would.

use std::collections::VecDeque;
use std::io::Read;

use upmass_format::tree::{Child, Directory, Meta, Node};
use upmass_format::{Name, TreePath};
use upmass_store::{Store, StoreError};

/// An image's tree.
pub(super) struct Inside<'a> {
    pub(super) store: &'a Store,
    pub(super) tree: &'a Directory,
}

/// What a path leads to, all symlinks followed, none of them out of the image.
pub(super) enum At<'a> {
    Directory,
    File(TreePath, &'a Meta, &'a Node),
    /// Nothing, but it could be made here.
    Missing(TreePath),
    /// Something else is there, or on the way.
    Other(TreePath),
}

impl<'a> Inside<'a> {
    pub(super) fn at(&self, path: &str) -> At<'a> {
        let mut left: VecDeque<Vec<u8>> = names(path.as_bytes()).map(<[u8]>::to_vec).collect();
        let mut here = TreePath::root();
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            if name == b".." {
                here = here.split_last().map_or(TreePath::root(), |(parent, _)| parent);
                continue;
            }
            let Some(next) = Name::new(name).and_then(|name| here.join(&name)) else {
                return At::Other(here);
            };
            match self.leaf(&next) {
                Some(Child::Leaf(_, Node::Symlink(target))) if links < MAX_LINKS => {
                    links += 1;
                    if target.starts_with(b"/") {
                        here = TreePath::root();
                    }
                    for name in names(target).rev() {
                        left.push_front(name.to_vec());
                    }
                }
                Some(Child::Leaf(meta, node @ (Node::Object { .. } | Node::Inline(_))))
                    if left.is_empty() =>
                {
                    return At::File(next, meta, node);
                }
                Some(Child::Leaf(..)) => return At::Other(next),
                Some(Child::Directory(_)) | None => here = next,
            }
        }
        if here.is_root() {
            return At::Directory;
        }
        match self.tree.get(&here) {
            Some(Child::Directory(_)) => At::Directory,
            Some(Child::Leaf(..)) => At::Other(here),
            None => At::Missing(here),
        }
    }

    /// The content of a file, if it has one of at most `limit` bytes.
    pub(super) fn text(&self, path: &str, limit: u64) -> Result<String, StoreError> {
        let content = match self.at(path) {
            At::File(_, _, Node::Inline(content)) => content.clone(),
            At::File(_, _, Node::Object { id, size }) if *size <= limit => {
                let mut content = Vec::new();
                let reader = self.store.object_reader(*id)?;
                // A read that fails leaves a user unknown, which is told.
                let _ = reader.take(limit).read_to_end(&mut content);
                content
            }
            _ => Vec::new(),
        };
        Ok(String::from_utf8_lossy(&content).into_owned())
    }

    /// What is at a path, a hardlink as the file that it is.
    fn leaf(&self, path: &TreePath) -> Option<&'a Child> {
        match self.tree.get(path)? {
            Child::Leaf(_, Node::Hardlink(first)) => self.tree.get(first),
            other => Some(other),
        }
    }
}

fn names(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !matches!(name, [] | [b'.']))
}

const MAX_LINKS: usize = 40;
