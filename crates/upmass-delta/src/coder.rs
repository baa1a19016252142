//! The coders of the update format, by their numbers.

use std::io::Read;

use crate::patch::{self, Base, Sink};
use crate::{Result, Section, modelled};

/// Coder 1: copies with residues, each stream compressed by LZMA or stored
/// (`crates/upmass-format/spec/coder-lzma.md`).
pub const CODER_LZMA: u8 = 1;

/// Coder 2: copies corrected by what is known about addresses, all predicted by models
/// (`crates/upmass-format/spec/coder-model.md`).
pub const CODER_MODEL: u8 = 2;

/// Executes patches of any coder, one object after the other.
pub enum Decoder<R> {
    /// Of coder 1.
    Lzma(patch::Decoder<R>),
    /// Of coder 2.
    Model(modelled::Decoder<R>),
}

impl<R: Read> Decoder<R> {
    /// Takes the compressed bytes of the streams copy, residue and literal. `None`: there is no
    /// such coder.
    pub fn new(coder: u8, [copy, residue, literal]: [R; 3]) -> Option<Self> {
        Some(match coder {
            CODER_LZMA => Self::Lzma(patch::Decoder::new(copy, residue, literal)),
            CODER_MODEL => Self::Model(modelled::Decoder::new(copy)),
            _ => return None,
        })
    }

    /// Makes an object of `len` bytes from `base`.
    pub fn patch(&mut self, base: &dyn Base, len: u64, sink: &mut dyn Sink) -> Result<()> {
        match self {
            Self::Lzma(decoder) => decoder.patch(base, len, sink),
            Self::Model(decoder) => decoder.patch(base, len, sink),
        }
    }

    /// Counts what is spent on each section from the first object on, where the coder knows it.
    pub fn measuring(self) -> Self {
        match self {
            Self::Lzma(decoder) => Self::Lzma(decoder),
            Self::Model(decoder) => Self::Model(decoder.measuring()),
        }
    }

    /// Bits spent on each of [`Section::ALL`] so far; all zero of a coder that does not know it.
    pub fn spent(&self) -> [f64; Section::ALL.len()] {
        match self {
            Self::Lzma(_) => Default::default(),
            Self::Model(decoder) => decoder.spent(),
        }
    }

    /// How much of copy, residue and literal was used up so far: of coder 1 the content, of
    /// coder 2 the coded bytes.
    pub fn consumed(&self) -> [u64; 3] {
        match self {
            Self::Lzma(decoder) => decoder.consumed(),
            Self::Model(decoder) => [decoder.consumed(), 0, 0],
        }
    }
}
