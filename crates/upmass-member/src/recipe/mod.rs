//! How members are packed, and how that is written down (`upmass-format/spec/member.md`).

mod deflate;
mod xz;
mod zstd;

pub use deflate::*;
pub use xz::*;
pub use zstd::*;

use std::fmt;
use std::io::Read;

use upmass_format::FormatError;
use upmass_format::wire::{Reader, put_varint, zigzag};

use crate::Codec;

/// How a member is packed: the packer and its settings, and what has to be corrected.
///
/// It does not say how long the member is: members packed in one way have equal recipes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recipe {
    /// A deflate stream (RFC 1951).
    Deflate(Deflate),
    /// An `.xz` stream, from its header to its footer.
    Xz(Xz),
    /// An `.xz` stream of any packer.
    Parse(XzParse),
    /// A zstd frame, from its magic to its checksum.
    Zstd(Zstd),
    /// lz4's legacy format, which the kernel has for itself.
    Lz4(Lz4),
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
            Self::Parse(_) => Codec::Parse,
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
            Self::Parse(parse) => parse.put(out),
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
            codes::PARSE => XzParse::read(input).map(Self::Parse),
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

fn by_code<T: Copy>(all: &[(u8, T)], code: u8) -> Option<T> {
    all.iter().find(|(other, _)| *other == code).map(|(_, value)| *value)
}

fn code_of<T: PartialEq>(all: &[(u8, T)], value: &T) -> u8 {
    // All values are in their table.
    all.iter().find(|(_, other)| other == value).map_or(0, |(code, _)| *code)
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

impl fmt::Display for Recipe {
    /// As a command that would pack so, where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deflate(Deflate { maker, .. }) => match maker {
                Maker::Known(Packer::Zlib { level, mem_level, strategy }) => {
                    write!(f, "zlib -{} mem {} {strategy:?}", level.get(), mem_level.get())
                }
                Maker::Known(Packer::Gnu { level }) => write!(f, "gzip -{}", level.get()),
                Maker::Corrected(corrections) => {
                    write!(f, "deflate with {} bytes of corrections", corrections.as_bytes().len())
                }
            },
            Self::Xz(xz) => {
                let extreme = if xz.preset.is_extreme() { "e" } else { "" };
                write!(f, "xz -{}{extreme} {:?}", xz.preset.level(), xz.check)?;
                write!(f, " dict={} {:?} {:?}", xz.dict.size(), xz.filter, xz.blocks)
            }
            Self::Parse(XzParse { stream, parse, .. }) => {
                write!(f, "xz with a parse of {parse} bytes {:?}", stream.check)?;
                write!(f, " dict={} {:?} {:?}", stream.dict.size(), stream.filter, stream.blocks)
            }
            Self::Zstd(zstd) => {
                match zstd.level.get() {
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
                zstd.long.map_or(Ok(()), |long| write!(f, " --long={}", long.log()))
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
    /// xz by its parse.
    pub const PARSE: u8 = 6;
}

/// Which packers this build has: two of one version pack the same content to the same bytes.
pub mod versions {
    /// Parses as `spec/parse.md` has them.
    pub const PARSE: u8 = 1;
    /// `preflate-rs` 0.7.6.
    pub const PREFLATE: u8 = 1;
    /// liblzma 5.8, which packs as 5.4.1 does.
    pub const LIBLZMA: u8 = 1;
    /// libzstd 1.5.4.
    pub const LIBZSTD: u8 = 1;
    /// liblz4 1.10, which packs as 1.9.4 does.
    pub const LZ4: u8 = 1;
}
