//! Reading the tables of a disk, whatever state it is in.

use std::collections::BTreeMap;

use super::{Entry, Header};
use crate::{Disk, SECTOR_LEN};

/// A header whose checksum is right, and its array, whose checksum is right as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The header.
    pub header: Header,
    /// The partitions by number, from 1.
    pub entries: BTreeMap<u32, Entry>,
}

/// Both tables of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// What begins in sector 1.
    pub primary: Result<Table, Fault>,
    /// What the last sector says, or the one that a good primary header names.
    pub backup: Result<Table, Fault>,
}

/// Why a table is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The disk does not give it.
    #[error("{0}")]
    Unreadable(String),
    /// There is nothing.
    #[error("no header")]
    NoSignature,
    /// Of another version.
    #[error("revision {0:#x}, expected 0x10000")]
    Revision(u32),
    /// Its length cannot be.
    #[error("header of {0} bytes, expected 92 to 512")]
    HeaderLength(u32),
    /// It was torn or damaged.
    #[error("header with the wrong checksum, expected {expected:08x}, found {found:08x}")]
    HeaderChecksum {
        /// What it says.
        expected: u32,
        /// What it has.
        found: u32,
    },
    /// A copy of a header of another place.
    #[error("header that belongs into sector {found}, not into {expected}")]
    WrongSector {
        /// Where it is.
        expected: u64,
        /// Where it says that it is.
        found: u64,
    },
    /// Entries of a length that cannot be, or too many.
    #[error("an array of {count} entries of {len} bytes")]
    Shape {
        /// How many.
        count: u32,
        /// How long.
        len: u32,
    },
    /// It was torn or damaged.
    #[error("array with the wrong checksum, expected {expected:08x}, found {found:08x}")]
    ArrayChecksum {
        /// What the header says.
        expected: u32,
        /// What it has.
        found: u32,
    },
}

/// Reads both tables. What cannot be read counts as damaged, so that the other one is used.
pub fn read_tables(disk: &dyn Disk) -> Tables {
    let last = (disk.len() / SECTOR_LEN).saturating_sub(1);
    let primary = read_table(disk, 1);
    let backup = primary.as_ref().map_or(last, |table| table.header.other);
    Tables { primary, backup: read_table(disk, backup) }
}

fn read_table(disk: &dyn Disk, own: u64) -> Result<Table, Fault> {
    let mut sector = [0; 512];
    read(disk, &mut sector, own)?;
    let header = Header::from_sector(&sector, own)?;
    // The header bounds the length.
    let mut array = vec![0; header.array_len() as usize];
    read(disk, &mut array, header.array)?;
    let found = Header::checksum(&array);
    if found != header.array_crc {
        return Err(Fault::ArrayChecksum { expected: header.array_crc, found });
    }
    let entry =
        |(number, bytes): (u32, &[u8])| Some((number, Entry::from_bytes(bytes.first_chunk()?)?));
    let entries = (1..).zip(array.chunks(header.entry_len as usize)).filter_map(entry).collect();
    Ok(Table { header, entries })
}

fn read(disk: &dyn Disk, buffer: &mut [u8], sector: u64) -> Result<(), Fault> {
    let read = match sector.checked_mul(SECTOR_LEN) {
        Some(offset) => disk.read_at(buffer, offset).map_err(|error| error.to_string()),
        None => Err(format!("there is no sector {sector}")),
    };
    read.map_err(Fault::Unreadable)
}
