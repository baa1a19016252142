//! Reading a file system, whoever made it. Every chain is bounded by the length that it must
//! have, and every directory by 65536 entries.

use std::io::Write;

use super::FatError;
use super::directory::{
    ATTRIBUTE_DIRECTORY, ATTRIBUTE_LABEL, ATTRIBUTE_LONG, ENTRY, LAST_LONG, UNIT_PLACES, UNITS,
};
use super::geometry::{MIN_CLUSTERS, SECTOR};
use super::name::{MAX_UNITS, Short, checksum, folded, short_text};
use crate::volume::ReadAt;

/// A FAT32 file system that is read.
pub struct FileSystem<'c> {
    content: &'c dyn ReadAt,
    cluster_len: u64,
    fat_start: u64,
    data_start: u64,
    clusters: u64,
    root: u32,
    serial: u32,
}

/// A file or a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name, the long one if it has one.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    cluster: u32,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A file and its length in bytes.
    File(u64),
}

/// Most entries of a directory.
const MAX_ENTRIES: usize = 65_536;

impl<'c> FileSystem<'c> {
    /// Reads the boot sector.
    pub fn open(content: &'c dyn ReadAt) -> Result<Self, FatError> {
        let mut sector = [0; 512];
        read(content, &mut sector, 0)?;
        let u16_at = |at: usize| u64::from(u16::from_le_bytes([sector[at], sector[at + 1]]));
        let u32_at = |at: usize| {
            u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]])
        };
        let expect = |is_so: bool, why: &'static str| match is_so {
            true => Ok(()),
            false => Err(FatError::NotFat32(why)),
        };
        let cluster_sectors = u64::from(sector[13]);
        let (reserved, fats) = (u16_at(14), u64::from(sector[16]));
        let (sectors, fat_sectors) = (u64::from(u32_at(32)), u64::from(u32_at(36)));
        expect(sector[510..] == [0x55, 0xaa], "its first sector has no signature")?;
        expect(u16_at(11) == SECTOR, "its sectors do not have 512 bytes")?;
        expect(cluster_sectors.is_power_of_two(), "the length of its clusters cannot be")?;
        expect(reserved > 0 && (1..=2).contains(&fats), "it has no FAT")?;
        expect(u16_at(17) == 0 && u16_at(22) == 0 && fat_sectors > 0, "it is FAT12 or FAT16")?;
        expect(u16_at(42) == 0, "it is of a later version")?;
        expect(sectors * SECTOR <= content.len(), "it is longer than its partition")?;
        let data_start = reserved + fats * fat_sectors;
        let clusters = sectors.saturating_sub(data_start) / cluster_sectors;
        expect(clusters >= MIN_CLUSTERS, "it is FAT12 or FAT16")?;
        expect((clusters + 2) * 4 <= fat_sectors * SECTOR, "its FAT is too short")?;
        let this = Self {
            content,
            cluster_len: cluster_sectors * SECTOR,
            fat_start: reserved * SECTOR,
            data_start: data_start * SECTOR,
            clusters,
            root: u32_at(44),
            serial: u32_at(67),
        };
        expect(this.is_cluster(this.root), "its root directory is outside")?;
        Ok(this)
    }

    /// Its serial number.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// What a directory has, in its order. `""` is the root.
    pub fn list(&self, path: &str) -> Result<Vec<Node>, FatError> {
        match self.find(path)? {
            Some(cluster) => self.directory(cluster),
            None => Err(FatError::Missing { path: path.to_owned() }),
        }
    }

    /// The file or directory with a path; case makes no difference.
    pub fn node(&self, path: &str) -> Result<Option<Node>, FatError> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(cluster) = self.find(parent)? else { return Ok(None) };
        let nodes = self.directory(cluster)?;
        Ok(nodes.into_iter().find(|node| folded(&node.name) == folded(name)))
    }

    /// Reads a file of at most `limit` bytes into memory.
    pub fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, FatError> {
        let missing = || FatError::Missing { path: path.to_owned() };
        let node = self.node(path)?.ok_or_else(missing)?;
        let NodeKind::File(len) = node.kind else { return Err(missing()) };
        if len > limit {
            return Err(FatError::TooLong { path: path.to_owned(), found: len, limit });
        }
        let mut content = Vec::new();
        self.copy(&node, &mut content)?;
        Ok(content)
    }

    /// Writes the content of a file.
    ///
    /// # Errors
    /// When `output` fails too, as [`FatError::Read`].
    pub fn copy(&self, file: &Node, output: &mut dyn Write) -> Result<(), FatError> {
        let NodeKind::File(len) = file.kind else {
            return Err(FatError::Missing { path: file.name.clone() });
        };
        let mut buffer = vec![0; self.cluster_len as usize];
        let (mut rest, mut cluster) = (len, file.cluster);
        while rest > 0 {
            let take = rest.min(self.cluster_len) as usize;
            let offset = self.offset(cluster)?;
            read(self.content, &mut buffer[..take], offset)?;
            let written = output.write_all(&buffer[..take]);
            written.map_err(|source| FatError::Read { offset, len: take, source })?;
            rest -= take as u64;
            if rest > 0 {
                cluster = self.next(cluster)?.ok_or(FatError::Damaged {
                    offset: self.fat_offset(cluster),
                    what: "a file has fewer clusters than its length needs",
                })?;
            }
        }
        Ok(())
    }

    fn find(&self, path: &str) -> Result<Option<u32>, FatError> {
        let mut cluster = self.root;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let nodes = self.directory(cluster)?;
            let found = nodes.iter().find(|node| folded(&node.name) == folded(name));
            match found.filter(|node| node.kind == NodeKind::Directory) {
                // A directory never is the root, which it may claim to be.
                Some(node) => cluster = node.cluster,
                None => return Ok(None),
            }
        }
        Ok(Some(cluster))
    }

    fn directory(&self, first: u32) -> Result<Vec<Node>, FatError> {
        let mut nodes = Vec::new();
        let mut long = LongName::default();
        let mut buffer = vec![0; self.cluster_len as usize];
        let mut cluster = Some(first);
        let mut count = 0;
        while let Some(current) = cluster {
            let offset = self.offset(current)?;
            read(self.content, &mut buffer, offset)?;
            for entry in buffer.as_chunks::<ENTRY>().0 {
                count += 1;
                match entry[0] {
                    0 => return Ok(nodes),
                    _ if count > MAX_ENTRIES => {
                        let what = "a directory has more than 65536 entries";
                        return Err(FatError::Damaged { offset, what });
                    }
                    0xe5 => long = LongName::default(),
                    _ if entry[11] & 0x3f == ATTRIBUTE_LONG => long.add(entry),
                    _ => nodes.extend(node(entry, std::mem::take(&mut long))),
                }
            }
            cluster = self.next(current)?;
        }
        Ok(nodes)
    }

    fn is_cluster(&self, cluster: u32) -> bool {
        (2..self.clusters + 2).contains(&cluster.into())
    }

    /// Where a cluster begins.
    fn offset(&self, cluster: u32) -> Result<u64, FatError> {
        match self.is_cluster(cluster) {
            true => Ok(self.data_start + u64::from(cluster - 2) * self.cluster_len),
            false => Err(FatError::Damaged {
                offset: self.fat_offset(cluster),
                what: "a chain leads to a cluster that there is not",
            }),
        }
    }

    fn fat_offset(&self, cluster: u32) -> u64 {
        self.fat_start + u64::from(cluster) * 4
    }

    /// The next cluster of a chain; `None` at its end.
    fn next(&self, cluster: u32) -> Result<Option<u32>, FatError> {
        let mut bytes = [0; 4];
        read(self.content, &mut bytes, self.fat_offset(cluster))?;
        let next = u32::from_le_bytes(bytes) & 0x0fff_ffff;
        Ok((next < 0x0fff_fff8).then_some(next))
    }
}

