//! Executes the edits of a tree: old tree and edits in, new tree out, entry by entry.

use std::io::{self, BufReader, Read, Write};

use upmass_format::payload::OldPlace;
use upmass_format::release::Release;
use upmass_format::tree::{Entry, Event, MtimePolicy, Node, TreeReader, TreeWriter};
use upmass_format::tree_edit::{Content, Edit, EditHead, MAX_OPEN_BASES, NewNode};
use upmass_format::wire::Reader;
use upmass_format::{ObjectId, TreeId};
use upmass_store::{ObjectReader, Store, StoreError};

use crate::{ApplyError, Result};

/// The old release, for looking up entries of its trees.
pub(crate) struct OldRelease<'a> {
    pub(crate) store: &'a Store,
    pub(crate) release: Option<&'a Release>,
}

/// A regular file whose content is an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileObject {
    pub(crate) id: ObjectId,
    pub(crate) size: u64,
}

impl FileObject {
    /// Stands for an object in a tree that nobody reads.
    pub(crate) const PLACEHOLDER: Self =
        Self { id: ObjectId::from_bytes([0; ObjectId::LEN]), size: u64::MAX };
}

/// Knows the new objects by the order in which the edits mention them.
pub(crate) trait NewObjects {
    /// The next new object. `here` is the object that the file had before.
    fn next(&mut self, here: Option<FileObject>) -> Result<FileObject>;

    /// One that was mentioned before, 0 for the latest.
    fn again(&mut self, distance: u64) -> Result<FileObject>;
}

impl OldRelease<'_> {
    fn tree(&self, component: u64) -> Result<TreeId> {
        usize::try_from(component)
            .ok()
            .and_then(|index| self.release?.components.get(index))
            .map(|component| component.tree)
            .ok_or_else(|| program(format!("component {component} of the base, which has fewer")))
    }

    fn policy(&self, tree: TreeId) -> Result<MtimePolicy> {
        Ok(self.store.tree_reader(tree)?.policy())
    }

    fn open(&self, tree: TreeId, offset: u64) -> Result<Cursor> {
        let policy = self.policy(tree)?;
        let reader = self.store.object_reader_at(tree.into(), offset)?;
        Ok(Cursor { tree, reader: TreeReader::resume(reader, policy, offset) })
    }

    /// The entry at a place. Its name and attributes are there too.
    fn entry(&self, place: OldPlace) -> Result<(Cursor, Entry)> {
        let mut cursor = self.open(self.tree(place.component)?, place.offset)?;
        match cursor.next()? {
            Event::Entry(entry) => Ok((cursor, entry)),
            Event::Leave => Err(program(format!("no entry of the base at {}", place.offset))),
        }
    }

    /// The object of the file at a place.
    pub(crate) fn file(&self, place: OldPlace) -> Result<FileObject> {
        match self.entry(place)?.1.node {
            Node::Object { size, id } => Ok(FileObject { id, size }),
            _ => Err(program(format!("no file with an object at {} of the base", place.offset))),
        }
    }
}

/// Writes the tree of one component. `base` is the old tree that the edits start from.
pub(crate) fn edit_tree<R: Read, W: Write>(
    old: &OldRelease<'_>,
    base: Option<TreeId>,
    edits: &mut Reader<R>,
    objects: &mut dyn NewObjects,
    output: W,
) -> Result<W> {
    let head = EditHead::read(edits)?;
    let mut open = Vec::new();
    let mut root = head.root;
    if let Some(tree) = base {
        let reader = TreeReader::new(old.store.object_reader(tree.into())?)
            .map_err(|source| StoreError::Damaged { id: tree.into(), source })?;
        if reader.policy() != head.policy {
            return Err(program("modification times kept in one of two trees".to_owned()));
        }
        root = root.or_else(|| Some(reader.root().clone()));
        open.push(Open::Old(Box::new(Cursor { tree, reader })));
    } else {
        open.push(Open::Nothing);
    }
    let root = root.ok_or_else(|| program("a new tree without attributes of its root".into()))?;
    let writer = TreeWriter::new(output, head.policy, &root).map_err(written)?;
    let mut editor = Editor { old, policy: head.policy, open, objects, writer };
    while !editor.open.is_empty() {
        let edit = Edit::read(edits, head.policy)?;
        editor.execute(edit)?;
    }
    editor.writer.finish().map_err(written)
}

