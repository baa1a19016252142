//! A whole tree in memory, for the build host.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use super::{Entry, Event, Meta, MtimePolicy, Node, TreeReader, TreeWriter};
use crate::{FormatError, Name, Result, TreePath};

/// A directory and all below it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    /// Attributes of the directory itself.
    pub meta: Meta,
    /// Its entries, in the order of the encoding.
    pub children: BTreeMap<Name, Child>,
}

/// An entry of a directory in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Child {
    /// A directory.
    Directory(Directory),
    /// Anything else; its node is never [`Node::Directory`].
    Leaf(Meta, Node),
}

impl Directory {
    /// Reads a whole tree. Every hardlink is checked to lead to an entry that is neither a
    /// directory nor a hardlink itself.
    pub fn read<R: Read>(input: R) -> Result<(Self, MtimePolicy)> {
        let mut reader = TreeReader::new(input)?;
        let policy = reader.policy();
        let mut open = vec![(Directory { meta: reader.root().clone(), ..Self::default() }, None)];
        let mut root = None;
        let mut hardlinks = Vec::new();
        while let Some(event) = reader.next_event()? {
            match event {
                Event::Entry(Entry { name, meta, node: Node::Directory }) => {
                    open.push((Directory { meta, ..Self::default() }, Some(name)));
                }
                Event::Entry(Entry { name, meta, node }) => {
                    if let Node::Hardlink(target) = &node {
                        hardlinks.push((target.clone(), reader.offset()));
                    }
                    let (directory, _) = open.last_mut().expect("an entry is in a directory");
                    directory.children.insert(name, Child::Leaf(meta, node));
                }
                Event::Leave => {
                    let (directory, name) = open.pop().expect("only open directories are left");
                    match (open.last_mut(), name) {
                        (Some((parent, _)), Some(name)) => {
                            parent.children.insert(name, Child::Directory(directory));
                        }
                        _ => root = Some(directory),
                    }
                }
            }
        }
        let end = reader.offset();
        reader.finish()?;
        let root = root.ok_or(FormatError::Truncated { what: "tree", offset: end })?;
        for (target, offset) in hardlinks {
            if !matches!(root.get(&target), Some(Child::Leaf(_, node)) if !matches!(node, Node::Hardlink(_)))
            {
                return Err(FormatError::Invalid {
                    what: "hardlink target",
                    offset,
                    expected: "an entry that is neither a directory nor a hardlink",
                    found: format!("{target:?}"),
                });
            }
        }
        Ok((root, policy))
    }

    /// Writes the canonical encoding.
    pub fn write<W: Write>(&self, output: W, policy: MtimePolicy) -> io::Result<W> {
        let mut writer = TreeWriter::new(output, policy, &self.meta)?;
        self.write_children(&mut writer)?;
        writer.finish()
    }

    /// The canonical encoding.
    pub fn to_bytes(&self, policy: MtimePolicy) -> io::Result<Vec<u8>> {
        self.write(Vec::new(), policy)
    }

    /// What is at a path; `None` also where a part of it is not a directory. The root itself
    /// is not an entry.
    pub fn get(&self, path: &TreePath) -> Option<&Child> {
        let mut directory = self;
        let mut names = path.names().peekable();
        loop {
            let name = Name::new(names.next()?)?;
            match (directory.children.get(&name)?, names.peek()) {
                (child, None) => return Some(child),
                (Child::Directory(next), Some(_)) => directory = next,
                (Child::Leaf(..), Some(_)) => return None,
            }
        }
    }

    /// Calls `visit` with path, attributes and node of every entry, in the order of the
    /// encoding. The root itself is not an entry.
    pub fn walk<E>(
        &self,
        visit: &mut impl FnMut(&TreePath, &Meta, &Node) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.walk_below(&TreePath::root(), visit)
    }

    fn walk_below<E>(
        &self,
        here: &TreePath,
        visit: &mut impl FnMut(&TreePath, &Meta, &Node) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        for (name, child) in &self.children {
            let path = here.join(name).expect("paths of a tree are within the limit");
            match child {
                Child::Directory(directory) => {
                    visit(&path, &directory.meta, &Node::Directory)?;
                    directory.walk_below(&path, visit)?;
                }
                Child::Leaf(meta, node) => visit(&path, meta, node)?,
            }
        }
        Ok(())
    }

    fn write_children<W: Write>(&self, writer: &mut TreeWriter<W>) -> io::Result<()> {
        for (name, child) in &self.children {
            let name = name.clone();
            match child {
                Child::Directory(directory) => {
                    let meta = directory.meta.clone();
                    writer.entry(&Entry { name, meta, node: Node::Directory })?;
                    directory.write_children(writer)?;
                }
                Child::Leaf(meta, node) => {
                    let (meta, node) = (meta.clone(), node.clone());
                    writer.entry(&Entry { name, meta, node })?;
                }
            }
        }
        writer.leave()
    }
}
