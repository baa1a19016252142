//! Binary arithmetic coding: a range coder with 32 bits of range and a carry
//! (G. N. N. Martin, "Range encoding", 1979, in the binary form of LZMA).

use std::io::{self, Read};

/// Bits of a probability.
pub(crate) const PRECISION: u32 = 16;
/// Below this the range is widened by a byte.
const TOP: u32 = 1 << 24;
/// A decoder reads as many bytes beyond the end of its stream as the encoder may leave out.
const MAX_BEYOND: u32 = 4;

/// What a bit is spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Lengths and places of operations.
    Control,
    /// Machine code in copies.
    Code,
    /// Other content of copies.
    Data,
    /// Relocations, symbols and other tables in copies.
    Tables,
    /// Unwind tables in copies.
    Unwind,
    /// Content that no base has.
    Literal,
}

impl Section {
    /// All sections.
    pub const ALL: [Section; 6] = [
        Section::Control,
        Section::Code,
        Section::Data,
        Section::Tables,
        Section::Unwind,
        Section::Literal,
    ];

    /// The word for it in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Section::Control => "control",
            Section::Code => "code",
            Section::Data => "data",
            Section::Tables => "tables",
            Section::Unwind => "unwind",
            Section::Literal => "literal",
        }
    }
}

/// One code for encoding and decoding: a model asks for each bit with its probability. An
/// encoder writes the bit that it is given and gives it back; a decoder does not look at it and
/// gives the one it reads.
pub trait Coding {
    /// Whether given bits matter.
    const ENCODES: bool;

    /// Codes a bit that is one with probability `one` of 65536, from 1 to 65535.
    fn bit(&mut self, one: u32, bit: bool) -> bool;

    /// Codes `count` bits of equal probability, at most 32; the highest first.
    fn direct(&mut self, count: u32, value: u32) -> u32 {
        let mut result = 0;
        for index in (0..count).rev() {
            result =
                result << 1 | u32::from(self.bit(1 << (PRECISION - 1), value >> index & 1 == 1));
        }
        result
    }

    /// Says what the next bits are for.
    fn section(&mut self, _section: Section) {}

    /// Whether decoding has failed, so that what it gives means nothing.
    fn failed(&self) -> bool {
        false
    }
}

/// Reads bits.
///
/// An error of the input is kept: from then on all bits are zero, until [`Self::check`] is asked.
pub struct RangeDecoder<R> {
    input: R,
    buffer: Vec<u8>,
    position: usize,
    /// Bytes that were read into the buffer, all in all.
    read: u64,
    range: u32,
    code: u32,
    beyond: u32,
    error: Option<io::Error>,
    /// Only when somebody wants to know.
    spent: Option<Box<Spent>>,
}

/// What bits were spent on, in bits; for reports only.
#[derive(Clone)]
struct Spent {
    section: Section,
    bits: [f64; Section::ALL.len()],
}

impl Spent {
    fn new() -> Self {
        Self { section: Section::Control, bits: Default::default() }
    }

    /// A bit that had this probability of 65536.
    fn add(&mut self, probability: u32) {
        /// Bits that a bit of this probability of 4096 costs.
        static COST: std::sync::LazyLock<Vec<f32>> = std::sync::LazyLock::new(|| {
            (0..=4096u16).map(|p| 12.0 - (f32::from(p) + 0.5).log2()).collect()
        });
        self.bits[self.section as usize] += f64::from(COST[(probability >> 4) as usize]);
    }
}

/// Length of the input buffer; a decoder may be ahead by as much.
const INPUT: usize = 4096;

impl<R: Read> RangeDecoder<R> {
    /// Reads the first bytes when the first bit is asked for.
    pub fn new(input: R) -> Self {
        let buffer = Vec::with_capacity(INPUT);
        Self {
            input,
            buffer,
            position: 0,
            read: 0,
            range: 0,
            code: 0,
            beyond: 0,
            error: None,
            spent: None,
        }
    }

    /// Counts from now on what bits are spent on.
    pub(crate) fn measure(&mut self) {
        self.spent.get_or_insert_with(|| Box::new(Spent::new()));
    }

    /// Bits spent on each section since [`Self::measure`].
    pub(crate) fn spent(&self) -> [f64; Section::ALL.len()] {
        self.spent.as_ref().map_or_else(Default::default, |spent| spent.bits)
    }

    /// How many bytes were used up so far.
    pub(crate) fn consumed(&self) -> u64 {
        self.read - (self.buffer.len() - self.position) as u64
    }

