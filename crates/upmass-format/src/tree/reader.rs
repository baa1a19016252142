//! Decoding of trees, entry by entry.

use std::io::Read;

use super::{
    Device, Entry, Event, FLAG_MTIMES, MAGIC, MAX_INLINE, MAX_SYMLINK, MAX_XATTR_VALUE, MAX_XATTRS,
    Meta, Mtime, MtimePolicy, Node, VERSION, Xattr, tag,
};
use crate::name::{MAX_NAME, MAX_PATH};
use crate::wire::Reader;
use crate::{FormatError, Name, ObjectId, Result, TreePath};

/// Reads a tree as a stream of events and checks that the encoding is canonical: names in
/// order, paths within their limit, hardlinks to what came earlier in the order.
///
/// Memory: one entry, and one name per directory on the way down.
pub struct TreeReader<R> {
    input: Reader<R>,
    policy: MtimePolicy,
    root: Meta,
    /// The last name in each open directory; `None` before its first entry.
    open: Vec<Option<Name>>,
    path: Vec<u8>,
    /// Whether `path` is the whole path from the root.
    from_root: bool,
}

impl<R: Read> TreeReader<R> {
    /// Reads the front of a tree and the attributes of its root.
    pub fn new(input: R) -> Result<Self> {
        let mut input = Reader::new(input);
        let magic = input.array::<4>("tree magic")?;
        if magic != MAGIC {
            return Err(FormatError::Invalid {
                what: "tree magic",
                offset: 0,
                expected: "UPMT",
                found: magic.escape_ascii().to_string(),
            });
        }
        let version = input.byte("tree version")?;
        if version != VERSION {
            let found = version.into();
            return Err(FormatError::Unknown { what: "tree version", offset: 4, found });
        }
        let policy = match input.byte("tree flags")? {
            0 => MtimePolicy::Normalised,
            FLAG_MTIMES => MtimePolicy::Kept,
            other => {
                let found = other.into();
                return Err(FormatError::Unknown { what: "tree flags", offset: 5, found });
            }
        };
        let root_tag = input.byte("root tag")?;
        if root_tag & !tag::XATTRS != tag::DIRECTORY {
            let found = root_tag.into();
            return Err(FormatError::Unknown { what: "root tag", offset: 6, found });
        }
        let root = read_meta(&mut input, policy, root_tag)?;
        Ok(Self { input, policy, root, open: vec![None], path: Vec::new(), from_root: true })
    }

    /// Goes on inside a tree: `input` is at an entry of a directory whose earlier entries do
    /// not matter. Names are checked from here on, hardlinks are not.
    pub fn resume(input: R, policy: MtimePolicy, offset: u64) -> Self {
        let input = Reader::at(input, offset);
        let root = Meta::default();
        Self { input, policy, root, open: vec![None], path: Vec::new(), from_root: false }
    }

    /// Attributes of the root directory.
    pub fn root(&self) -> &Meta {
        &self.root
    }

    /// Whether entries have modification times.
    pub fn policy(&self) -> MtimePolicy {
        self.policy
    }

    /// Bytes from the start of the tree to the next event.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// How many directories are open: 1 in the root, 0 at the end.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The path of the directory whose entries come next.
    pub fn directory(&self) -> TreePath {
        TreePath::new(self.path.clone()).expect("made of checked names within the limit")
    }

    /// The next event; `None` after the root was left. What follows the tree is not read.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        let Some(last) = self.open.last() else {
            return Ok(None);
        };
        let offset = self.input.offset();
        let first = self.input.byte("entry tag")?;
        if first == tag::LEAVE {
            self.open.pop();
            let parent = self.path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            self.path.truncate(parent);
            return Ok(Some(Event::Leave));
        }
        let kind = first & !tag::XATTRS;
        // A hardlink has no attributes of its own, hence no extended ones either.
        if !(tag::OBJECT..=tag::SOCKET).contains(&kind) || first == tag::HARDLINK | tag::XATTRS {
            let found = first.into();
            return Err(FormatError::Unknown { what: "entry tag", offset, found });
        }
        let name = read_name(&mut self.input)?;
        if last.as_ref().is_some_and(|last| *last >= name) {
            let why = "entries of a directory must ascend by name";
            return Err(FormatError::NotCanonical { what: "entry name", offset, why });
        }
        let path_len = self.path.len() + name.as_bytes().len() + 1;
        if path_len > MAX_PATH {
            return Err(FormatError::TooLarge {
                what: "path length",
                offset,
                found: path_len as u64,
                limit: MAX_PATH as u64,
            });
        }
        let meta = match first {
            tag::HARDLINK => Meta::default(),
            _ => read_meta(&mut self.input, self.policy, first)?,
        };
        let node = read_node(&mut self.input, kind, offset)?;
        if let Node::Hardlink(target) = &node
            && !self.is_before(target, &name)
        {
            let why = "a hardlink must name an entry before it";
            return Err(FormatError::NotCanonical { what: "hardlink target", offset, why });
        }
        *self.open.last_mut().expect("checked above") = Some(name.clone());
        if node == Node::Directory {
            if !self.path.is_empty() {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name.as_bytes());
            self.open.push(None);
        }
        Ok(Some(Event::Entry(Entry { name, meta, node })))
    }

    /// Reads on to the end and checks that nothing follows.
    pub fn finish(mut self) -> Result<()> {
        while self.next_event()?.is_some() {}
        self.input.expect_end("tree")
    }

    /// Reads on to the end of the directory that is open now.
    pub fn skip_directory(&mut self) -> Result<()> {
        let depth = self.depth();
        while self.depth() >= depth && self.next_event()?.is_some() {}
        Ok(())
    }

    fn is_before(&self, target: &TreePath, name: &Name) -> bool {
        if !self.from_root {
            return true;
        }
        let here = TreePath::new(self.path.clone()).and_then(|directory| directory.join(name));
        here.is_some_and(|here| *target < here)
    }
}

