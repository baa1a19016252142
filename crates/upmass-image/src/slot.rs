//! What is in a boot slot: a list of files, whoever decided on it.

use std::io::{self, Read, Write};

use upmass_disk::SlotImage;
use upmass_disk::fat::{Image, NewFile, PlanError};
use upmass_disk::gpt::Partition;
use upmass_format::slot::{CONTENTS_FILE, contents_file};
use upmass_format::tree::Node;
use upmass_format::{ObjectHasher, ObjectId};
use upmass_store::Store;

/// A file of a boot slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotFile {
    /// Names joined by `/`.
    pub path: String,
    /// Its content.
    pub source: Source,
}

/// Where content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Some bytes.
    Bytes(Vec<u8>),
    /// An object of the store, and its length.
    Object(ObjectId, u64),
}

impl Source {
    /// The content of a regular file of a tree.
    pub(crate) fn of(node: &Node) -> Option<Self> {
        match node {
            Node::Object { size, id } => Some(Self::Object(*id, *size)),
            Node::Inline(bytes) => Some(Self::Bytes(bytes.clone())),
            _ => None,
        }
    }

    /// The digest of the content.
    pub(crate) fn digest(&self) -> ObjectId {
        match self {
            Self::Bytes(bytes) => ObjectHasher::hash(bytes),
            Self::Object(id, _) => *id,
        }
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Object(_, len) => *len,
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn write_to(&self, store: &Store, output: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => output.write_all(bytes),
            Self::Object(id, _) => {
                let mut object = store.object_reader(*id).map_err(io::Error::other)?;
                let mut buffer = vec![0; 1 << 16];
                loop {
                    match object.read(&mut buffer)? {
                        0 => return Ok(()),
                        n => output.write_all(&buffer[..n])?,
                    }
                }
            }
        }
    }
}

/// Adds the file that says which files a slot has, so that whoever has the slot can tell whether it
/// is whole.
pub(crate) fn add_contents(files: &mut Vec<SlotFile>) {
    let digests = files.iter().map(|file| (file.path.clone(), file.source.digest())).collect();
    let bytes = contents_file(&digests);
    files.push(SlotFile { path: CONTENTS_FILE.to_owned(), source: Source::Bytes(bytes) });
}

/// The file system of a slot, made from the store as often as it is asked for, always the same.
pub struct SlotFileSystem<'s> {
    store: &'s Store,
    files: &'s [SlotFile],
    image: Image,
}

impl<'s> SlotFileSystem<'s> {
    /// Plans the file system of the slot that is this partition. Reads nothing of the store yet.
    ///
    /// # Errors
    /// When the files do not fit, or have names that FAT does not take.
    pub fn plan(
        store: &'s Store,
        files: &'s [SlotFile],
        partition: &Partition,
    ) -> Result<Self, PlanError> {
        let [a, b, c, d, ..] = *partition.id.as_bytes();
        let place = (partition.range.len(), partition.range.start());
        Self::of_len(store, files, place, u32::from_le_bytes([a, b, c, d]))
    }

    /// As [`Self::plan`], for a slot `len` bytes long that begins at byte `start` of the disk.
    pub(crate) fn of_len(
        store: &'s Store,
        files: &'s [SlotFile],
        (len, start): (u64, u64),
        serial: u32,
    ) -> Result<Self, PlanError> {
        let new: Vec<NewFile> = (files.iter())
            .map(|file| NewFile { path: file.path.clone(), len: file.source.len() })
            .collect();
        let image = Image::plan(len, start, serial, "BOOT", &new)?;
        Ok(Self { store, files, image })
    }
}

impl SlotImage for SlotFileSystem<'_> {
    fn len(&self) -> u64 {
        self.image.len()
    }

    fn write_to(&self, output: &mut dyn Write) -> io::Result<()> {
        let files = self.files;
        self.image
            .write_to(output, &mut |index, output| files[index].source.write_to(self.store, output))
    }
}