struct Editor<'a, W: Write> {
    old: &'a OldRelease<'a>,
    policy: MtimePolicy,
    /// The directories that are open, with what they are edited from.
    open: Vec<Open>,
    objects: &'a mut dyn NewObjects,
    writer: TreeWriter<W>,
}

enum Open {
    /// A directory that has no base.
    Nothing,
    /// A directory of the cursor of the nearest [`Open::Old`] below.
    Inside,
    /// The topmost directory of a cursor.
    Old(Box<Cursor>),
}

/// A position in an old tree.
struct Cursor {
    tree: TreeId,
    reader: TreeReader<BufReader<ObjectReader>>,
}

impl Cursor {
    fn next(&mut self) -> Result<Event> {
        let event = self.reader.next_event().map_err(|source| {
            ApplyError::Store(StoreError::Damaged { id: self.tree.into(), source })
        })?;
        event.ok_or_else(|| program("more entries of an old tree than it has".to_owned()))
    }

    fn next_entry(&mut self) -> Result<Entry> {
        match self.next()? {
            Event::Entry(entry) => Ok(entry),
            Event::Leave => Err(program("an entry behind the end of an old directory".to_owned())),
        }
    }

    fn skip_entry(&mut self) -> Result<()> {
        if self.next_entry()?.node == Node::Directory {
            self.skip_rest()?;
        }
        Ok(())
    }

    /// Reads over the end of the directory that is open now.
    fn skip_rest(&mut self) -> Result<()> {
        let mut depth = 1;
        while depth > 0 {
            match self.next()? {
                Event::Entry(Entry { node: Node::Directory, .. }) => depth += 1,
                Event::Entry(_) => {}
                Event::Leave => depth -= 1,
            }
        }
        Ok(())
    }

    fn copy_entry<W: Write>(&mut self, writer: &mut TreeWriter<W>) -> Result<()> {
        let entry = self.next_entry()?;
        writer.entry(&entry).map_err(written)?;
        if entry.node == Node::Directory {
            self.copy_rest(writer)?;
        }
        Ok(())
    }

    /// Copies up to and over the end of the directory that is open now.
    fn copy_rest<W: Write>(&mut self, writer: &mut TreeWriter<W>) -> Result<()> {
        let mut depth = 1;
        while depth > 0 {
            match self.next()? {
                Event::Entry(entry) => {
                    writer.entry(&entry).map_err(written)?;
                    depth += usize::from(entry.node == Node::Directory);
                }
                Event::Leave => {
                    writer.leave().map_err(written)?;
                    depth -= 1;
                }
            }
        }
        Ok(())
    }
}

