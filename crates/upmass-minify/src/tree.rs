//! The system in memory: names, links and lookups, without contents.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use crate::files::name_of;
use crate::{Entry, Files, Kind, Result};

/// An entry: its index in the order of paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub(crate) u32);

/// All entries of a system, ascending by path.
pub(crate) struct Tree<'f> {
    files: &'f dyn Files,
    entries: Vec<Entry>,
    by_path: HashMap<Vec<u8>, Id>,
}

/// Where a path leads.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// What is there after all links; `None` when nothing is, or links go round.
    pub(crate) end: Option<Id>,
    /// The symlinks that were followed, in their order.
    pub(crate) links: Vec<Id>,
}

impl<'f> Tree<'f> {
    pub(crate) fn new(files: &'f dyn Files) -> Result<Self> {
        let mut entries = files.entries()?;
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let ids = (0..).map(Id);
        let by_path = entries.iter().map(|entry| entry.path.clone()).zip(ids).collect();
        Ok(Self { files, entries, by_path })
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        (0..self.entries.len() as u32).map(Id)
    }

    pub(crate) fn entry(&self, id: Id) -> &Entry {
        &self.entries[id.0 as usize]
    }

    pub(crate) fn path(&self, id: Id) -> &[u8] {
        &self.entry(id).path
    }

    /// What has exactly this path; links are not followed.
    pub(crate) fn at(&self, path: &[u8]) -> Option<Id> {
        self.by_path.get(path).copied()
    }

    /// All that is below a directory, at any depth.
    pub(crate) fn below(&self, directory: &[u8]) -> impl Iterator<Item = Id> + use<> {
        let mut prefix = directory.to_vec();
        prefix.push(b'/');
        self.range(&prefix).map(Id)
    }

    /// What is in a directory itself.
    pub(crate) fn children(&self, directory: &[u8]) -> impl Iterator<Item = Id> {
        let len = directory.len() + 1;
        self.below(directory).filter(move |id| !self.path(*id)[len..].contains(&b'/'))
    }

    /// Content of a regular file, at most [`MAX_CONTENT`] bytes of it; nothing of other entries.
    pub(crate) fn content(&self, id: Id) -> Result<Vec<u8>> {
        match self.entry(id).kind {
            Kind::File { .. } => self.files.read(self.path(id), MAX_CONTENT),
            _ => Ok(Vec::new()),
        }
    }

    /// The first bytes of a regular file.
    pub(crate) fn head(&self, id: Id, limit: u64) -> Result<Vec<u8>> {
        match self.entry(id).kind {
            Kind::File { .. } => self.files.read(self.path(id), limit),
            _ => Ok(Vec::new()),
        }
    }

    /// Content of the regular file that a path leads to, where there is one.
    pub(crate) fn text(&self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.resolve(path).end {
            Some(id) if matches!(self.entry(id).kind, Kind::File { .. }) => {
                self.content(id).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Follows all links on the way to a path and at its end, as the kernel would with the
    /// system as its root.
    pub(crate) fn resolve(&self, path: &[u8]) -> Resolved {
        let mut left: VecDeque<&[u8]> = names(path).collect();
        let mut here: Vec<u8> = Vec::new();
        let mut resolved = Resolved::default();
        let mut end = None;
        while let Some(name) = left.pop_front() {
            if name == b".." {
                here.truncate(here.len() - name_of(&here).len());
                here.pop();
                end = self.at(&here);
                continue;
            }
            let len = here.len();
            here.push(b'/');
            here.extend_from_slice(name);
            let Some(id) = self.at(&here) else {
                return resolved;
            };
            end = Some(id);
            match &self.entry(id).kind {
                Kind::Directory => {}
                Kind::Symlink(target) => {
                    if resolved.links.len() == MAX_LINKS {
                        return resolved;
                    }
                    resolved.links.push(id);
                    here.truncate(if target.starts_with(b"/") { 0 } else { len });
                    end = self.at(&here);
                    for name in names(target).rev() {
                        left.push_front(name);
                    }
                }
                _ if left.is_empty() => {}
                _ => return resolved,
            }
        }
        resolved.end = end;
        resolved
    }

    /// The entry that a path names when only the links on the way to it are followed: what a
    /// package database means by a path.
    pub(crate) fn named(&self, path: &[u8]) -> Option<Id> {
        if let Some(id) = self.at(path) {
            return Some(id);
        }
        let parent = self.resolve(crate::files::parent_of(path)).end?;
        self.at(&[self.path(parent), b"/", name_of(path)].concat())
    }

    fn range(&self, prefix: &[u8]) -> Range<u32> {
        let start = self.entries.partition_point(|entry| entry.path[..] < *prefix);
        let len = self.entries[start..].partition_point(|entry| entry.path.starts_with(prefix));
        start as u32..(start + len) as u32
    }
}

/// The names of a path, without empty ones and `.`.
fn names(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

/// How much of one file is looked at; what is longer is an image of something, not a program.
pub(crate) const MAX_CONTENT: u64 = 128 << 20;
/// As many as Linux follows.
const MAX_LINKS: usize = 40;
