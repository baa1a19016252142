//! The header of a partition table (UEFI 2.10, 5.3.2).

use super::{Fault, Guid};
use crc32fast::hash as crc32;

/// One of the two headers of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In sector 1.
    Primary,
    /// In the last sector.
    Backup,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Place::Primary => "primary",
            Place::Backup => "backup",
        })
    }
}

/// A header: one sector, whose array of entries decides which slot boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The sector it is in.
    pub own: u64,
    /// The sector of the other header.
    pub other: u64,
    /// First sector that a partition may have.
    pub first_usable: u64,
    /// Last sector that a partition may have.
    pub last_usable: u64,
    /// The name of the disk.
    pub disk: Guid,
    /// First sector of the array.
    pub array: u64,
    /// How many entries the array has, used or not.
    pub count: u32,
    /// Length of an entry in bytes.
    pub entry_len: u32,
    /// Checksum of the array.
    pub array_crc: u32,
}

/// Longest array that is read.
const MAX_ARRAY: u64 = 1 << 20;

impl Header {
    /// The first bytes.
    pub const SIGNATURE: [u8; 8] = *b"EFI PART";
    /// Version 1.0.
    pub const REVISION: u32 = 0x0001_0000;
    /// Length in bytes without the zeros behind it.
    pub const LEN: usize = 92;

    /// Reads a header that was found in sector `own`, as firmware would: what is not a fault
    /// here is used for booting.
    pub fn from_sector(sector: &[u8; 512], own: u64) -> Result<Self, Fault> {
        let u32_at =
            |at: usize| u32::from_le_bytes(sector[at..].first_chunk().copied().unwrap_or_default());
        let u64_at =
            |at: usize| u64::from_le_bytes(sector[at..].first_chunk().copied().unwrap_or_default());
        if sector[..8] != Self::SIGNATURE {
            return Err(Fault::NoSignature);
        }
        if u32_at(8) != Self::REVISION {
            return Err(Fault::Revision(u32_at(8)));
        }
        let len = u32_at(12);
        if !(Self::LEN as u32..=512).contains(&len) {
            return Err(Fault::HeaderLength(len));
        }
        let mut summed = *sector;
        summed[16..20].fill(0);
        let (expected, found) = (u32_at(16), crc32(&summed[..len as usize]));
        if expected != found {
            return Err(Fault::HeaderChecksum { expected, found });
        }
        let header = Self {
            own: u64_at(24),
            other: u64_at(32),
            first_usable: u64_at(40),
            last_usable: u64_at(48),
            disk: Guid::from_bytes(sector[56..].first_chunk().copied().unwrap_or_default()),
            array: u64_at(72),
            count: u32_at(80),
            entry_len: u32_at(84),
            array_crc: u32_at(88),
        };
        if header.own != own {
            return Err(Fault::WrongSector { expected: own, found: header.own });
        }
        // 128 bytes times a power of two.
        let is_len = header.entry_len >= 128 && header.entry_len.is_power_of_two();
        if !is_len || header.array_len() > MAX_ARRAY {
            return Err(Fault::Shape { count: header.count, len: header.entry_len });
        }
        Ok(header)
    }

    /// The sector on the disk.
    pub fn to_sector(&self) -> [u8; 512] {
        let mut sector = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &Self::SIGNATURE);
        put(8, &Self::REVISION.to_le_bytes());
        put(12, &(Self::LEN as u32).to_le_bytes());
        put(24, &self.own.to_le_bytes());
        put(32, &self.other.to_le_bytes());
        put(40, &self.first_usable.to_le_bytes());
        put(48, &self.last_usable.to_le_bytes());
        put(56, self.disk.as_bytes());
        put(72, &self.array.to_le_bytes());
        put(80, &self.count.to_le_bytes());
        put(84, &self.entry_len.to_le_bytes());
        put(88, &self.array_crc.to_le_bytes());
        let crc = crc32(&sector[..Self::LEN]);
        sector[16..20].copy_from_slice(&crc.to_le_bytes());
        sector
    }

    /// Length of the array in bytes.
    pub fn array_len(&self) -> u64 {
        u64::from(self.count) * u64::from(self.entry_len)
    }

    /// The checksum that an array has.
    pub fn checksum(array: &[u8]) -> u32 {
        crc32(array)
    }
}
