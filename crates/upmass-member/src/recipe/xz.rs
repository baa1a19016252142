//! Recipes of xz streams.

use super::*;
use crate::expanded::{MAX_LENGTH, MAX_MEMBERS};

/// How an `.xz` stream was made by liblzma.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Xz {
    /// The checksum of each block.
    pub check: XzCheck,
    /// What the search does; its dictionary is beside.
    pub preset: XzPreset,
    /// The dictionary.
    pub dict: XzDict,
    /// Bits of context of literals and positions.
    pub bits: XzBits,
    /// What rewrites branches before.
    pub filter: XzFilter,
    /// How the content is cut.
    pub blocks: XzBlocks,
}

/// What an `.xz` stream says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct XzStream {
    /// The checksum of each block.
    pub check: XzCheck,
    /// The dictionary.
    pub dict: XzDict,
    /// Bits of context of literals and positions.
    pub bits: XzBits,
    /// What rewrites branches before.
    pub filter: XzFilter,
    /// How the content is cut.
    pub blocks: XzBlocks,
}

/// An `.xz` stream of any packer, whose parse is sent (`spec/parse.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct XzParse {
    /// What it says of itself.
    pub stream: XzStream,
    /// Bytes of the parse, which stand behind the content; 0 for what is only unpacked.
    pub parse: u64,
    /// Which of the members that are unpacked from the base, counted from 0, the parse is predicted from.
    pub base: Option<u32>,
    /// How many places of recent content are remembered, for each of three lengths: 10 to 22, as a power
    /// of two.
    pub places: u8,
}

/// The checksum of the blocks of an `.xz` stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum XzCheck {
    /// `--check=none`.
    None,
    /// `--check=crc32`.
    Crc32,
    /// `--check=crc64`.
    Crc64,
    /// `--check=sha256`.
    Sha256,
}

/// What distinguishes the presets of `xz` beside the dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct XzPreset(u8);

impl XzPreset {
    /// All that differ: `-0` to `-6`, `-3e`, `-6e`; the others have their search from one of these.
    pub const ALL: [Self; 9] = [
        Self(6),
        Self(6 | EXTREME),
        Self(0),
        Self(1),
        Self(2),
        Self(3),
        Self(4),
        Self(5),
        Self(3 | EXTREME),
    ];

    /// A preset from 0 to 6 (`-7` to `-9` search as 6), extreme only 3 and 6.
    pub fn new(level: u8, is_extreme: bool) -> Option<Self> {
        let preset = Self(level | if is_extreme { EXTREME } else { 0 });
        Self::ALL.contains(&preset).then_some(preset)
    }

    /// The preset's number.
    pub const fn level(self) -> u8 {
        self.0 & !EXTREME
    }

    /// `-e`.
    pub const fn is_extreme(self) -> bool {
        self.0 & EXTREME != 0
    }
}

const EXTREME: u8 = 0x10;

/// The size of an LZMA2 dictionary, as `.xz` files write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XzDict(u8);

impl XzDict {
    /// From 4 KiB (0) to 512 MiB (34); even numbers are powers of two, odd ones are 3/2 of the one
    /// before.
    pub const fn new(code: u8) -> Option<Self> {
        if code <= MAX_XZ_DICT { Some(Self(code)) } else { None }
    }

    /// The number that is written.
    pub const fn code(self) -> u8 {
        self.0
    }

    /// Bytes.
    pub const fn size(self) -> u32 {
        (2 | (self.0 as u32 & 1)) << (self.0 / 2 + 11)
    }
}

/// `lc`, `lp` and `pb` of LZMA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct XzBits(u8);

impl XzBits {
    /// What all presets have: lc 3, lp 0, pb 2.
    pub const DEFAULT: Self = Self(2 * 45 + 3);

    /// The byte of an LZMA2 chunk: `(pb * 5 + lp) * 9 + lc`, with lc + lp at most 4.
    pub const fn new(byte: u8) -> Option<Self> {
        let bits = Self(byte);
        if byte < 225 && bits.lc() + bits.lp() <= 4 { Some(bits) } else { None }
    }

    /// The byte.
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// Literal context bits.
    pub const fn lc(self) -> u32 {
        self.0 as u32 % 9
    }

    /// Literal position bits.
    pub const fn lp(self) -> u32 {
        self.0 as u32 / 9 % 5
    }

    /// Position bits.
    pub const fn pb(self) -> u32 {
        self.0 as u32 / 45
    }
}

/// What rewrites branches before LZMA2, by its number in `.xz` files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum XzFilter {
    /// Nothing.
    None,
    /// `--x86`.
    X86,
    /// `--powerpc`.
    PowerPc,
    /// `--arm`.
    Arm,
    /// `--armthumb`.
    ArmThumb,
    /// `--arm64`.
    Arm64,
    /// `--riscv`.
    RiscV,
}

/// How `xz` cuts the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum XzBlocks {
    /// One block that does not say how long it is: `-T1`, before xz 5.6.
    Unsized,
    /// One block that says how long it is, with room for no longer one.
    One,
    /// Blocks of so many bytes which say how long they are, the last or only one with room for
    /// the length of a full one.
    Of(u64),
}

impl XzCheck {
    /// With their numbers in `.xz` files.
    pub const ALL: [(u8, Self); 4] =
        [(0, Self::None), (1, Self::Crc32), (4, Self::Crc64), (10, Self::Sha256)];
}

