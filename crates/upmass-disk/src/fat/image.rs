//! Making a file system in one go.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::directory::{
    ATTRIBUTE_ARCHIVE, ATTRIBUTE_DIRECTORY, ATTRIBUTE_LABEL, ENTRY, Entries, entries_of,
};
use super::geometry::{FATS, RESERVED, SECTOR};
use super::name::{Short, folded, is_valid};
use super::{Geometry, PlanError};

/// A file that an image shall have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Names joined by `/`.
    pub path: String,
    /// Length in bytes.
    pub len: u64,
}

/// The plan of a file system: where everything is, but for the content of files, which is asked
/// for when the image is written.
///
/// Names, lengths, label and serial number decide every byte. Everything is in one piece, files
/// in the order of their paths; so the image ends with the last file, and the free space behind
/// it is not part of it.
#[derive(Debug, Clone)]
pub struct Image {
    geometry: Geometry,
    hidden: u32,
    serial: u32,
    label: Short,
    /// Chains of clusters, in order, from cluster 2 on.
    pieces: Vec<Piece>,
    used: u64,
}

#[derive(Debug, Clone)]
struct Piece {
    clusters: u64,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Directory(Vec<u8>),
    /// Index into the files that were given, and its length.
    File(usize, u64),
}

/// A directory while it is planned.
#[derive(Default)]
struct Directory<'f> {
    nodes: BTreeMap<&'f str, Node<'f>>,
    /// Names by what they are without case.
    folded: BTreeMap<String, &'f str>,
}

enum Node<'f> {
    Directory(Directory<'f>),
    File(usize),
}

/// Most entries of a directory, as its length has at most 2 MiB.
const MAX_ENTRIES: usize = 65_536;

impl Image {
    /// Plans a file system on a partition of `len` bytes that begins `start` bytes behind the
    /// start of the disk. `label` has up to 11 capital letters.
    pub fn plan(
        len: u64,
        start: u64,
        serial: u32,
        label: &str,
        files: &[NewFile],
    ) -> Result<Self, PlanError> {
        let geometry = Geometry::of(len)?;
        let label = label_bytes(label).ok_or_else(|| PlanError::Label(label.to_owned()))?;
        let mut root = Directory::default();
        for (index, file) in files.iter().enumerate() {
            if file.len > u32::MAX.into() {
                return Err(PlanError::FileTooLong { path: file.path.clone(), len: file.len });
            }
            root.add(&file.path, index, files)?;
        }
        let mut plan = Plan { geometry, label, files, pieces: Vec::new(), next: 2 };
        plan.directory(&root, "", None)?;
        let used = plan.next - 2;
        if used > geometry.clusters {
            let needed = used * geometry.cluster_len();
            return Err(PlanError::Full { needed, available: geometry.capacity() });
        }
        // Only loaders from before UEFI look at it.
        let hidden = u32::try_from(start / SECTOR).unwrap_or(0);
        Ok(Self { geometry, hidden, serial, label, pieces: plan.pieces, used })
    }

    /// Length in bytes, up to the end of the last cluster in use.
    pub fn len(&self) -> u64 {
        self.geometry.data_start() + self.used * self.geometry.cluster_len()
    }

