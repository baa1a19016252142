//! A layer of an image, put on top of the layers below it.
//!
//! OCI image specification 1.1, "Image Layer Filesystem Changeset". Where that leaves a choice, the
//! tree is what umoci 0.4.7 unpacks: a directory that is a symlink in a lower layer is followed, within
//! the tree; what a layer marks as deleted is deleted in lower layers only, in whichever order the marks
//! come.

use std::collections::{BTreeSet, VecDeque};
use std::io::Read;

use upmass_format::tree::Node;
use upmass_format::{Name, TreePath};

use super::compression::Compression;
use super::fault::ArchiveFault;
use super::member::{Kind, Member, Members};
use super::stream::Stream;
use super::unpack::{ABSOLUTE, Stop, Unpack, content};
use super::{Failure, archive_error, path};
use crate::Result;

/// Puts a layer on top of what was unpacked so far. `plain` is its archive without compression, and
/// `name` is for messages.
pub(crate) fn unpack_layer(
    unpack: &mut Unpack<'_>,
    name: &str,
    compression: Compression,
    plain: &mut dyn Read,
) -> Result<()> {
    unpack.is_layered = true;
    let mut members = Members::new(Stream::new(Box::new(plain)), compression);
    let result = Layer { unpack, touched: BTreeSet::new() }.run(&mut members);
    result.map_err(|stop| match stop {
        Stop::Import(error) => error,
        Stop::Archive(fault) => {
            let format = Some(compression.name());
            archive_error(name, &Failure::default(), format, members.at, fault)
        }
    })
}

struct Layer<'l, 'a> {
    unpack: &'l mut Unpack<'a>,
    /// What this layer has, and all directories above that: no mark of the same layer deletes it.
    touched: BTreeSet<TreePath>,
}

impl Layer<'_, '_> {
    fn run(&mut self, members: &mut Members<'_>) -> Result<(), Stop> {
        while let Some(member) = members.next()? {
            let cleaned = path::clean(&member.path, "path")?;
            if cleaned.was_absolute {
                self.unpack.warnings.add(ABSOLUTE, &cleaned.path);
            }
            match cleaned.path.split_last() {
                None => {
                    let meta = self.unpack.meta(&cleaned.path, &member)?;
                    self.unpack.root(&member, meta)?;
                }
                Some((parent, name)) => self.entry(&parent, &name, member, members)?,
            }
        }
        self.unpack.remarks(members);
        Ok(())
    }

    fn entry(
        &mut self,
        parent: &TreePath,
        name: &Name,
        member: Member,
        members: &mut Members<'_>,
    ) -> Result<(), Stop> {
        let real = self.unpack.resolve(parent)?;
        if real != *parent {
            self.unpack.warnings.add(FOLLOWED, parent);
        }
        if let Some(deleted) = name.as_bytes().strip_prefix(MARK) {
            self.delete(&real, deleted)?;
            return pass_over(&member, members);
        }
        let path = joined(&real, name)?;
        let meta = self.unpack.meta(&path, &member)?;
        self.unpack.make_parents(&path)?;
        self.unpack.entry(path.clone(), member, meta, members)?;
        self.touch(path);
        Ok(())
    }

    /// Deletes what lower layers have: all in the directory, or one name.
    fn delete(&mut self, directory: &TreePath, name: &[u8]) -> Result<(), ArchiveFault> {
        let touched = &self.touched;
        if name == OPAQUE {
            self.unpack.tree.remove_below(directory, &|path| touched.contains(path));
            return Ok(());
        }
        if name.starts_with(MARK) {
            // What AUFS keeps for itself; it deletes nothing.
            return Ok(());
        }
        let valid = Name::new(name.to_vec());
        let valid = valid
            .ok_or_else(|| ArchiveFault::BadWhiteout { found: name.escape_ascii().to_string() })?;
        let path = joined(directory, &valid)?;
        self.unpack.tree.remove_below(&path, &|path| touched.contains(path));
        if !touched.contains(&path) {
            // Nothing is below it any more.
            let removed = self.unpack.tree.remove(&path);
            debug_assert!(removed.is_ok(), "what stays keeps the directories above it");
        }
        Ok(())
    }

    fn touch(&mut self, path: TreePath) {
        let mut next = Some(path);
        while let Some(path) = next.filter(|path| !path.is_root()) {
            next = path.split_last().map(|(parent, _)| parent);
            if !self.touched.insert(path) {
                break;
            }
        }
    }
}

impl Unpack<'_> {
    /// Where a directory is, all symlinks on the way and at its end followed. None leads out of the
    /// tree: its root is the root, and `..` stays there.
    pub(super) fn resolve(&self, path: &TreePath) -> Result<TreePath, ArchiveFault> {
        let mut left: VecDeque<Vec<u8>> = path.names().map(<[u8]>::to_vec).collect();
        let mut here = TreePath::root();
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            if name == b".." {
                here = here.split_last().map_or(TreePath::root(), |(parent, _)| parent);
                continue;
            }
            let why = "a symlink on its way has a name that is too long";
            let name = Name::new(name).ok_or(ArchiveFault::Path { what: "path", why })?;
            let next = joined(&here, &name)?;
            match self.tree.get(&next) {
                Some((_, Node::Symlink(target))) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(ArchiveFault::TooManyLinks { limit: MAX_LINKS });
                    }
                    if target.starts_with(b"/") {
                        here = TreePath::root();
                    }
                    let names = target.split(|byte| *byte == b'/');
                    for name in names.filter(|name| !matches!(name, [] | [b'.'])).rev() {
                        left.push_front(name.to_vec());
                    }
                }
                _ => here = next,
            }
        }
        Ok(here)
    }

    /// As [`Self::resolve`], but a symlink at the end stands for itself.
    pub(super) fn resolve_name(&self, path: &TreePath) -> Result<TreePath, ArchiveFault> {
        match path.split_last() {
            Some((parent, name)) => joined(&self.resolve(&parent)?, &name),
            None => Ok(TreePath::root()),
        }
    }
}

/// Reads the content of a mark, which should have none.
fn pass_over(member: &Member, members: &mut Members<'_>) -> Result<(), Stop> {
    if matches!(member.kind, Kind::File) {
        content(&mut members.stream, member, &mut |_| Ok(()))?;
        members.stream.padding(member.stored, "a file")?;
    }
    Ok(())
}

fn joined(directory: &TreePath, name: &Name) -> Result<TreePath, ArchiveFault> {
    let len = directory.as_bytes().len() + 1 + name.as_bytes().len();
    let limit = upmass_format::MAX_PATH as u64;
    let too_long = ArchiveFault::TooLong { what: "path", found: len as u64, limit };
    directory.join(name).ok_or(too_long)
}

/// What stands in front of the name of a file that lower layers have and that is deleted.
const MARK: &[u8] = b".wh.";
/// Behind the mark: everything in this directory is deleted.
const OPAQUE: &[u8] = b".wh..opq";
/// As many as umoci follows.
const MAX_LINKS: usize = 255;

const FOLLOWED: &str = "a layer has entries in directories that are symlinks of a lower layer, and \
                        these were followed";
