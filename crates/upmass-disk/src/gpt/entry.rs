//! One partition in an array of entries.

use std::fmt;

use super::Guid;
use crate::DiskRange;

/// Types of partitions that we write.
pub mod kind {
    use super::Guid;

    /// What firmware boots from: the active boot slot.
    pub const EFI_SYSTEM: Guid = Guid::literal("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    /// What nobody looks at by itself: the inactive boot slot ("Linux reserved").
    pub const RESERVED: Guid = Guid::literal("8da63339-0007-60c0-c436-083ac8230908");
    /// A file system of Linux.
    pub const LINUX: Guid = Guid::literal("0fc63daf-8483-4772-8e79-3d69d8477de4");
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is for.
    pub kind: Guid,
    /// Its own name, unique on every disk.
    pub id: Guid,
    /// First sector.
    pub first: u64,
    /// Last sector.
    pub last: u64,
    /// Bits for firmware and for software of that kind.
    pub attributes: u64,
    /// A name for people, and for finding it.
    pub name: Name,
}

impl Entry {
    /// Length of an entry in bytes that we write; others may be longer.
    pub const LEN: usize = 128;

    /// Reads the first 128 bytes of an entry. `None` when it is not used.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let array = |at: usize| bytes[at..].first_chunk().copied().unwrap_or_default();
        let number =
            |at: usize| u64::from_le_bytes(bytes[at..].first_chunk().copied().unwrap_or_default());
        let kind = Guid::from_bytes(array(0));
        if kind == Guid::ZERO {
            return None;
        }
        let mut name = [0; Name::LEN];
        for (unit, bytes) in name.iter_mut().zip(bytes[56..].as_chunks().0) {
            *unit = u16::from_le_bytes(*bytes);
        }
        Some(Self {
            kind,
            id: Guid::from_bytes(array(16)),
            first: number(32),
            last: number(40),
            attributes: number(48),
            name: Name(name),
        })
    }

    /// The bytes on the disk.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..16].copy_from_slice(self.kind.as_bytes());
        bytes[16..32].copy_from_slice(self.id.as_bytes());
        for (at, number) in [(32, self.first), (40, self.last), (48, self.attributes)] {
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        for (unit, bytes) in self.name.0.iter().zip(bytes[56..].as_chunks_mut().0) {
            *bytes = unit.to_le_bytes();
        }
        bytes
    }

    /// Where it is. `None` when its sectors do not ascend or are behind every disk.
    pub fn range(&self) -> Option<DiskRange> {
        DiskRange::sectors(self.first, self.last)
    }
}

/// The name of a partition: up to 36 units of UTF-16, kept as they are even where they are not
/// text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name([u16; Self::LEN]);

impl Name {
    /// Longest name, in units of UTF-16.
    pub const LEN: usize = 36;

    /// A name. `None` when it is too long or has a NUL in it.
    pub fn new(text: &str) -> Option<Self> {
        let mut units = [0; Self::LEN];
        let mut places = units.iter_mut();
        for unit in text.encode_utf16() {
            *places.next().filter(|_| unit != 0)? = unit;
        }
        Some(Self(units))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.0.iter().copied().take_while(|unit| *unit != 0);
        let text: String = char::decode_utf16(units)
            .map(|c| c.ok().filter(|c| !c.is_control()).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        f.write_str(&text)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}