    /// Whether it has no bytes; it always has some.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Lengths of its parts.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Writes the image. `content` writes the file with an index; it must have the length that
    /// was planned.
    pub fn write_to(
        &self,
        output: &mut dyn Write,
        content: &mut dyn FnMut(usize, &mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut head = vec![0; (RESERVED * SECTOR) as usize];
        for copy in [0, 6] {
            let at = copy * SECTOR as usize;
            head[at..at + 512].copy_from_slice(&self.boot_sector());
            head[at + 512..at + 1024].copy_from_slice(&self.information());
            // The third boot sector has nothing but its signature.
            head[at + 1534..at + 1536].copy_from_slice(&[0x55, 0xaa]);
        }
        output.write_all(&head)?;
        for _ in 0..FATS {
            self.write_fat(output)?;
        }
        for piece in &self.pieces {
            let mut counted = Counted { output, len: 0 };
            let expected = match &piece.content {
                Content::Directory(bytes) => {
                    counted.write_all(bytes)?;
                    bytes.len() as u64
                }
                Content::File(index, len) => {
                    content(*index, &mut counted)?;
                    *len
                }
            };
            let found = counted.len;
            if found != expected {
                let why =
                    format!("a file has {found} bytes and not the {expected} that were planned");
                return Err(io::Error::other(why));
            }
            write_zeros(output, piece.clusters * self.geometry.cluster_len() - found)?;
        }
        Ok(())
    }

    fn boot_sector(&self) -> [u8; 512] {
        let Geometry { sectors, cluster_sectors, fat_sectors, .. } = self.geometry;
        let mut sector = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
        // A jump over the table to code that stops: nothing boots this way.
        put(0, &[0xeb, 0x58, 0x90]);
        put(3, b"UPMASS  ");
        put(11, &(SECTOR as u16).to_le_bytes());
        put(13, &[cluster_sectors as u8]);
        put(14, &(RESERVED as u16).to_le_bytes());
        put(16, &[FATS as u8]);
        put(21, &[0xf8]);
        // Geometry for addresses by cylinder: of no use, and not zero.
        put(24, &63u16.to_le_bytes());
        put(26, &255u16.to_le_bytes());
        put(28, &self.hidden.to_le_bytes());
        put(32, &(sectors as u32).to_le_bytes());
        put(36, &(fat_sectors as u32).to_le_bytes());
        put(44, &2u32.to_le_bytes());
        put(48, &1u16.to_le_bytes());
        put(50, &6u16.to_le_bytes());
        put(64, &[0x80, 0, 0x29]);
        put(67, &self.serial.to_le_bytes());
        put(71, &self.label);
        put(82, b"FAT32   ");
        // cli; hlt; and around again.
        put(90, &[0xfa, 0xf4, 0xeb, 0xfc]);
        put(510, &[0x55, 0xaa]);
        sector
    }

    fn information(&self) -> [u8; 512] {
        let free = (self.geometry.clusters - self.used) as u32;
        let next = (self.used + 2) as u32;
        let mut sector = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"RRaA");
        put(484, b"rrAa");
        put(488, &free.to_le_bytes());
        put(492, &next.to_le_bytes());
        put(508, &[0, 0, 0x55, 0xaa]);
        sector
    }

    fn write_fat(&self, output: &mut dyn Write) -> io::Result<()> {
        let mut output = io::BufWriter::with_capacity(1 << 16, output);
        output.write_all(&0x0fff_fff8u32.to_le_bytes())?;
        output.write_all(&END.to_le_bytes())?;
        let mut next = 2u32;
        for piece in &self.pieces {
            for index in 0..piece.clusters {
                next += 1;
                let value = if index + 1 == piece.clusters { END } else { next };
                output.write_all(&value.to_le_bytes())?;
            }
        }
        let written = (2 + self.used) * 4;
        write_zeros(&mut output, self.geometry.fat_sectors * SECTOR - written)?;
        output.flush()
    }
}

/// The end of a chain.
const END: u32 = 0x0fff_ffff;

impl<'f> Directory<'f> {
    fn add(&mut self, path: &'f str, index: usize, files: &'f [NewFile]) -> Result<(), PlanError> {
        let whole = &files[index].path;
        let (name, rest) = match path.split_once('/') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        if !is_valid(name) {
            return Err(PlanError::Name { path: whole.clone() });
        }
        let new = || match rest {
            Some(_) => Node::Directory(Directory::default()),
            None => Node::File(index),
        };
        let known = *self.folded.entry(folded(name)).or_insert(name);
        if known != name {
            let (first, second) = (known.to_owned(), name.to_owned());
            return Err(PlanError::SameName { first, second });
        }
        let is_new = !self.nodes.contains_key(name);
        match (self.nodes.entry(name).or_insert_with(new), rest) {
            (Node::Directory(directory), Some(rest)) => directory.add(rest, index, files),
            (Node::File(_), None) if is_new => Ok(()),
            (Node::File(_), None) => {
                Err(PlanError::SameName { first: whole.clone(), second: whole.clone() })
            }
            _ => {
                let end = whole.len() - rest.map_or(0, |rest| rest.len() + 1);
                Err(PlanError::FileAndDirectory { path: whole[..end].to_owned() })
            }
        }
    }
}

