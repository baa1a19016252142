//! Writes the stream of coder 2.

use std::io;

use super::decoder::FEW;
use super::learned::Learned;
use super::models::Models;
use super::{Contexts, Operation, Sizes, object};
use crate::Result;
use crate::model::range::{RangeEncoder, Section};
use crate::patch::{Base, Sink};

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
#[derive(Clone)]
pub struct Encoder {
    models: Models,
    learned: Learned,
    coding: RangeEncoder,
    sizes: Sizes,
    is_empty: bool,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// Starts a stream of the usual sizes.
    pub fn new() -> Self {
        Self::with_sizes(Sizes::USUAL)
    }

    /// Starts a stream whose decoder remembers so much.
    ///
    /// # Panics
    /// When a size is outside [`SIZES_LOG2`](super::SIZES_LOG2).
    pub fn with_sizes(sizes: Sizes) -> Self {
        let (least, most) = super::SIZES_LOG2;
        assert!([sizes.table_log2, sizes.history_log2].iter().all(|s| (least..=most).contains(s)));
        Self {
            models: Models::new(sizes),
            learned: Learned::new(sizes),
            coding: RangeEncoder::new(),
            sizes,
            is_empty: true,
        }
    }

    /// Memory of the decoder, in bytes.
    pub fn decoder_memory(&self) -> u64 {
        self.sizes.memory()
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

    /// Appends an object in the way that takes the fewest bytes, the first of equals.
    ///
    /// # Panics
    /// Without any way.
    pub fn cheapest(
        &mut self,
        base: &dyn Base,
        new: &dyn Base,
        ways: &[Vec<Operation>],
    ) -> Result<()> {
        let (first, others) = ways.split_first().expect("there is a way");
        let before = (!others.is_empty()).then(|| self.clone());
        self.object(base, new, first)?;
        for way in others {
            let mut other = before.clone().expect("kept, since there are others");
            other.object(base, new, way)?;
            if other.needed() < self.needed() {
                *self = other;
            }
        }
        Ok(())
    }

    /// Bytes of the stream that a decoder needs for all objects so far.
    pub fn needed(&self) -> u64 {
        Sizes::ENCODED + self.coding.needed()
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
        let few = if self.sizes.contexts == Contexts::Few { FEW } else { 0 };
        let mut stream = vec![self.sizes.table_log2 | few, self.sizes.history_log2];
        stream.extend(self.coding.finish());
        stream
    }
}
