//! Writes the stream of coder 2.

use std::io;

use super::decoder::TABLE_LOG2;
use super::learned::Learned;
use super::models::Models;
use super::{Operation, object};
use crate::Result;
use crate::model::range::{RangeEncoder, Section};
use crate::patch::{Base, Sink};

/// What a decoder takes beside the table of contexts, in bytes: history, other counters, operations.
const MEMORY_BESIDE_TABLE: u64 = 9 << 20;
/// What a decoder with the usual table takes, in bytes.
pub const DECODER_MEMORY: u64 = MEMORY_BESIDE_TABLE + (1 << TABLE_LOG2.1);

/// Takes what an encoder makes sure of.
struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn write_zeros(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }
}

/// Writes patches of coder 2.
pub struct Encoder {
    models: Models,
    learned: Learned,
    coding: RangeEncoder,
    log2: u8,
    is_empty: bool,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// Starts a stream.
    pub fn new() -> Self {
        Self::with_table(TABLE_LOG2.1)
    }

    /// Starts a stream whose decoder has a table of contexts of `2^log2` bytes.
    ///
    /// # Panics
    /// When that is outside [`TABLE_LOG2`].
    pub fn with_table(log2: u8) -> Self {
        assert!((TABLE_LOG2.0..=TABLE_LOG2.2).contains(&log2));
        let models = Models::new(log2.into());
        Self { models, learned: Learned::new(), coding: RangeEncoder::new(), log2, is_empty: true }
    }

    /// Memory of the decoder, in bytes.
    pub fn decoder_memory(&self) -> u64 {
        MEMORY_BESIDE_TABLE + (1 << self.log2)
    }

    /// Appends an object. The operations make all of `new`, in its order.
    pub fn object(
        &mut self,
        base: &dyn Base,
        new: &dyn Base,
        operations: &[Operation],
    ) -> Result<()> {
        let Self { models, learned, coding, is_empty, .. } = self;
        *is_empty &= new.is_empty();
        object(models, learned, coding, base, new.len(), operations, Some(new), &mut Nowhere)
    }

    /// Bytes of the stream that a decoder needs for all objects so far.
    pub fn needed(&self) -> u64 {
        1 + self.coding.needed()
    }

    /// Bytes spent so far, by section.
    pub fn spent(&self) -> Vec<(Section, f64)> {
        let spent = self.coding.spent();
        Section::ALL.iter().zip(spent).map(|(section, bits)| (*section, bits / 8.0)).collect()
    }

    /// The stream; empty when all objects are.
    pub fn finish(self) -> Vec<u8> {
        if self.is_empty {
            return Vec::new();
        }
        let mut stream = vec![self.log2];
        stream.extend(self.coding.finish());
        stream
    }
}