struct Plan<'p> {
    geometry: Geometry,
    label: Short,
    files: &'p [NewFile],
    pieces: Vec<Piece>,
    next: u64,
}

impl Plan<'_> {
    /// Plans a directory, its files, and then the directories in it. Gives its first cluster.
    fn directory(
        &mut self,
        directory: &Directory<'_>,
        path: &str,
        parent: Option<u32>,
    ) -> Result<u32, PlanError> {
        let is_root = parent.is_none();
        let own_entries = if is_root { 1 } else { 2 };
        let names = directory.nodes.keys().copied();
        let count = own_entries + names.clone().map(entries_of).sum::<usize>();
        // One more for the zeros that end it.
        if count + 1 > MAX_ENTRIES {
            return Err(PlanError::DirectoryTooLong { path: path.to_owned() });
        }
        let index = self.pieces.len();
        let first = self.piece((count * ENTRY) as u64, Content::Directory(Vec::new()));
        let mut entries = Entries::new(names);
        match parent {
            None => entries.short(&self.label, ATTRIBUTE_LABEL, 0, 0),
            Some(parent) => {
                entries.short(b".          ", ATTRIBUTE_DIRECTORY, first, 0);
                entries.short(b"..         ", ATTRIBUTE_DIRECTORY, parent, 0);
            }
        }
        for (name, node) in &directory.nodes {
            match node {
                Node::File(file) => {
                    let len = self.files[*file].len;
                    let cluster = match len {
                        0 => 0,
                        len => self.piece(len, Content::File(*file, len)),
                    };
                    // Longer ones were refused.
                    entries.name(name, ATTRIBUTE_ARCHIVE, cluster, len as u32);
                }
                Node::Directory(inner) => {
                    let path =
                        if path.is_empty() { (*name).to_owned() } else { format!("{path}/{name}") };
                    // The root has no number as a parent.
                    let parent = if is_root { 0 } else { first };
                    let cluster = self.directory(inner, &path, Some(parent))?;
                    entries.name(name, ATTRIBUTE_DIRECTORY, cluster, 0);
                }
            }
        }
        self.pieces[index].content = Content::Directory(entries.bytes);
        Ok(first)
    }

    fn piece(&mut self, len: u64, content: Content) -> u32 {
        let clusters = self.geometry.clusters_of(len);
        let first = self.next;
        self.next += clusters;
        self.pieces.push(Piece { clusters, content });
        // Where there are more clusters than numbers, the plan is refused in the end.
        first as u32
    }
}

/// A label as it is on the disk.
fn label_bytes(label: &str) -> Option<Short> {
    let is_valid = |byte: u8| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'_')
    };
    let mut bytes = [b' '; 11];
    let fits = (1..=11).contains(&label.len()) && !label.starts_with(' ');
    if !fits || !label.bytes().all(is_valid) {
        return None;
    }
    bytes[..label.len()].copy_from_slice(label.as_bytes());
    Some(bytes)
}

fn write_zeros(output: &mut dyn Write, mut len: u64) -> io::Result<()> {
    let zeros = [0; 4096];
    while len > 0 {
        let take = len.min(4096);
        output.write_all(&zeros[..take as usize])?;
        len -= take;
    }
    Ok(())
}

struct Counted<'o> {
    output: &'o mut dyn Write,
    len: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
