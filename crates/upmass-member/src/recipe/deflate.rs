//! Recipes of deflate streams: what packs them, and what follows them.

use super::*;

/// A deflate stream and the checksum behind it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Deflate {
    /// What follows the stream and belongs to the member.
    pub trailer: Trailer,
    /// Who made the stream.
    pub maker: Maker,
}

/// Who made a deflate stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Maker {
    /// A packer that is known to the last bit.
    Known(Packer),
    /// Another, with what it did otherwise than expected.
    Corrected(Corrections),
}

/// A packer of deflate streams, with its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Packer {
    /// zlib, with a window of 32 KiB: also Python, Java, and most others.
    Zlib {
        /// How hard it tries.
        level: Level,
        /// Size of its hash table and its blocks.
        mem_level: Level,
        /// What it looks for.
        strategy: Strategy,
    },
    /// GNU gzip.
    Gnu {
        /// How hard it tries.
        level: Level,
    },
}

/// A number from 1 to 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u8);

impl Level {
    /// Refuses other numbers.
    pub const fn new(level: u8) -> Option<Self> {
        if level >= 1 && level <= 9 { Some(Self(level)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// What zlib looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// `Z_DEFAULT_STRATEGY`.
    Default,
    /// `Z_FILTERED`: no short matches.
    Filtered,
    /// `Z_HUFFMAN_ONLY`: no matches.
    HuffmanOnly,
    /// `Z_RLE`: runs of one byte.
    Rle,
    /// `Z_FIXED`: only fixed codes.
    Fixed,
}

/// What follows a deflate stream and can be computed from the plain content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trailer {
    /// Nothing: a zip archive has it elsewhere.
    None,
    /// gzip (RFC 1952): CRC-32 and length, 8 bytes.
    Gzip,
    /// zlib (RFC 1950): Adler-32, 4 bytes.
    Zlib,
}

impl Trailer {
    /// Its length in bytes.
    pub const fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Gzip => 8,
            Self::Zlib => 4,
        }
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Where a deflate stream differs from what a prediction says, as `preflate-rs` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Corrections(Box<[u8]>);

impl Corrections {
    /// Refuses none, and more than [`MAX_CORRECTIONS`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (1..=MAX_CORRECTIONS).contains(&bytes.len()).then(|| Self(bytes.into()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Deflate {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let trailer = (self.trailer as u8) << 4;
        match &self.maker {
            Maker::Known(Packer::Zlib { level, mem_level, strategy }) => {
                out.extend([codes::ZLIB, trailer | level.0, (*strategy as u8) << 4 | mem_level.0]);
            }
            Maker::Known(Packer::Gnu { level }) => out.extend([codes::GNU, trailer | level.0]),
            Maker::Corrected(Corrections(bytes)) => {
                out.extend([codes::CORRECTED, trailer | versions::PREFLATE]);
                put_varint(out, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
        }
    }

    pub(super) fn read<R: Read>(input: &mut Reader<R>, code: u8) -> upmass_format::Result<Self> {
        let (high, low) = Byte::read(input, "trailer and level")?.halves();
        let trailer = match high.value {
            0 => Trailer::None,
            1 => Trailer::Gzip,
            2 => Trailer::Zlib,
            _ => return Err(high.refuse("a trailer from 0 to 2")),
        };
        if code == codes::CORRECTED {
            low.expect(versions::PREFLATE)?;
            let offset = input.offset();
            let bytes = input.bytes(MAX_CORRECTIONS, "corrections")?;
            let corrections = Corrections::new(&bytes).ok_or(FormatError::Invalid {
                what: "corrections",
                offset,
                expected: "1 byte or more",
                found: "none".to_owned(),
            })?;
            return Ok(Self { trailer, maker: Maker::Corrected(corrections) });
        }
        let level = low.parse("a level from 1 to 9", Level::new)?;
        let packer = if code == codes::GNU {
            Packer::Gnu { level }
        } else {
            let (high, low) = Byte::read(input, "strategy and memory level")?.halves();
            let mem_level = low.parse("a memory level from 1 to 9", Level::new)?;
            let strategy = high.parse("a strategy from 0 to 4", |code| {
                Strategy::ALL.get(usize::from(code)).copied()
            })?;
            Packer::Zlib { level, mem_level, strategy }
        };
        Ok(Self { trailer, maker: Maker::Known(packer) })
    }
}

impl Strategy {
    /// By their numbers.
    pub const ALL: [Self; 5] =
        [Self::Default, Self::Filtered, Self::HuffmanOnly, Self::Rle, Self::Fixed];
}

/// The most bytes of corrections.
pub const MAX_CORRECTIONS: usize = 1 << 20;