impl XzFilter {
    /// With their numbers in `.xz` files; 0 is none.
    pub const ALL: [(u8, Self); 7] = [
        (0, Self::None),
        (4, Self::X86),
        (5, Self::PowerPc),
        (7, Self::Arm),
        (8, Self::ArmThumb),
        (10, Self::Arm64),
        (11, Self::RiscV),
    ];
}

impl XzStream {
    fn put(&self, preset: Option<XzPreset>, out: &mut Vec<u8>) {
        let (blocks, size) = match self.blocks {
            XzBlocks::Unsized => (0, None),
            XzBlocks::One => (1, None),
            XzBlocks::Of(size) => (2, Some(size)),
        };
        out.push(blocks << 4 | code_of(&XzCheck::ALL, &self.check));
        out.extend(preset.map(|preset| preset.0));
        out.extend([self.dict.0, self.bits.0, code_of(&XzFilter::ALL, &self.filter)]);
        if let Some(size) = size {
            put_varint(out, size);
        }
    }

    /// Reads one, with what `between` reads after the checksum.
    fn read<R: Read, T>(
        input: &mut Reader<R>,
        between: impl Fn(&mut Reader<R>) -> upmass_format::Result<T>,
    ) -> upmass_format::Result<(Self, T)> {
        let (kind, check) = Byte::read(input, "blocks and check")?.halves();
        let check = check.parse("a check: 0, 1, 4, 10", |code| by_code(&XzCheck::ALL, code))?;
        let between = between(input)?;
        let dict = Byte::read(input, "dictionary")?.parse("0 to 34", XzDict::new)?;
        let bits = Byte::read(input, "bits")?.parse("lc + lp at most 4", XzBits::new)?;
        let filter = Byte::read(input, "filter")?;
        let filter = filter.parse("a filter", |code| by_code(&XzFilter::ALL, code))?;
        let blocks = match kind.value {
            0 => XzBlocks::Unsized,
            1 => XzBlocks::One,
            2 => {
                let offset = input.offset();
                match input.number(MAX_XZ_BLOCK, "block")? {
                    0 => {
                        return Err(FormatError::Invalid {
                            what: "block",
                            offset,
                            expected: "1 byte or more",
                            found: "0".to_owned(),
                        });
                    }
                    size => XzBlocks::Of(size),
                }
            }
            _ => return Err(kind.refuse("0 to 2")),
        };
        Ok((Self { check, dict, bits, filter, blocks }, between))
    }
}

impl Xz {
    /// What the stream says of itself.
    pub fn stream(&self) -> XzStream {
        let Self { check, preset: _, dict, bits, filter, blocks } = *self;
        XzStream { check, dict, bits, filter, blocks }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend([codes::XZ, versions::LIBLZMA]);
        self.stream().put(Some(self.preset), out);
    }

    pub(super) fn read<R: Read>(input: &mut Reader<R>) -> upmass_format::Result<Self> {
        Byte::read(input, "version of liblzma")?.expect(versions::LIBLZMA)?;
        let preset = |input: &mut Reader<R>| {
            Byte::read(input, "preset")?
                .parse("0 to 6, 19, 22", |byte| XzPreset::new(byte & !EXTREME, byte & EXTREME != 0))
        };
        let (XzStream { check, dict, bits, filter, blocks }, preset) =
            XzStream::read(input, preset)?;
        Ok(Self { check, preset, dict, bits, filter, blocks })
    }
}

impl XzParse {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend([codes::PARSE, versions::PARSE]);
        self.stream.put(None, out);
        put_varint(out, self.parse);
        put_varint(out, self.base.map_or(0, |base| u64::from(base) + 1));
        out.push(self.places);
    }

    pub(super) fn read<R: Read>(input: &mut Reader<R>) -> upmass_format::Result<Self> {
        Byte::read(input, "version of parses")?.expect(versions::PARSE)?;
        let (stream, ()) = XzStream::read(input, |_| Ok(()))?;
        let refuse = |what, expected, found| {
            let offset = input.offset();
            Err(FormatError::Invalid { what, offset, expected, found })
        };
        match (stream.filter, stream.blocks) {
            (XzFilter::RiscV, _) => {
                let found = "that".to_owned();
                return refuse("filter of a parse", "another than that of RISC-V", found);
            }
            (_, XzBlocks::Of(size)) if size < LEAST_PARSED_BLOCK => {
                return refuse("block of a parse", "65536 bytes or more", size.to_string());
            }
            _ => {}
        }
        let parse = input.number(MAX_LENGTH, "length of a parse")?;
        let base = input.number(MAX_MEMBERS, "base of a parse")?.checked_sub(1);
        let places = Byte::read(input, "places of a parse")?
            .parse("10 to 22", |places| Some(places).filter(|places| PLACES.contains(places)))?;
        Ok(Self { stream, parse, base: base.map(|base| base as u32), places })
    }
}

/// The longest content of a member with a parse, in bytes.
pub const MAX_PARSED: u64 = 1 << 31;

/// The shortest blocks of a member with a parse, in bytes: the index of all is in memory.
pub const LEAST_PARSED_BLOCK: u64 = 1 << 16;

/// The places that a parse may remember, as powers of two.
pub const PLACES: std::ops::RangeInclusive<u8> = 10..=22;

/// The largest dictionary of xz as a code: 512 MiB.
pub const MAX_XZ_DICT: u8 = 34;

/// The largest block of xz: 1 GiB.
pub const MAX_XZ_BLOCK: u64 = 1 << 30;
