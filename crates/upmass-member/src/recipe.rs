//! How members are packed, and how that is written down (`upmass-format/spec/member.md`).

use std::fmt;
use std::io::Read;

use upmass_format::FormatError;
use upmass_format::wire::{Reader, put_varint, zigzag};

/// How a member is packed: the packer and its settings, and what has to be corrected.
///
/// It does not say how long the member is: members packed in one way have equal recipes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recipe {
    /// A deflate stream (RFC 1951).
    Deflate(Deflate),
    /// An `.xz` stream, from its header to its footer.
    Xz(Xz),
    /// A zstd frame, from its magic to its checksum.
    Zstd(Zstd),
    /// lz4's legacy format, which the kernel has for itself.
    Lz4(Lz4),
}

/// What is needed to pack or unpack a [`Recipe`]; what a build may or may not include.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// Deflate streams of zlib and GNU gzip.
    Deflate,
    /// Deflate streams of anything else.
    Preflate,
    /// `.xz`.
    Xz,
    /// `.zst`.
    Zstd,
    /// lz4's legacy format.
    Lz4,
}

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

/// How a zstd frame was made by libzstd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zstd {
    /// How hard it tries.
    pub level: ZstdLevel,
    /// Cut into jobs, as the command does unless told `--single-thread`.
    pub has_workers: bool,
    /// The length of the content was known before: a file, not a pipe.
    pub is_sized: bool,
    /// The frame ends in a checksum.
    pub has_checksum: bool,
    /// `--long`: the window as a power of two.
    pub long: Option<ZstdWindow>,
}

/// A level of zstd, -7 to 22 without 0. Negative levels are `--fast`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZstdLevel(i8);

impl ZstdLevel {
    /// Refuses other levels.
    pub const fn new(level: i8) -> Option<Self> {
        if level >= -7 && level <= 22 && level != 0 { Some(Self(level)) } else { None }
    }

    /// The level.
    pub const fn get(self) -> i8 {
        self.0
    }
}

/// A window of zstd as a power of two, 10 to 27.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZstdWindow(u8);

impl ZstdWindow {
    /// Refuses others.
    pub const fn new(log: u8) -> Option<Self> {
        if log >= 10 && log <= MAX_ZSTD_WINDOW { Some(Self(log)) } else { None }
    }

    /// The power.
    pub const fn log(self) -> u8 {
        self.0
    }
}

/// How lz4's legacy format was made: `lz4 -l`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lz4 {
    /// 3 to 12.
    pub level: Lz4Level,
}

/// A level of lz4 that compresses hard: 3 to 12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lz4Level(u8);

impl Lz4Level {
    /// Refuses other levels.
    pub const fn new(level: u8) -> Option<Self> {
        if level >= 3 && level <= 12 { Some(Self(level)) } else { None }
    }

    /// The level.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// The lengths of a member, which a recipe does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lengths {
    /// Bytes of the member as it is in the file.
    pub packed: u64,
    /// Bytes of its content.
    pub plain: u64,
}

impl Recipe {
    /// What packs and unpacks it.
    pub fn codec(&self) -> Codec {
        match self {
            Self::Deflate(Deflate { maker: Maker::Known(_), .. }) => Codec::Deflate,
            Self::Deflate(Deflate { maker: Maker::Corrected(_), .. }) => Codec::Preflate,
            Self::Xz(_) => Codec::Xz,
            Self::Zstd(_) => Codec::Zstd,
            Self::Lz4(_) => Codec::Lz4,
        }
    }

