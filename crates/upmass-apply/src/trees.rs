//! Executes the edits of a tree: old tree and edits in, new tree out, entry by entry.

use std::io::{self, BufReader, Read, Write};

use upmass_delta::rename::Renamer;
use upmass_format::payload::OldPlace;
use upmass_format::release::Release;
use upmass_format::tree::{
    Entry, Event, MAX_INLINE, MAX_SYMLINK, MtimePolicy, Node, TreeReader, TreeWriter,
};
use upmass_format::tree_edit::{Content, Edit, EditHead, MAX_OPEN_BASES, NewNode, OldNames};
use upmass_format::wire::Reader;
use upmass_format::{ObjectId, TreeId};
use upmass_store::{ObjectReader, Store, StoreError};

use crate::{ApplyError, Result};

/// The old release, for looking up entries of its trees.
pub(crate) struct OldRelease<'a> {
    pub(crate) store: &'a Store,
    pub(crate) release: Option<&'a Release>,
    /// Replaces old names in what is taken from it.
    pub(crate) renamer: &'a Renamer,
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

    /// What has become of an object of the old release: itself, or the next new object, if old
    /// names are in it.
    fn kept(&mut self, old: FileObject) -> Result<FileObject>;

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

    fn open_root(&self, tree: TreeId) -> Result<Cursor> {
        let reader = TreeReader::new(self.store.object_reader(tree.into())?)
            .map_err(|source| StoreError::Damaged { id: tree.into(), source })?;
        Ok(Cursor { tree, reader })
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
        let cursor = old.open_root(tree)?;
        if cursor.reader.policy() != head.policy {
            return Err(program("modification times kept in one of two trees".to_owned()));
        }
        root = root.or_else(|| Some(cursor.reader.root().clone()));
        open.push(Open::Old(Box::new(cursor)));
    } else {
        open.push(Open::Nothing);
    }
    let root = root.ok_or_else(|| program("a new tree without attributes of its root".into()))?;
    let writer = TreeWriter::new(output, head.policy, &root).map_err(written)?;
    let kept = Kept { renamer: old.renamer, names: head.names, objects };
    let mut editor = Editor { old, policy: head.policy, open, kept, writer };
    while !editor.open.is_empty() {
        let edit = Edit::read(edits, head.policy)?;
        editor.execute(edit)?;
    }
    editor.writer.finish().map_err(written)
}

/// Writes the tree of a component which is an old one, renamed.
pub(crate) fn rename_tree<W: Write>(
    old: &OldRelease<'_>,
    tree: TreeId,
    objects: &mut dyn NewObjects,
    output: W,
) -> Result<W> {
    let mut cursor = old.open_root(tree)?;
    let (policy, root) = (cursor.reader.policy(), cursor.reader.root().clone());
    let mut writer = TreeWriter::new(output, policy, &root).map_err(written)?;
    let names = OldNames::Renamed;
    cursor.copy_rest(&mut writer, &mut Kept { renamer: old.renamer, names, objects })?;
    writer.finish().map_err(written)
}

/// What has become of old entries that stay.
struct Kept<'a> {
    renamer: &'a Renamer,
    names: OldNames,
    objects: &'a mut dyn NewObjects,
}

impl Kept<'_> {
    fn entry(&mut self, entry: Entry) -> Result<Entry> {
        let entry = self.name(entry);
        Ok(Entry { node: self.node(entry.node)?, ..entry })
    }

    fn name(&self, mut entry: Entry) -> Entry {
        if self.names == OldNames::Renamed
            && let Some(name) = self.renamer.rename_name(&entry.name)
        {
            entry.name = name;
        }
        entry
    }

    fn node(&mut self, node: Node) -> Result<Node> {
        if self.renamer.is_empty() {
            return Ok(node);
        }
        // What would break a limit of trees stays as it was.
        let renamed = |text: Vec<u8>, limit| match self.renamer.rename(&text) {
            Some(renamed) if renamed.len() <= limit => renamed,
            _ => text,
        };
        Ok(match node {
            Node::Object { size, id } => {
                let FileObject { id, size } = self.objects.kept(FileObject { id, size })?;
                Node::Object { size, id }
            }
            Node::Inline(content) => Node::Inline(renamed(content, MAX_INLINE)),
            Node::Symlink(target) => Node::Symlink(renamed(target, MAX_SYMLINK)),
            Node::Hardlink(target) if self.names == OldNames::Renamed => {
                Node::Hardlink(self.renamer.rename_path(&target))
            }
            node => node,
        })
    }
}