/// The parts of a long name that came so far.
#[derive(Default)]
struct LongName {
    units: Vec<u16>,
    /// Which part comes next; 0 when all came.
    expected: u8,
    checksum: u8,
    is_good: bool,
}

impl LongName {
    fn add(&mut self, entry: &[u8; ENTRY]) {
        let number = entry[0] & 0x1f;
        if entry[0] & LAST_LONG != 0 {
            *self =
                Self { is_good: true, expected: number, checksum: entry[13], ..Self::default() };
        }
        let fits = number > 0 && number == self.expected && entry[13] == self.checksum;
        self.is_good &= fits && usize::from(number) <= MAX_UNITS.div_ceil(UNITS);
        if !self.is_good {
            return;
        }
        self.expected -= 1;
        let units = UNIT_PLACES.map(|place| u16::from_le_bytes([entry[place], entry[place + 1]]));
        let units = units.into_iter().take_while(|unit| *unit != 0);
        self.units.splice(0..0, units);
    }

    /// The name, if all of it came and belongs to this short one.
    fn of(self, short: &Short) -> Option<String> {
        let is_whole = self.is_good && self.expected == 0 && self.checksum == checksum(short);
        is_whole.then(|| String::from_utf16_lossy(&self.units))
    }
}

fn node(entry: &[u8; ENTRY], long: LongName) -> Option<Node> {
    let mut short: Short = *entry.first_chunk()?;
    if entry[11] & ATTRIBUTE_LABEL != 0 || short[0] == b'.' {
        return None;
    }
    let long = long.of(&short);
    // 0xe5 would mean that the entry is free.
    if short[0] == 0x05 {
        short[0] = 0xe5;
    }
    // Windows NT and Linux keep here which half of the name is in small letters.
    for (half, bit) in [(0..8, 0x08), (8..11, 0x10)] {
        if entry[12] & bit != 0 {
            short[half].make_ascii_lowercase();
        }
    }
    let [a, b, c, d] = [entry[26], entry[27], entry[20], entry[21]];
    let len = u32::from_le_bytes([entry[28], entry[29], entry[30], entry[31]]);
    let kind = match entry[11] & ATTRIBUTE_DIRECTORY != 0 {
        true => NodeKind::Directory,
        false => NodeKind::File(len.into()),
    };
    let name = long.unwrap_or_else(|| short_text(&short));
    Some(Node { name, kind, cluster: u32::from_le_bytes([a, b, c, d]) & 0x0fff_ffff })
}

fn read(content: &dyn ReadAt, buffer: &mut [u8], offset: u64) -> Result<(), FatError> {
    let len = buffer.len();
    let read = content.read_exact_at(buffer, offset);
    read.map_err(|source| FatError::Read { offset, len, source })
}