    /// Writes it down.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    /// Appends what [`Self::read`] reads.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Deflate(deflate) => deflate.put(out),
            Self::Xz(xz) => xz.put(out),
            Self::Zstd(zstd) => zstd.put(out),
            Self::Lz4(lz4) => out.extend([codes::LZ4, versions::LZ4, lz4.level.0]),
        }
    }

    /// Reads one that is followed by nothing.
    ///
    /// # Errors
    /// What is not the encoding of a recipe.
    pub fn from_bytes(bytes: &[u8]) -> upmass_format::Result<Self> {
        let mut input = Reader::new(bytes);
        let recipe = Self::read(&mut input)?;
        input.expect_end("recipe")?;
        Ok(recipe)
    }

    /// Reads one and leaves what follows.
    ///
    /// # Errors
    /// What is not the encoding of a recipe.
    pub fn read<R: Read>(input: &mut Reader<R>) -> upmass_format::Result<Self> {
        let code = Byte::read(input, "packer")?;
        match code.value {
            codes::ZLIB | codes::GNU | codes::CORRECTED => {
                Deflate::read(input, code.value).map(Self::Deflate)
            }
            codes::XZ => Xz::read(input).map(Self::Xz),
            codes::ZSTD => Zstd::read(input).map(Self::Zstd),
            codes::LZ4 => {
                Byte::read(input, "version of lz4")?.expect(versions::LZ4)?;
                let level = Byte::read(input, "level")?.parse("3 to 12", Lz4Level::new)?;
                Ok(Self::Lz4(Lz4 { level }))
            }
            _ => Err(code.refuse("the number of a packer")),
        }
    }
}

impl Deflate {
    fn put(&self, out: &mut Vec<u8>) {
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

    fn read<R: Read>(input: &mut Reader<R>, code: u8) -> upmass_format::Result<Self> {
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

fn by_code<T: Copy>(all: &[(u8, T)], code: u8) -> Option<T> {
    all.iter().find(|(other, _)| *other == code).map(|(_, value)| *value)
}

fn code_of<T: PartialEq>(all: &[(u8, T)], value: &T) -> u8 {
    // All values are in their table.
    all.iter().find(|(_, other)| other == value).map_or(0, |(code, _)| *code)
}

impl Xz {
    fn put(&self, out: &mut Vec<u8>) {
        let (blocks, size) = match self.blocks {
            XzBlocks::Unsized => (0, None),
            XzBlocks::One => (1, None),
            XzBlocks::Of(size) => (2, Some(size)),
        };
        out.extend([
            codes::XZ,
            versions::LIBLZMA,
            blocks << 4 | code_of(&XzCheck::ALL, &self.check),
            self.preset.0,
            self.dict.0,
            self.bits.0,
            code_of(&XzFilter::ALL, &self.filter),
        ]);
        if let Some(size) = size {
            put_varint(out, size);
        }
    }

    fn read<R: Read>(input: &mut Reader<R>) -> upmass_format::Result<Self> {
        Byte::read(input, "version of liblzma")?.expect(versions::LIBLZMA)?;
        let (kind, check) = Byte::read(input, "blocks and check")?.halves();
        let check = check.parse("a check: 0, 1, 4, 10", |code| by_code(&XzCheck::ALL, code))?;
        let preset = Byte::read(input, "preset")?
            .parse("0 to 6, 19, 22", |byte| XzPreset::new(byte & !EXTREME, byte & EXTREME != 0))?;
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
        Ok(Self { check, preset, dict, bits, filter, blocks })
    }
}

impl Zstd {
    fn put(&self, out: &mut Vec<u8>) {
        let flags = u8::from(self.has_workers)
            | u8::from(self.is_sized) << 1
            | u8::from(self.has_checksum) << 2;
        let long = self.long.map_or(0, ZstdWindow::log);
        let level = zigzag(i64::from(self.level.0)) as u8;
        out.extend([codes::ZSTD, versions::LIBZSTD, flags, level, long]);
    }

    fn read<R: Read>(input: &mut Reader<R>) -> upmass_format::Result<Self> {
        Byte::read(input, "version of libzstd")?.expect(versions::LIBZSTD)?;
        let flags = Byte::read(input, "flags")?;
        if flags.value > 7 {
            return Err(flags.refuse("0 to 7"));
        }
        let level = Byte::read(input, "level")?.parse("a level from -7 to 22, not 0", |byte| {
            let level = upmass_format::wire::unzigzag(u64::from(byte));
            i8::try_from(level).ok().and_then(ZstdLevel::new)
        })?;
        let long = Byte::read(input, "long window")?;
        let long = match long.value {
            0 => None,
            _ => Some(long.parse("10 to 27, or 0", ZstdWindow::new)?),
        };
        let is_set = |bit: u8| flags.value & (1 << bit) != 0;
        Ok(Self {
            level,
            has_workers: is_set(0),
            is_sized: is_set(1),
            has_checksum: is_set(2),
            long,
        })
    }
}

/// A byte that was read, or half of one, and where.
struct Byte {
    what: &'static str,
    offset: u64,
    value: u8,
}

impl Byte {
    fn read<R: Read>(input: &mut Reader<R>, what: &'static str) -> upmass_format::Result<Self> {
        let offset = input.offset();
        Ok(Self { what, offset, value: input.byte(what)? })
    }

    /// The upper and the lower four bits.
    fn halves(self) -> (Self, Self) {
        let half = |value| Self { value, ..self };
        (half(self.value >> 4), half(self.value & 15))
    }

    fn parse<T>(
        &self,
        expected: &'static str,
        parse: impl Fn(u8) -> Option<T>,
    ) -> upmass_format::Result<T> {
        parse(self.value).ok_or_else(|| self.refuse(expected))
    }

    fn expect(&self, known: u8) -> upmass_format::Result<()> {
        let is_known = self.value == known;
        if is_known { Ok(()) } else { Err(self.refuse("a version that this build has")) }
    }

    fn refuse(&self, expected: &'static str) -> FormatError {
        let found = self.value.to_string();
        FormatError::Invalid { what: self.what, offset: self.offset, expected, found }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deflate => "deflate",
            Self::Preflate => "deflate with corrections",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        })
    }
}

impl fmt::Display for Recipe {
    /// As a command that would pack so, where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deflate(Deflate { maker, .. }) => match maker {
                Maker::Known(Packer::Zlib { level, mem_level, strategy }) => {
                    write!(f, "zlib -{} mem {} {strategy:?}", level.0, mem_level.0)
                }
                Maker::Known(Packer::Gnu { level }) => write!(f, "gzip -{}", level.0),
                Maker::Corrected(corrections) => {
                    write!(f, "deflate with {} bytes of corrections", corrections.0.len())
                }
            },
            Self::Xz(xz) => {
                let extreme = if xz.preset.is_extreme() { "e" } else { "" };
                write!(f, "xz -{}{extreme} {:?}", xz.preset.level(), xz.check)?;
                write!(f, " dict={} {:?} {:?}", xz.dict.size(), xz.filter, xz.blocks)
            }
            Self::Zstd(zstd) => {
                match zstd.level.0 {
                    level @ ..0 => write!(f, "zstd --fast={}", -level)?,
                    level => write!(f, "zstd -{level}")?,
                }
                if !zstd.has_workers {
                    f.write_str(" --single-thread")?;
                }
                if !zstd.is_sized {
                    f.write_str(" from a pipe")?;
                }
                if !zstd.has_checksum {
                    f.write_str(" --no-check")?;
                }
                zstd.long.map_or(Ok(()), |long| write!(f, " --long={}", long.0))
            }
            Self::Lz4(lz4) => write!(f, "lz4 -l -{}", lz4.level.0),
        }
    }
}

