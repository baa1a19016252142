//! A new tree as edits of an old one (`spec/tree-edit.md`).
//!
//! The device walks the old tree and the edits side by side and writes the new tree. Entries
//! that stay cost nothing: one number skips any run of them, whole directories included, and the
//! rest of a directory stays without being mentioned.

use std::io::Read;

use crate::name::MAX_NAME;
use crate::payload::OldPlace;
use crate::tree::{Meta, MtimePolicy, Node, reader, tag, writer};
use crate::wire::{Reader, Writer, put_varint};
use crate::{FormatError, Name, Result};

/// Most old directories that may be open inside each other, the base of the tree included; a
/// device holds a buffer for each.
pub const MAX_OPEN_BASES: usize = 64;

/// What comes before the edits of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditHead {
    /// Of the new tree; the same as of the old one, if there is one.
    pub policy: MtimePolicy,
    /// What happens to names of old entries that stay.
    pub names: OldNames,
    /// New attributes of the root; `None` when they stay.
    pub root: Option<Meta>,
}

/// What happens to names of old entries that stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OldNames {
    /// They are renamed as contents are, and are in order then too.
    #[default]
    Renamed,
    /// They stay as they are.
    Stay,
}

/// One edit. "Next" is the next entry of the old directory that is open now; there is none in
/// a directory that is new and has no base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// The directory ends here; the rest of the old one stays.
    KeepRest,
    /// The directory ends here; the rest of the old one goes.
    DropRest,
    /// The next `n` entries stay, with all below them. Never 0.
    Keep(u64),
    /// The next `n` entries go, with all below them. Never 0.
    Drop(u64),
    /// The next entry is a directory that stays, but changes inside.
    Enter(Option<Meta>),
    /// The next entry is no directory and gets other attributes, or is something else now.
    Change(Option<Meta>, Option<NewNode>),
    /// An entry that comes before the next one.
    Add(Name, Meta, NewNode),
}

/// What a new entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewNode {
    /// A directory whose entries follow as edits: of another old directory, or of nothing.
    Directory(Option<OldPlace>),
    /// A file whose content is an object.
    File(Content),
    /// Anything else; never a directory or object.
    Other(Node),
}

/// Where the object of a file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The next new object of this update.
    New,
    /// The object of a file of the old release.
    Old(OldPlace),
    /// A new object that was mentioned before: 0 for the latest.
    Again(u64),
}

const END: u64 = 0;
const KEEP: u64 = 1;
const DROP: u64 = 2;
const ENTER: u64 = 3;
const CHANGE: u64 = 4;
const ADD: u64 = 5;
const CODE_BITS: u32 = 3;

const WITH_META: u64 = 1;
const WITH_NODE: u64 = 2;

impl EditHead {
    /// Appends the encoding.
    pub fn put(&self, out: &mut Vec<u8>) {
        let kept = u64::from(self.policy == MtimePolicy::Kept);
        let stay = u64::from(self.names == OldNames::Stay);
        put_varint(out, stay << 2 | kept << 1 | u64::from(self.root.is_some()));
        if let Some(root) = &self.root {
            put_meta(out, root);
        }
    }

    /// Reads it.
    pub fn read<R: Read>(input: &mut Reader<R>) -> Result<Self> {
        let word = input.number(7, "tree edit head")?;
        let names = if word >> 2 == 0 { OldNames::Renamed } else { OldNames::Stay };
        let policy = match word >> 1 & 1 {
            0 => MtimePolicy::Normalised,
            _ => MtimePolicy::Kept,
        };
        let root = if word & 1 == 1 { Some(read_meta(input, policy)?) } else { None };
        Ok(Self { policy, names, root })
    }
}

impl Edit {
    /// Appends the encoding.
    ///
    /// # Panics
    /// When a node is one that no tree can have.
    pub fn put(&self, out: &mut Vec<u8>) {
        let head =
            |out: &mut Vec<u8>, code, argument| put_varint(out, argument << CODE_BITS | code);
        match self {
            Edit::KeepRest => head(out, END, 0),
            Edit::DropRest => head(out, END, 1),
            Edit::Keep(count) => head(out, KEEP, *count),
            Edit::Drop(count) => head(out, DROP, *count),
            Edit::Enter(meta) => {
                head(out, ENTER, if meta.is_some() { WITH_META } else { 0 });
                meta.iter().for_each(|meta| put_meta(out, meta));
            }
            Edit::Change(meta, node) => {
                let with_meta = if meta.is_some() { WITH_META } else { 0 };
                let with_node = if node.is_some() { WITH_NODE } else { 0 };
                head(out, CHANGE, with_meta | with_node);
                meta.iter().for_each(|meta| put_meta(out, meta));
                node.iter().for_each(|node| put_node(out, node));
            }
            Edit::Add(name, meta, node) => {
                head(out, ADD, 0);
                put_varint(out, name.as_bytes().len() as u64);
                out.extend_from_slice(name.as_bytes());
                put_node(out, node);
                if !matches!(node, NewNode::Other(Node::Hardlink(_))) {
                    put_meta(out, meta);
                }
            }
        }
    }

