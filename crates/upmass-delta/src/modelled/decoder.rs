//! The stream of coder 2: sizes, then one range coder for all objects.

use std::io::{self, Read};

use super::learned::Learned;
use super::models::Models;
use super::object;
use crate::model::range::{RangeDecoder, Section};
use crate::patch::{Base, Sink};
use crate::{DeltaError, Result};
use upmass_format::FormatError;

/// Executes patches of coder 2, one object after the other.
pub struct Decoder<R> {
    state: State<R>,
    measures: bool,
}

/// How much a decoder remembers: what the stream says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of the table of contexts, as a power of two.
    pub table_log2: u8,
    /// Bytes of history, as a power of two.
    pub history_log2: u8,
    /// How bytes are predicted.
    pub contexts: Contexts,
}

/// In how many contexts a byte is predicted that nothing else predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Contexts {
    /// In all that help: fewest bytes.
    #[default]
    Many,
    /// In three, and with simpler mixing: many times as fast.
    Few,
}

/// The least and the greatest power of two for each of [`Sizes`].
pub const SIZES_LOG2: (u8, u8) = (16, 24);
/// What all other counters take at most, in bytes.
const COUNTERS_OF_MANY: u64 = 11 << 18;
const COUNTERS_OF_FEW: u64 = 8 << 18;
/// What an operation of a window takes, and its move, in bytes.
const EACH_OPERATION: u64 = 48;
/// What a learned target takes, in bytes.
const EACH_TARGET: u64 = 16;
/// What is known of the programs of a base takes at most, in bytes.
const PROGRAMS: u64 = 5 << 18;
/// Operations of a window and learned targets, as powers of two: at most, and so much below the table.
const MOST_LOG2: u8 = 16;
const BELOW_LOG2: u8 = 4;

/// In the first byte of a stream: bytes are predicted in few contexts.
pub(super) const FEW: u8 = 0x80;

impl Sizes {
    /// Both 4 MiB: more helps little.
    pub const USUAL: Sizes = Sizes { table_log2: 22, history_log2: 22, contexts: Contexts::Many };
    /// Bytes of the stream that say the sizes.
    pub(super) const ENCODED: u64 = 2;

    /// Operations of a window, and learned targets, as powers of two: fewer with a small table.
    pub(super) fn beside_log2(self) -> u8 {
        (self.table_log2 - BELOW_LOG2).min(MOST_LOG2)
    }

    /// What a decoder takes in all, in bytes. The history has an index half its size.
    pub fn memory(self) -> u64 {
        let counters = match self.contexts {
            Contexts::Many => COUNTERS_OF_MANY,
            Contexts::Few => COUNTERS_OF_FEW,
        };
        let beside = (EACH_OPERATION + EACH_TARGET) << self.beside_log2();
        (1 << self.table_log2) + (1 << self.history_log2) * 3 / 2 + beside + counters + PROGRAMS
    }

    /// The largest up to [`Self::USUAL`] that take no more than this, in bytes, with few contexts where
    /// not even the smallest have room for more; the smallest if all take more.
    pub fn within(memory: u64, contexts: Contexts) -> Self {
        let mut sizes = Self { contexts, ..Self::USUAL };
        while sizes.memory() > memory && sizes.table_log2 > SIZES_LOG2.0 {
            sizes.table_log2 -= 1;
            sizes.history_log2 -= 1;
        }
        if sizes.memory() > memory {
            sizes.contexts = Contexts::Few;
        }
        sizes
    }

    fn read(input: &mut impl Read) -> io::Result<Self> {
        let mut bytes = [0; Self::ENCODED as usize];
        input.read_exact(&mut bytes)?;
        let contexts = if bytes[0] & FEW == 0 { Contexts::Many } else { Contexts::Few };
        bytes[0] &= !FEW;
        let [table_log2, history_log2] = bytes;
        for (offset, log2) in bytes.into_iter().enumerate() {
            if !(SIZES_LOG2.0..=SIZES_LOG2.1).contains(&log2) {
                return Err(io::Error::other(FormatError::Invalid {
                    what: ["size of the table of contexts", "size of the history"][offset],
                    offset: offset as u64,
                    expected: "a power of two from 16 to 24",
                    found: log2.to_string(),
                }));
            }
        }
        Ok(Sizes { table_log2, history_log2, contexts })
    }
}

impl<R: Read> Decoder<R> {
    /// Takes the coded stream, of which nothing is read yet.
    pub fn new(input: R) -> Self {
        Self { state: State::Waiting(Some(input)), measures: false }
    }

    /// Counts from the first object on what is spent on each section, for reports; takes time.
    pub fn measuring(self) -> Self {
        Self { measures: true, ..self }
    }

    /// Bits spent on each of [`Section::ALL`] so far, where that is counted.
    pub fn spent(&self) -> [f64; Section::ALL.len()] {
        match &self.state {
            State::Open(open) if self.measures => open.coding.spent(),
            _ => Default::default(),
        }
    }

    /// How many bytes of the stream were used up so far.
    pub fn consumed(&self) -> u64 {
        match &self.state {
            State::Waiting(_) => 0,
            State::Open(open) => Sizes::ENCODED + open.coding.consumed(),
        }
    }

    /// Makes an object of `len` bytes from `base`.
    ///
    /// Memory: what [`Sizes::memory`] says, and what a region of unwind information takes, 8 bytes for
    /// each 4 KiB.
    pub fn patch(&mut self, base: &dyn Base, len: u64, sink: &mut dyn Sink) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        let stream_error = |error: io::Error| match error.downcast::<FormatError>() {
            Ok(error) => DeltaError::Format(error),
            Err(error) => DeltaError::Stream { stream: "copy", message: error.to_string() },
        };
        if let State::Waiting(input) = &mut self.state {
            let mut input = input.take().ok_or_else(|| DeltaError::Stream {
                stream: "copy",
                message: "it could not be opened".into(),
            })?;
            let sizes = Sizes::read(&mut input).map_err(stream_error)?;
            let models = Models::new(sizes);
            let mut coding = RangeDecoder::new(input);
            if self.measures {
                coding.measure();
            }
            self.state =
                State::Open(Box::new(Open { models, learned: Learned::new(sizes), coding }));
        }
        let State::Open(open) = &mut self.state else { unreachable!("opened above") };
        let Open { models, learned, coding } = &mut **open;
        let made = object(models, learned, coding, base, len, &[], None, sink);
        coding.check().map_err(stream_error)?;
        made
    }
}

enum State<R> {
    /// Until the first object is asked for. `None` after a stream that could not be opened.
    Waiting(Option<R>),
    Open(Box<Open<R>>),
}

struct Open<R> {
    models: Models,
    learned: Learned,
    coding: RangeDecoder<R>,
}
