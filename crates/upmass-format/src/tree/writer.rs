//! Encoding of trees, entry by entry.

use std::io::{self, Write};

use super::{
    Entry, FLAG_MTIMES, MAGIC, MAX_INLINE, MAX_SYMLINK, MAX_XATTR_VALUE, MAX_XATTRS, Meta,
    MtimePolicy, Node, VERSION, tag,
};
use crate::name::{MAX_NAME, MAX_PATH};
use crate::wire::Writer;
use crate::{Name, TreePath};

/// Writes a tree as a stream. Entries must come as the canonical order has them; what does not,
/// or is outside a limit, is an error of kind [`io::ErrorKind::InvalidInput`] and nothing is
/// written for it. So a [`super::TreeReader`] can read what was written.
pub struct TreeWriter<W> {
    output: Writer<W>,
    policy: MtimePolicy,
    open: Vec<Option<Name>>,
    /// The directory that is open now, from the root.
    path: Vec<u8>,
}

impl<W: Write> TreeWriter<W> {
    /// Writes the front of a tree and the attributes of its root.
    pub fn new(output: W, policy: MtimePolicy, root: &Meta) -> io::Result<Self> {
        check_meta(root, policy)?;
        let mut output = Writer::new(output);
        output.raw(&MAGIC)?;
        output.raw(&[VERSION])?;
        output.raw(&[match policy {
            MtimePolicy::Normalised => 0,
            MtimePolicy::Kept => FLAG_MTIMES,
        }])?;
        output.raw(&[tag::DIRECTORY | xattr_tag(root)])?;
        write_meta(&mut output, root, false)?;
        Ok(Self { output, policy, open: vec![None], path: Vec::new() })
    }

    /// Bytes written so far: where the next entry begins.
    pub fn offset(&self) -> u64 {
        self.output.offset()
    }

    /// How many directories are open: 1 in the root, 0 at the end.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// Writes an entry, and enters it when it is a directory.
    pub fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.check_place(entry)?;
        check_node(&entry.node)?;
        if !matches!(entry.node, Node::Hardlink(_)) {
            check_meta(&entry.meta, self.policy)?;
        }
        let node_tag = entry.node.tag();
        if let Node::Hardlink(_) = entry.node {
            self.output.raw(&[node_tag])?;
            self.output.bytes(entry.name.as_bytes())?;
        } else {
            self.output.raw(&[node_tag | xattr_tag(&entry.meta)])?;
            self.output.bytes(entry.name.as_bytes())?;
            write_meta(&mut self.output, &entry.meta, matches!(entry.node, Node::Symlink(_)))?;
        }
        write_node(&mut self.output, &entry.node)?;
        *self.open.last_mut().expect("checked with the place") = Some(entry.name.clone());
        if entry.node == Node::Directory {
            self.open.push(None);
            if !self.path.is_empty() {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(entry.name.as_bytes());
        }
        Ok(())
    }

    /// Ends the directory that is open now.
    pub fn leave(&mut self) -> io::Result<()> {
        self.open.pop().ok_or_else(|| misuse("the tree has ended"))?;
        let parent = self.path.iter().rposition(|byte| *byte == b'/');
        self.path.truncate(parent.unwrap_or(0));
        self.output.raw(&[tag::LEAVE])
    }

    /// Gives the writer underneath back, once every directory was left.
    pub fn finish(self) -> io::Result<W> {
        if !self.open.is_empty() {
            return Err(misuse("a directory is still open"));
        }
        Ok(self.output.into_inner())
    }