/// The first byte of a recipe.
pub mod codes {
    /// zlib.
    pub const ZLIB: u8 = 0;
    /// GNU gzip.
    pub const GNU: u8 = 1;
    /// Deflate with corrections.
    pub const CORRECTED: u8 = 2;
    /// liblzma.
    pub const XZ: u8 = 3;
    /// libzstd.
    pub const ZSTD: u8 = 4;
    /// lz4's legacy format.
    pub const LZ4: u8 = 5;
}

/// Which packers this build has: two of one version pack the same content to the same bytes.
pub mod versions {
    /// `preflate-rs` 0.7.6.
    pub const PREFLATE: u8 = 1;
    /// liblzma 5.8, which packs as 5.4.1 does.
    pub const LIBLZMA: u8 = 1;
    /// libzstd 1.5.4.
    pub const LIBZSTD: u8 = 1;
    /// liblz4 1.10, which packs as 1.9.4 does.
    pub const LZ4: u8 = 1;
}

/// The most bytes of corrections.
pub const MAX_CORRECTIONS: usize = 1 << 20;
/// The largest dictionary of xz as a code: 512 MiB.
pub const MAX_XZ_DICT: u8 = 34;
/// The largest block of xz: 1 GiB.
pub const MAX_XZ_BLOCK: u64 = 1 << 30;
/// The largest window of zstd as a power of two.
pub const MAX_ZSTD_WINDOW: u8 = 27;
