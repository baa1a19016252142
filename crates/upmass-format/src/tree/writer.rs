//! Encoding of trees, entry by entry.

use std::io::{self, Write};

use super::{Entry, FLAG_MTIMES, MAGIC, MAX_INLINE, Meta, MtimePolicy, Node, VERSION, tag};
use crate::Name;
use crate::wire::Writer;

/// Writes a tree as a stream. Entries must come as the canonical order has them; what does not
/// is an error of kind [`io::ErrorKind::InvalidInput`] and nothing is written for it.
pub struct TreeWriter<W> {
    output: Writer<W>,
    policy: MtimePolicy,
    open: Vec<Option<Name>>,
}

impl<W: Write> TreeWriter<W> {
    /// Writes the front of a tree and the attributes of its root.
    pub fn new(output: W, policy: MtimePolicy, root: &Meta) -> io::Result<Self> {
        let mut output = Writer::new(output);
        output.raw(&MAGIC)?;
        output.raw(&[VERSION])?;
        output.raw(&[match policy {
            MtimePolicy::Normalised => 0,
            MtimePolicy::Kept => FLAG_MTIMES,
        }])?;
        output.raw(&[tag::DIRECTORY | xattr_tag(root)])?;
        check_meta(root, policy)?;
        write_meta(&mut output, root, false)?;
        Ok(Self {
            output,
            policy,
            open: vec![None],
        })
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
        let last = self
            .open
            .last_mut()
            .ok_or_else(|| misuse("the tree has ended"))?;
        if last.as_ref().is_some_and(|last| *last >= entry.name) {
            return Err(misuse("entries of a directory must ascend by name"));
        }
        *last = Some(entry.name.clone());
        let node_tag = entry.node.tag();
        if let Node::Hardlink(_) = entry.node {
            self.output.raw(&[node_tag])?;
            self.output.bytes(entry.name.as_bytes())?;
        } else {
            check_meta(&entry.meta, self.policy)?;
            self.output.raw(&[node_tag | xattr_tag(&entry.meta)])?;
            self.output.bytes(entry.name.as_bytes())?;
            write_meta(
                &mut self.output,
                &entry.meta,
                matches!(entry.node, Node::Symlink(_)),
            )?;
        }
        write_node(&mut self.output, &entry.node)?;
        if entry.node == Node::Directory {
            self.open.push(None);
        }
        Ok(())
    }

    /// Ends the directory that is open now.
    pub fn leave(&mut self) -> io::Result<()> {
        self.open
            .pop()
            .ok_or_else(|| misuse("the tree has ended"))?;
        self.output.raw(&[tag::LEAVE])
    }

    /// Gives the writer underneath back, once every directory was left.
    pub fn finish(self) -> io::Result<W> {
        if !self.open.is_empty() {
            return Err(misuse("a directory is still open"));
        }
        Ok(self.output.into_inner())
    }
}

pub(crate) fn xattr_tag(meta: &Meta) -> u8 {
    if meta.xattrs.is_empty() {
        0
    } else {
        tag::XATTRS
    }
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
            if *size <= MAX_INLINE as u64 {
                return Err(misuse("a file this small must be inline"));
            }
            output.varint(*size)?;
            output.raw(id.as_bytes())
        }
        Node::Inline(content) if content.len() > MAX_INLINE => {
            Err(misuse("a file this large must be an object"))
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

fn check_meta(meta: &Meta, policy: MtimePolicy) -> io::Result<()> {
    if meta.mode > 0o7777 {
        return Err(misuse("a mode has more than its 12 bits"));
    }
    if meta.mtime.is_some() != (policy == MtimePolicy::Kept) {
        return Err(misuse(
            "modification times must be kept for all entries or for none",
        ));
    }
    if !meta.xattrs.is_sorted_by(|a, b| a.name < b.name) {
        return Err(misuse("extended attributes must ascend by name"));
    }
    Ok(())
}

fn misuse(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