    /// Reads one edit.
    pub fn read<R: Read>(input: &mut Reader<R>, policy: MtimePolicy) -> Result<Self> {
        let offset = input.offset();
        let word = input.varint("tree edit")?;
        let unknown = || FormatError::Unknown { what: "tree edit", offset, found: word };
        let argument = word >> CODE_BITS;
        Ok(match (word & ((1 << CODE_BITS) - 1), argument) {
            (END, 0) => Edit::KeepRest,
            (END, 1) => Edit::DropRest,
            (KEEP, 1..) => Edit::Keep(argument),
            (DROP, 1..) => Edit::Drop(argument),
            (ENTER, 0) => Edit::Enter(None),
            (ENTER, WITH_META) => Edit::Enter(Some(read_meta(input, policy)?)),
            (CHANGE, 1..=3) => {
                let has = |flag| argument & flag != 0;
                let meta = if has(WITH_META) { Some(read_meta(input, policy)?) } else { None };
                let node = if has(WITH_NODE) { Some(read_node(input)?) } else { None };
                Edit::Change(meta, node)
            }
            (ADD, 0) => {
                let bytes = input.bytes(MAX_NAME, "entry name")?;
                let name = Name::new(bytes.clone()).ok_or_else(|| FormatError::Invalid {
                    what: "entry name",
                    offset,
                    expected: "1 to 255 bytes without / and NUL, not . or ..",
                    found: format!("\"{}\"", bytes.escape_ascii()),
                })?;
                let node = read_node(input)?;
                let meta = match node {
                    NewNode::Other(Node::Hardlink(_)) => Meta::default(),
                    _ => read_meta(input, policy)?,
                };
                Edit::Add(name, meta, node)
            }
            _ => return Err(unknown()),
        })
    }
}

/// As in a tree, but the mode is always there, and a byte before tells of attributes.
fn put_meta(out: &mut Vec<u8>, meta: &Meta) {
    out.push(writer::xattr_tag(meta));
    let mut output = Writer::new(out);
    writer::write_meta(&mut output, meta, false).expect("writing to memory cannot fail");
}

fn read_meta<R: Read>(input: &mut Reader<R>, policy: MtimePolicy) -> Result<Meta> {
    let offset = input.offset();
    let flags = input.byte("attribute flags")?;
    if flags & !tag::XATTRS != 0 {
        let found = flags.into();
        return Err(FormatError::Unknown { what: "attribute flags", offset, found });
    }
    reader::read_meta(input, policy, flags)
}

fn put_node(out: &mut Vec<u8>, node: &NewNode) {
    match node {
        NewNode::Directory(base) => {
            out.push(tag::DIRECTORY);
            out.push(u8::from(base.is_some()));
            base.iter().for_each(|base| base.put(out));
        }
        NewNode::File(content) => {
            out.push(tag::OBJECT);
            match content {
                Content::New => put_varint(out, 0),
                Content::Old(place) => {
                    put_varint(out, 1);
                    place.put(out);
                }
                Content::Again(distance) => put_varint(out, distance + 2),
            }
        }
        NewNode::Other(node) => {
            out.push(node.tag());
            let mut output = Writer::new(out);
            writer::check_node(node)
                .and_then(|()| writer::write_node(&mut output, node))
                .expect("a node that a tree can have, written to memory");
        }
    }
}

fn read_node<R: Read>(input: &mut Reader<R>) -> Result<NewNode> {
    let offset = input.offset();
    Ok(match input.byte("node kind")? {
        tag::DIRECTORY => NewNode::Directory(match input.number(1, "base directory")? {
            0 => None,
            _ => Some(OldPlace::read(input)?),
        }),
        tag::OBJECT => NewNode::File(match input.varint("content")? {
            0 => Content::New,
            1 => Content::Old(OldPlace::read(input)?),
            distance => Content::Again(distance - 2),
        }),
        kind => NewNode::Other(reader::read_node(input, kind, offset)?),
    })
}
