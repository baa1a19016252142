//! The stream of coder 2: the size of its table, then one range coder for all objects.

use std::io::{self, Read};

use super::learned::Learned;
use super::models::Models;
use super::object;
use crate::model::range::RangeDecoder;
use crate::patch::{Base, Sink};
use crate::{DeltaError, Result};
use upmass_format::FormatError;

/// Executes patches of coder 2, one object after the other.
pub struct Decoder<R> {
    state: State<R>,
}

/// Size of the table of contexts in bytes, as a power of two: the least, the usual, the most.
pub const TABLE_LOG2: (u8, u8, u8) = (16, 23, 24);

impl<R: Read> Decoder<R> {
    /// Takes the coded stream, of which nothing is read yet.
    pub fn new(input: R) -> Self {
        Self { state: State::Waiting(Some(input)) }
    }

    /// How many bytes of the stream were used up so far.
    pub fn consumed(&self) -> u64 {
        match &self.state {
            State::Waiting(_) => 0,
            State::Open(open) => 1 + open.coding.consumed(),
        }
    }

    /// Makes an object of `len` bytes from `base`.
    ///
    /// Memory: the tables, 24 bytes for each operation up to 65536 and as much again for the map,
    /// and what a region of unwind information takes, 8 bytes for each 4 KiB.
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
            let mut log2 = [0];
            input.read_exact(&mut log2).map_err(stream_error)?;
            let log2 = log2[0];
            if !(TABLE_LOG2.0..=TABLE_LOG2.2).contains(&log2) {
                return Err(FormatError::Invalid {
                    what: "size of the table of contexts",
                    offset: 0,
                    expected: "a power of two from 16 to 24",
                    found: log2.to_string(),
                }
                .into());
            }
            let models = Models::new(log2.into());
            let coding = RangeDecoder::new(input);
            self.state = State::Open(Box::new(Open { models, learned: Learned::new(), coding }));
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
