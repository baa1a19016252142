//! Trees: the manifest of a directory tree in its one canonical encoding (`spec/tree.md`).
//!
//! A tree is read and written as a stream of [`Event`]s, since a device holds neither a million
//! entries nor their names in memory. [`Directory`] is the same in memory, for the build host.

mod memory;
pub(crate) mod reader;
pub(crate) mod writer;

pub use memory::{Child, Directory};
pub use reader::TreeReader;
pub use writer::TreeWriter;

use crate::{Name, ObjectId, TreePath};

/// The first bytes of a tree.
pub const MAGIC: [u8; 4] = *b"UPMT";
/// The version of the encoding.
pub const VERSION: u8 = 1;
/// Files up to this size are kept inside the tree: an object would cost an inode, a block and
/// 32 bytes of digest to hold less than that.
pub const MAX_INLINE: usize = 64;
/// Most extended attributes of one entry.
pub const MAX_XATTRS: usize = 256;
/// Longest value of an extended attribute (XATTR_SIZE_MAX).
pub const MAX_XATTR_VALUE: usize = 65536;
/// Longest target of a symlink.
pub const MAX_SYMLINK: usize = crate::name::MAX_PATH;
/// The modification time of every file after checkout, when a tree keeps none: one second
/// after the epoch, as Nix does, since some programs take 0 for "unknown".
pub const NORMALISED_MTIME: Mtime = Mtime { seconds: 1, nanoseconds: 0 };

/// What the flags byte of a tree may hold: bit 0, modification times are kept.
pub(crate) const FLAG_MTIMES: u8 = 1;

/// What a tree says of modification times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MtimePolicy {
    /// None are kept; all are [`NORMALISED_MTIME`] after checkout.
    #[default]
    Normalised,
    /// Every entry has its own.
    Kept,
}

/// A modification time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mtime {
    /// Seconds since the epoch.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// Owner, permissions and attributes of an entry; never part of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Meta {
    /// Permission bits with setuid, setgid and sticky: at most 0o7777. 0o777 for symlinks.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// There exactly when the tree keeps modification times.
    pub mtime: Option<Mtime>,
    /// Extended attributes, ascending by name.
    pub xattrs: Vec<Xattr>,
}

/// One extended attribute.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Xattr {
    /// With its namespace (`security.capability`): 1 to 255 bytes without NUL.
    pub name: Vec<u8>,
    /// Any bytes, at most [`MAX_XATTR_VALUE`].
    pub value: Vec<u8>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    /// A directory; its entries follow, up to [`Event::Leave`].
    Directory,
    /// A regular file of more than [`MAX_INLINE`] bytes.
    Object {
        /// Length in bytes.
        size: u64,
        /// Its content.
        id: ObjectId,
    },
    /// A regular file of at most [`MAX_INLINE`] bytes.
    Inline(Vec<u8>),
    /// A symbolic link: 1 to 4095 bytes without NUL.
    Symlink(Vec<u8>),
    /// Another name of an entry that came earlier and is not a directory.
    Hardlink(TreePath),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
}

/// The number of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Device {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Its name there.
    pub name: Name,
    /// `Meta::default()` for a hardlink, which has none of its own.
    pub meta: Meta,
    /// What it is.
    pub node: Node,
}

/// A step of the walk over a tree, depth first, entries ascending by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An entry; for a directory, its own entries come next.
    Entry(Entry),
    /// The end of a directory; the last one ends the tree.
    Leave,
}

/// The first byte of an entry: what follows it.
pub(crate) mod tag {
    pub const LEAVE: u8 = 0;
    pub const OBJECT: u8 = 1;
    pub const INLINE: u8 = 2;
    pub const DIRECTORY: u8 = 3;
    pub const SYMLINK: u8 = 4;
    pub const HARDLINK: u8 = 5;
    pub const FIFO: u8 = 6;
    pub const CHAR_DEVICE: u8 = 7;
    pub const BLOCK_DEVICE: u8 = 8;
    pub const SOCKET: u8 = 9;
    /// Added to the tag when extended attributes follow.
    pub const XATTRS: u8 = 0x10;
}

impl Node {
    pub(crate) fn tag(&self) -> u8 {
        match self {
            Node::Object { .. } => tag::OBJECT,
            Node::Inline(_) => tag::INLINE,
            Node::Directory => tag::DIRECTORY,
            Node::Symlink(_) => tag::SYMLINK,
            Node::Hardlink(_) => tag::HARDLINK,
            Node::Fifo => tag::FIFO,
            Node::CharDevice(_) => tag::CHAR_DEVICE,
            Node::BlockDevice(_) => tag::BLOCK_DEVICE,
            Node::Socket => tag::SOCKET,
        }
    }

    /// Length of a regular file's content; `None` for anything else.
    pub fn file_size(&self) -> Option<u64> {
        match self {
            Node::Object { size, .. } => Some(*size),
            Node::Inline(content) => Some(content.len() as u64),
            _ => None,
        }
    }
}