impl<W: Write> Editor<'_, W> {
    fn execute(&mut self, edit: Edit) -> Result<()> {
        match edit {
            Edit::KeepRest => {
                match self.cursor() {
                    Some((cursor, writer)) => cursor.copy_rest(writer)?,
                    None => self.writer.leave().map_err(written)?,
                }
                self.open.pop();
            }
            Edit::DropRest => {
                if let Some((cursor, _)) = self.cursor() {
                    cursor.skip_rest()?;
                }
                self.writer.leave().map_err(written)?;
                self.open.pop();
            }
            Edit::Keep(count) => {
                let (cursor, writer) = self.old_directory()?;
                for _ in 0..count {
                    cursor.copy_entry(writer)?;
                }
            }
            Edit::Drop(count) => {
                let (cursor, _) = self.old_directory()?;
                for _ in 0..count {
                    cursor.skip_entry()?;
                }
            }
            Edit::Enter(meta) => {
                let (cursor, writer) = self.old_directory()?;
                let mut entry = cursor.next_entry()?;
                if entry.node != Node::Directory {
                    return Err(program("entering an old entry that is no directory".to_owned()));
                }
                entry.meta = meta.unwrap_or(entry.meta);
                writer.entry(&entry).map_err(written)?;
                self.open.push(Open::Inside);
            }
            Edit::Change(meta, node) => {
                let (cursor, _) = self.old_directory()?;
                let mut entry = cursor.next_entry()?;
                let here = match entry.node {
                    Node::Directory => {
                        return Err(program("changing a directory into something else".to_owned()));
                    }
                    Node::Object { size, id } => Some(FileObject { id, size }),
                    _ => None,
                };
                entry.meta = meta.unwrap_or(entry.meta);
                entry.node = match node {
                    None => entry.node,
                    Some(NewNode::Directory(_)) => {
                        return Err(program("changing an entry into a directory".to_owned()));
                    }
                    Some(node) => self.node(&node, here)?,
                };
                self.writer.entry(&entry).map_err(written)?;
            }
            Edit::Add(name, meta, NewNode::Directory(base)) => {
                let open = self.base_directory(base)?;
                let entry = Entry { name, meta, node: Node::Directory };
                self.writer.entry(&entry).map_err(written)?;
                self.open.push(open);
            }
            Edit::Add(name, meta, node) => {
                let node = self.node(&node, None)?;
                self.writer.entry(&Entry { name, meta, node }).map_err(written)?;
            }
        }
        Ok(())
    }

    /// The old directory beside the new one, if it has one, and where the new one goes.
    fn cursor(&mut self) -> Option<(&mut Cursor, &mut TreeWriter<W>)> {
        for open in self.open.iter_mut().rev() {
            match open {
                Open::Nothing => return None,
                Open::Inside => {}
                Open::Old(cursor) => return Some((cursor, &mut self.writer)),
            }
        }
        None
    }

    fn old_directory(&mut self) -> Result<(&mut Cursor, &mut TreeWriter<W>)> {
        self.cursor()
            .ok_or_else(|| program("an edit of old entries in a directory without base".to_owned()))
    }

    fn base_directory(&self, base: Option<OldPlace>) -> Result<Open> {
        let Some(place) = base else {
            return Ok(Open::Nothing);
        };
        let bases = self.open.iter().filter(|open| matches!(open, Open::Old(_))).count();
        if bases >= MAX_OPEN_BASES {
            return Err(program(format!("more than {MAX_OPEN_BASES} base directories at once")));
        }
        let (cursor, entry) = self.old.entry(place)?;
        if entry.node != Node::Directory || cursor.reader.policy() != self.policy {
            return Err(program(format!("no fitting directory at {} of the base", place.offset)));
        }
        Ok(Open::Old(Box::new(cursor)))
    }

    fn node(&mut self, node: &NewNode, here: Option<FileObject>) -> Result<Node> {
        let FileObject { id, size } = match node {
            NewNode::Directory(_) => return Err(program("a directory where none can be".into())),
            NewNode::Other(node) => return Ok(node.clone()),
            NewNode::File(Content::New) => self.objects.next(here)?,
            NewNode::File(Content::Again(distance)) => self.objects.again(*distance)?,
            NewNode::File(Content::Old(place)) => self.old.file(*place)?,
        };
        Ok(Node::Object { size, id })
    }
}

fn written(error: io::Error) -> ApplyError {
    match error.kind() {
        io::ErrorKind::InvalidInput => program(error.to_string()),
        _ => ApplyError::Program(format!("writing a tree failed: {error}")),
    }
}

fn program(what: String) -> ApplyError {
    ApplyError::Program(format!("its tree edits ask for {what}"))
}
