//! What a build may or may not include, and sets of it.

use std::fmt;

/// What is needed to pack or unpack a [`Recipe`](crate::Recipe), by its number in sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// Deflate streams of zlib and GNU gzip.
    Deflate = 0,
    /// Deflate streams of anything else.
    Preflate = 1,
    /// `.xz`.
    Xz = 2,
    /// `.zst`.
    Zstd = 3,
    /// lz4's legacy format.
    Lz4 = 4,
    /// `.xz` by its parse.
    Parse = 5,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Deflate, Self::Preflate, Self::Xz, Self::Zstd, Self::Lz4, Self::Parse];

    /// Whether this build can pack and unpack it.
    pub const fn is_included(self) -> bool {
        match self {
            Self::Deflate => cfg!(feature = "deflate"),
            Self::Preflate => cfg!(feature = "preflate"),
            Self::Xz => cfg!(feature = "xz"),
            Self::Zstd => cfg!(feature = "zstd"),
            Self::Lz4 => cfg!(feature = "lz4"),
            Self::Parse => cfg!(feature = "parse"),
        }
    }

    /// Its name in lists; that of the feature too.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deflate => "deflate",
            Self::Preflate => "preflate",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Parse => "parse",
        }
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
            Self::Parse => "xz by its parse",
        })
    }
}

/// A set of codecs, as headers have it: bit n stands for codec n. It may have bits of codecs that
/// this program does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Codecs(u64);

impl Codecs {
    /// No codec.
    pub const NONE: Self = Self(0);
    /// Every codec that is known.
    pub const ALL: Self = Self((1 << Codec::ALL.len()) - 1);

    /// Those that this build includes.
    pub fn included() -> Self {
        Codec::ALL.into_iter().filter(|codec| codec.is_included()).collect()
    }

    /// The set with these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// A bit for each.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether one is among them.
    pub const fn contains(self, codec: Codec) -> bool {
        self.0 >> codec as u64 & 1 == 1
    }

    /// Those of either.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that `other` has not.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Their names, ascending by number; those that are not known are `codec 7`.
    pub fn words(self) -> Vec<String> {
        let numbers = (0..u64::BITS).filter(|number| self.0 >> number & 1 == 1);
        let word = |number: u32| match Codec::ALL.get(number as usize) {
            Some(codec) => codec.word().to_owned(),
            None => format!("codec {number}"),
        };
        numbers.map(word).collect()
    }
}

impl FromIterator<Codec> for Codecs {
    fn from_iter<I: IntoIterator<Item = Codec>>(codecs: I) -> Self {
        codecs.into_iter().fold(Self::NONE, |set, codec| Self(set.0 | 1 << codec as u64))
    }
}

impl fmt::Display for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_empty() {
            true => f.write_str("none"),
            false => f.write_str(&self.words().join(", ")),
        }
    }
}