struct Editor<'a, W: Write> {
    old: &'a OldRelease<'a>,
    policy: MtimePolicy,
    /// The directories that are open, with what they are edited from.
    open: Vec<Open>,
    kept: Kept<'a>,
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

    fn copy_entry<W: Write>(
        &mut self,
        writer: &mut TreeWriter<W>,
        kept: &mut Kept<'_>,
    ) -> Result<()> {
        let entry = kept.entry(self.next_entry()?)?;
        writer.entry(&entry).map_err(written)?;
        if entry.node == Node::Directory {
            self.copy_rest(writer, kept)?;
        }
        Ok(())
    }

    /// Copies up to and over the end of the directory that is open now.
    fn copy_rest<W: Write>(
        &mut self,
        writer: &mut TreeWriter<W>,
        kept: &mut Kept<'_>,
    ) -> Result<()> {
        let mut depth = 1;
        while depth > 0 {
            match self.next()? {
                Event::Entry(entry) => {
                    let entry = kept.entry(entry)?;
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

impl<'a, W: Write> Editor<'a, W> {
    fn execute(&mut self, edit: Edit) -> Result<()> {
        match edit {
            Edit::KeepRest => {
                match self.cursor() {
                    Some((cursor, writer, kept)) => cursor.copy_rest(writer, kept)?,
                    None => self.writer.leave().map_err(written)?,
                }
                self.open.pop();
            }
            Edit::DropRest => {
                if let Some((cursor, ..)) = self.cursor() {
                    cursor.skip_rest()?;
                }
                self.writer.leave().map_err(written)?;
                self.open.pop();
            }
            Edit::Keep(count) => {
                let (cursor, writer, kept) = self.old_directory()?;
                for _ in 0..count {
                    cursor.copy_entry(writer, kept)?;
                }
            }
            Edit::Drop(count) => {
                let (cursor, ..) = self.old_directory()?;
                for _ in 0..count {
                    cursor.skip_entry()?;
                }
            }
            Edit::Enter(meta) => {
                let (cursor, writer, kept) = self.old_directory()?;
                let mut entry = kept.name(cursor.next_entry()?);
                if entry.node != Node::Directory {
                    return Err(program("entering an old entry that is no directory".to_owned()));
                }
                entry.meta = meta.unwrap_or(entry.meta);
                writer.entry(&entry).map_err(written)?;
                self.open.push(Open::Inside);
            }
            Edit::Change(meta, node) => {
                let (cursor, _, kept) = self.old_directory()?;
                let mut entry = kept.name(cursor.next_entry()?);
                let here = match entry.node {
                    Node::Directory => {
                        return Err(program("changing a directory into something else".to_owned()));
                    }
                    Node::Object { size, id } => Some(FileObject { id, size }),
                    _ => None,
                };
                entry.meta = meta.unwrap_or(entry.meta);
                entry.node = match node {
                    None => self.kept.node(entry.node)?,
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

    /// The old directory beside the new one, if it has one, where the new one goes, and what has
    /// become of old entries.
    fn cursor(&mut self) -> Option<(&mut Cursor, &mut TreeWriter<W>, &mut Kept<'a>)> {
        for open in self.open.iter_mut().rev() {
            match open {
                Open::Nothing => return None,
                Open::Inside => {}
                Open::Old(cursor) => return Some((cursor, &mut self.writer, &mut self.kept)),
            }
        }
        None
    }

    fn old_directory(&mut self) -> Result<(&mut Cursor, &mut TreeWriter<W>, &mut Kept<'a>)> {
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
            NewNode::File(Content::New) => self.kept.objects.next(here)?,
            NewNode::File(Content::Again(distance)) => self.kept.objects.again(*distance)?,
            NewNode::File(Content::Old(place)) => {
                let FileObject { id, size } = self.old.file(*place)?;
                return self.kept.node(Node::Object { size, id });
            }
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
