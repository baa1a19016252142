//! One header block: where the fields are, and what they hold.
//!
//! POSIX.1-2024 `pax`, "ustar Interchange Format"; for the GNU variant, "Basic Tar Format" in
//! the manual of GNU tar; for star's, star(5).

use std::ops::Range;

use super::fault::ArchiveFault;
use super::number;

/// Length of a block: archives are made of them.
pub(super) const BLOCK: usize = 512;

/// A header whose checksum is right.
#[derive(Clone)]
pub(super) struct Header(pub(super) [u8; BLOCK]);

/// Which program's rules a header follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// Unix version 7: no devices, no prefix.
    V7,
    /// POSIX, with a prefix for the path.
    Ustar,
    /// As POSIX, with a shorter prefix.
    Star,
    /// GNU, with other fields in the place of the prefix.
    Gnu,
}

impl Header {
    /// Takes a block, and checks its checksum: the sum of all bytes, those of the checksum
    /// taken as spaces. Some old programs added signed bytes.
    pub(super) fn new(block: [u8; BLOCK]) -> Result<Self, ArchiveFault> {
        let sum = |value: &dyn Fn(u8) -> i64| {
            block.iter().enumerate().fold(0, |sum, (at, byte)| {
                sum + if CHECKSUM.contains(&at) { i64::from(b' ') } else { value(*byte) }
            })
        };
        let unsigned = sum(&|byte| i64::from(byte));
        let written = number::field(&block[CHECKSUM]);
        if written != Some(unsigned) && written != Some(sum(&|byte| i64::from(byte as i8))) {
            let found = block[CHECKSUM].escape_ascii().to_string();
            return Err(ArchiveFault::Checksum { expected: unsigned as u64, found });
        }
        Ok(Self(block))
    }

    /// The byte that says what the entry is.
    pub(super) fn tag(&self) -> u8 {
        self.0[TAG]
    }

    /// The path, with its prefix.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = until_nul(&self.0[NAME]);
        let prefix = match self.dialect() {
            Dialect::Ustar => until_nul(&self.0[PREFIX]),
            Dialect::Star => until_nul(&self.0[STAR_PREFIX]),
            Dialect::V7 | Dialect::Gnu => b"",
        };
        match prefix.is_empty() {
            true => name.to_vec(),
            false => [prefix, b"/", name].concat(),
        }
    }

    /// The target of a link.
    pub(super) fn link(&self) -> &[u8] {
        until_nul(&self.0[LINK])
    }

    /// The permission bits. Some programs add the type of the file, which is dropped.
    pub(super) fn mode(&self) -> Result<u16, ArchiveFault> {
        Ok((self.unsigned("mode", &self.0[MODE])? & 0o7777) as u16)
    }

    /// The owner.
    pub(super) fn uid(&self) -> Result<u32, ArchiveFault> {
        self.id("owner", &self.0[UID])
    }

    /// The group.
    pub(super) fn gid(&self) -> Result<u32, ArchiveFault> {
        self.id("group", &self.0[GID])
    }

    /// How many bytes follow.
    pub(super) fn size(&self) -> Result<u64, ArchiveFault> {
        self.unsigned("size", &self.0[SIZE])
    }

    /// The modification time in seconds.
    pub(super) fn mtime(&self) -> Result<i64, ArchiveFault> {
        number::field(&self.0[MTIME])
            .ok_or_else(|| bad_number("modification time", &self.0[MTIME], "an octal number"))
    }

    /// Major and minor number of a device.
    pub(super) fn device(&self) -> Result<(u32, u32), ArchiveFault> {
        if self.dialect() == Dialect::V7 {
            return Ok((0, 0));
        }
        Ok((self.id("device major", &self.0[MAJOR])?, self.id("device minor", &self.0[MINOR])?))
    }

    fn dialect(&self) -> Dialect {
        match &self.0[MAGIC] {
            b"ustar\0" if self.0[STAR_MAGIC] == *b"tar\0" => Dialect::Star,
            b"ustar\0" => Dialect::Ustar,
            b"ustar " => Dialect::Gnu,
            _ => Dialect::V7,
        }
    }

    fn id(&self, name: &'static str, bytes: &[u8]) -> Result<u32, ArchiveFault> {
        u32::try_from(self.unsigned(name, bytes)?)
            .map_err(|_| bad_number(name, bytes, "a number of 32 bits"))
    }

    fn unsigned(&self, name: &'static str, bytes: &[u8]) -> Result<u64, ArchiveFault> {
        number::field(bytes)
            .and_then(|value| u64::try_from(value).ok())
            .ok_or_else(|| bad_number(name, bytes, "an octal number"))
    }
}

pub(super) fn bad_number(field: &str, found: &[u8], expected: &'static str) -> ArchiveFault {
    let found = format!("\"{}\"", found[..found.len().min(40)].escape_ascii());
    ArchiveFault::Number { field: field.to_owned(), found, expected }
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TAG: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..263;
const MAJOR: Range<usize> = 329..337;
const MINOR: Range<usize> = 337..345;
const PREFIX: Range<usize> = 345..500;
const STAR_PREFIX: Range<usize> = 345..476;
const STAR_MAGIC: Range<usize> = 508..512;