pub(crate) fn read_name<R: Read>(input: &mut Reader<R>) -> Result<Name> {
    let offset = input.offset();
    let bytes = input.bytes(MAX_NAME, "entry name")?;
    Name::new(bytes.clone()).ok_or_else(|| FormatError::Invalid {
        what: "entry name",
        offset,
        expected: "1 to 255 bytes without / and NUL, not . or ..",
        found: format!("\"{}\"", bytes.escape_ascii()),
    })
}

/// Reads what follows the name of an entry other than a hardlink, up to its node.
pub(crate) fn read_meta<R: Read>(
    input: &mut Reader<R>,
    policy: MtimePolicy,
    first: u8,
) -> Result<Meta> {
    let kind = first & !tag::XATTRS;
    let mode = match kind {
        tag::SYMLINK => 0o777,
        _ => input.number(0o7777, "mode")? as u16,
    };
    let uid = input.number(u32::MAX.into(), "uid")? as u32;
    let gid = input.number(u32::MAX.into(), "gid")? as u32;
    let mtime = match policy {
        MtimePolicy::Normalised => None,
        MtimePolicy::Kept => Some(Mtime {
            seconds: input.signed("mtime seconds")?,
            nanoseconds: input.number(999_999_999, "mtime nanoseconds")? as u32,
        }),
    };
    let xattrs = match first & tag::XATTRS {
        0 => Vec::new(),
        _ => read_xattrs(input)?,
    };
    Ok(Meta { mode, uid, gid, mtime, xattrs })
}

/// Reads what a node has after its attributes.
pub(crate) fn read_node<R: Read>(input: &mut Reader<R>, kind: u8, offset: u64) -> Result<Node> {
    Ok(match kind {
        tag::OBJECT => {
            let size = input.varint("file size")?;
            if size <= MAX_INLINE as u64 {
                let why = "a file this small must be inline";
                return Err(FormatError::NotCanonical { what: "file size", offset, why });
            }
            Node::Object { size, id: ObjectId::from_bytes(input.array("object id")?) }
        }
        tag::INLINE => Node::Inline(input.bytes(MAX_INLINE, "inline content")?),
        tag::DIRECTORY => Node::Directory,
        tag::SYMLINK => {
            let target = input.bytes(MAX_SYMLINK, "symlink target")?;
            if target.is_empty() || target.contains(&0) {
                return Err(FormatError::Invalid {
                    what: "symlink target",
                    offset,
                    expected: "1 to 4095 bytes without NUL",
                    found: format!("\"{}\"", target.escape_ascii()),
                });
            }
            Node::Symlink(target)
        }
        tag::HARDLINK => {
            let bytes = input.bytes(MAX_PATH, "hardlink target")?;
            match TreePath::new(bytes) {
                Some(target) if !target.is_root() => Node::Hardlink(target),
                _ => {
                    return Err(FormatError::Invalid {
                        what: "hardlink target",
                        offset,
                        expected: "a path inside the tree",
                        found: "something else".into(),
                    });
                }
            }
        }
        tag::FIFO => Node::Fifo,
        tag::SOCKET => Node::Socket,
        tag::CHAR_DEVICE => Node::CharDevice(read_device(input)?),
        tag::BLOCK_DEVICE => Node::BlockDevice(read_device(input)?),
        other => {
            return Err(FormatError::Unknown { what: "entry tag", offset, found: other.into() });
        }
    })
}

fn read_device<R: Read>(input: &mut Reader<R>) -> Result<Device> {
    let major = input.number(u32::MAX.into(), "device major")? as u32;
    let minor = input.number(u32::MAX.into(), "device minor")? as u32;
    Ok(Device { major, minor })
}

fn read_xattrs<R: Read>(input: &mut Reader<R>) -> Result<Vec<Xattr>> {
    let offset = input.offset();
    let count = input.number(MAX_XATTRS as u64, "number of extended attributes")?;
    let mut xattrs: Vec<Xattr> = Vec::new();
    for _ in 0..count {
        let name = input.bytes(MAX_NAME, "extended attribute name")?;
        if name.is_empty() || name.contains(&0) {
            return Err(FormatError::Invalid {
                what: "extended attribute name",
                offset,
                expected: "1 to 255 bytes without NUL",
                found: format!("\"{}\"", name.escape_ascii()),
            });
        }
        let value = input.bytes(MAX_XATTR_VALUE, "extended attribute value")?;
        if xattrs.last().is_some_and(|last| last.name >= name) {
            let why = "they must ascend by name";
            return Err(FormatError::NotCanonical { what: "extended attributes", offset, why });
        }
        xattrs.push(Xattr { name, value });
    }
    if xattrs.is_empty() {
        let why = "none follow although the tag says so";
        return Err(FormatError::NotCanonical { what: "extended attributes", offset, why });
    }
    Ok(xattrs)
}