    fn check_place(&self, entry: &Entry) -> io::Result<()> {
        let last = self.open.last().ok_or_else(|| misuse("the tree has ended"))?;
        if last.as_ref().is_some_and(|last| *last >= entry.name) {
            return Err(misuse("entries of a directory must ascend by name"));
        }
        if self.path.len() + 1 + entry.name.as_bytes().len() > MAX_PATH {
            return Err(misuse("a path is longer than 4095 bytes"));
        }
        if let Node::Hardlink(target) = &entry.node {
            let directory = TreePath::new(self.path.clone());
            let here = directory.and_then(|directory| directory.join(&entry.name));
            if target.is_root() || here.is_none_or(|here| *target >= here) {
                return Err(misuse("a hardlink must name an entry before it"));
            }
        }
        Ok(())
    }
}

pub(crate) fn xattr_tag(meta: &Meta) -> u8 {
    if meta.xattrs.is_empty() { 0 } else { tag::XATTRS }
}

pub(crate) fn write_meta<W: Write>(
    output: &mut Writer<W>,
    meta: &Meta,
    is_symlink: bool,
) -> io::Result<()> {
    if !is_symlink {
        output.varint(meta.mode.into())?;
    }
    output.varint(meta.uid.into())?;
    output.varint(meta.gid.into())?;
    if let Some(mtime) = meta.mtime {
        output.signed(mtime.seconds)?;
        output.varint(mtime.nanoseconds.into())?;
    }
    if !meta.xattrs.is_empty() {
        output.varint(meta.xattrs.len() as u64)?;
        for xattr in &meta.xattrs {
            output.bytes(&xattr.name)?;
            output.bytes(&xattr.value)?;
        }
    }
    Ok(())
}

pub(crate) fn write_node<W: Write>(output: &mut Writer<W>, node: &Node) -> io::Result<()> {
    match node {
        Node::Object { size, id } => {
            output.varint(*size)?;
            output.raw(id.as_bytes())
        }
        Node::Inline(content) => output.bytes(content),
        Node::Symlink(target) => output.bytes(target),
        Node::Hardlink(target) => output.bytes(target.as_bytes()),
        Node::CharDevice(device) | Node::BlockDevice(device) => {
            output.varint(device.major.into())?;
            output.varint(device.minor.into())
        }
        Node::Directory | Node::Fifo | Node::Socket => Ok(()),
    }
}

pub(crate) fn check_node(node: &Node) -> io::Result<()> {
    match node {
        Node::Object { size, .. } if *size <= MAX_INLINE as u64 => {
            Err(misuse("a file this small must be inline"))
        }
        Node::Inline(content) if content.len() > MAX_INLINE => {
            Err(misuse("a file this large must be an object"))
        }
        Node::Symlink(target)
            if target.is_empty() || target.len() > MAX_SYMLINK || target.contains(&0) =>
        {
            Err(misuse("a symlink target must be 1 to 4095 bytes without NUL"))
        }
        _ => Ok(()),
    }
}

fn check_meta(meta: &Meta, policy: MtimePolicy) -> io::Result<()> {
    if meta.mode > 0o7777 {
        return Err(misuse("a mode has more than its 12 bits"));
    }
    if meta.mtime.is_some() != (policy == MtimePolicy::Kept) {
        return Err(misuse("modification times must be kept for all entries or for none"));
    }
    if meta.mtime.is_some_and(|mtime| mtime.nanoseconds > 999_999_999) {
        return Err(misuse("a modification time has more than its nanoseconds"));
    }
    if meta.xattrs.len() > MAX_XATTRS {
        return Err(misuse("an entry has more than 256 extended attributes"));
    }
    for xattr in &meta.xattrs {
        let name = &xattr.name;
        if name.is_empty() || name.len() > MAX_NAME || name.contains(&0) {
            return Err(misuse(
                "the name of an extended attribute must be 1 to 255 bytes without NUL",
            ));
        }
        if xattr.value.len() > MAX_XATTR_VALUE {
            return Err(misuse("an extended attribute is longer than 65536 bytes"));
        }
    }
    if !meta.xattrs.is_sorted_by(|a, b| a.name < b.name) {
        return Err(misuse("extended attributes must ascend by name"));
    }
    Ok(())
}

fn misuse(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