    /// The error that the input has made, if any.
    pub fn check(&mut self) -> io::Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }

    #[inline]
    fn byte(&mut self) -> u8 {
        if self.position == self.buffer.len() && !self.refill() {
            return 0;
        }
        self.position += 1;
        self.buffer[self.position - 1]
    }

    #[cold]
    fn refill(&mut self) -> bool {
        if self.error.is_some() {
            return false;
        }
        self.buffer.resize(INPUT, 0);
        self.position = 0;
        let read = loop {
            match self.input.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        self.read += self.buffer.len() as u64;
        match read {
            Ok(0) if self.beyond < MAX_BEYOND => self.beyond += 1,
            Ok(0) => {
                self.error = Some(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the coded stream ends early",
                ));
            }
            Ok(_) => return true,
            Err(error) => self.error = Some(error),
        }
        false
    }
}

impl<R: Read> Coding for RangeDecoder<R> {
    const ENCODES: bool = false;

    #[inline]
    fn bit(&mut self, one: u32, _: bool) -> bool {
        if self.range == 0 {
            self.range = u32::MAX;
            for _ in 0..4 {
                self.code = self.code << 8 | u32::from(self.byte());
            }
        }
        let bound = (self.range >> PRECISION) * one;
        let bit = self.code < bound;
        if let Some(spent) = &mut self.spent {
            spent.add(if bit { one } else { (1 << PRECISION) - one });
        }
        if bit {
            self.range = bound;
        } else {
            self.code -= bound;
            self.range -= bound;
        }
        while self.range < TOP {
            self.range <<= 8;
            self.code = self.code << 8 | u32::from(self.byte());
        }
        bit
    }

    fn section(&mut self, section: Section) {
        if let Some(spent) = &mut self.spent {
            spent.section = section;
        }
    }

    fn failed(&self) -> bool {
        self.error.is_some()
    }
}

#[cfg(feature = "encoder")]
pub use encode::RangeEncoder;

#[cfg(feature = "encoder")]
mod encode {
    use super::{Coding, PRECISION, Section, Spent, TOP};

    /// Writes bits.
    #[derive(Clone)]
    pub struct RangeEncoder {
        low: u64,
        range: u32,
        /// The last byte, which a carry may still change, and how many 0xff follow it.
        cache: Option<u8>,
        pending: u64,
        out: Vec<u8>,
        spent: Spent,
    }

    impl Default for RangeEncoder {
        fn default() -> Self {
            Self::new()
        }
    }

    impl RangeEncoder {
        /// Nothing written.
        pub fn new() -> Self {
            Self {
                low: 0,
                range: u32::MAX,
                cache: None,
                pending: 0,
                out: Vec::new(),
                spent: Spent::new(),
            }
        }

        /// Bits spent on each section.
        pub(crate) fn spent(&self) -> [f64; Section::ALL.len()] {
            self.spent.bits
        }

        /// Bytes of the stream after which a decoder has all that was coded so far.
        pub(crate) fn needed(&self) -> u64 {
            self.out.len() as u64 + self.pending + 8
        }

        fn shift(&mut self) {
            let carry = (self.low >> 32) as u8;
            let top = (self.low >> 24) as u8;
            if carry == 1 || top != 0xff {
                if let Some(cache) = self.cache {
                    self.out.push(cache.wrapping_add(carry));
                }
                for _ in 0..std::mem::take(&mut self.pending) {
                    self.out.push(0xffu8.wrapping_add(carry));
                }
                self.cache = Some(top);
            } else if self.cache.is_none() {
                // The first byte of all, without one before it that could take a carry.
                self.cache = Some(top);
            } else {
                self.pending += 1;
            }
            self.low = (self.low & 0x00ff_ffff) << 8;
        }

        /// The stream; zeros at its end are left out, since a decoder reads zeros there.
        pub fn finish(mut self) -> Vec<u8> {
            // The value with the most zeros at its end that is still within the range.
            let end = self.low + u64::from(self.range) - 1;
            let mut value = end;
            for bits in 1..=32 {
                let rounded = end >> bits << bits;
                if rounded < self.low {
                    break;
                }
                value = rounded;
            }
            self.low = value;
            for _ in 0..5 {
                self.shift();
            }
            let keep = self.out.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            // Not more than a decoder reads beyond the end.
            let least = self.out.len().saturating_sub(super::MAX_BEYOND as usize);
            self.out.truncate(keep.max(least));
            self.out
        }
    }

    impl Coding for RangeEncoder {
        const ENCODES: bool = true;

        fn bit(&mut self, one: u32, bit: bool) -> bool {
            debug_assert!((1..1 << PRECISION).contains(&one));
            let bound = (self.range >> PRECISION) * one;
            self.spent.add(if bit { one } else { (1 << PRECISION) - one });
            if bit {
                self.range = bound;
            } else {
                self.low += u64::from(bound);
                self.range -= bound;
            }
            while self.range < TOP {
                self.range <<= 8;
                self.shift();
            }
            bit
        }

        fn section(&mut self, section: Section) {
            self.spent.section = section;
        }
    }
}
