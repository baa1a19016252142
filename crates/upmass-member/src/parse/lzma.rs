//! LZMA as far as it is a way to write down a parse: the same code reads and writes one
//! (the LZMA specification of the LZMA SDK 9.20, sections "Literals" to "Distances").

use super::{MATCH_MAX, MATCH_MIN, Token};
use crate::recipe::XzBits;

/// A bit with its probability, read or written: a writer writes what it is given and gives it
/// back; a reader does not look at it.
pub(super) trait Bits {
    fn bit(&mut self, zero: &mut u16, bit: bool) -> bool;

    /// Bits of equal probability, the highest first.
    fn direct(&mut self, count: u32, value: u32) -> u32;
}

/// A probability of 2048 that a bit is zero, at first.
const EVEN: u16 = 1024;
const PRECISION: u32 = 11;
/// How far a probability goes to the bit that came: this power of two is the divisor.
const RATE: u32 = 5;
const TOP: u32 = 1 << 24;

fn adapt(zero: &mut u16, bit: bool) {
    if bit {
        *zero -= *zero >> RATE;
    } else {
        *zero += ((1 << PRECISION) - *zero) >> RATE;
    }
}

/// Reads the bits of a chunk. Beyond its end there are zeros.
pub(super) struct Reader<'a> {
    input: std::slice::Iter<'a, u8>,
    range: u32,
    code: u32,
}

impl<'a> Reader<'a> {
    /// `None`: it does not begin as the bits of a chunk do.
    pub(super) fn new(chunk: &'a [u8]) -> Option<Self> {
        let (first, rest) = chunk.split_first()?;
        let (code, rest) = rest.split_first_chunk()?;
        let code = u32::from_be_bytes(*code);
        (*first == 0).then_some(Self { input: rest.iter(), range: u32::MAX, code })
    }

    fn fill(&mut self) {
        if self.range < TOP {
            self.range <<= 8;
            self.code = self.code << 8 | u32::from(self.input.next().copied().unwrap_or(0));
        }
    }

    /// Whether all of the chunk was read, and nothing is left over.
    pub(super) fn ends_well(mut self) -> bool {
        self.fill();
        self.input.len() == 0 && self.code == 0
    }
}

impl Bits for Reader<'_> {
    fn bit(&mut self, zero: &mut u16, _: bool) -> bool {
        self.fill();
        let bound = (self.range >> PRECISION) * u32::from(*zero);
        let bit = self.code >= bound;
        if bit {
            self.range -= bound;
            self.code -= bound;
        } else {
            self.range = bound;
        }
        adapt(zero, bit);
        bit
    }

    fn direct(&mut self, count: u32, _: u32) -> u32 {
        let mut value = 0;
        for _ in 0..count {
            self.fill();
            self.range >>= 1;
            let bit = self.code >= self.range;
            if bit {
                self.code -= self.range;
            }
            value = value << 1 | u32::from(bit);
        }
        value
    }
}

/// Writes the bits of a chunk.
pub(super) struct Writer {
    low: u64,
    range: u32,
    /// The last byte, which a carry may still change, and how many 0xff follow it.
    cache: u8,
    pending: usize,
    out: Vec<u8>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { low: 0, range: u32::MAX, cache: 0, pending: 0, out: Vec::new() }
    }

    fn shift(&mut self) {
        if self.low < 0xff00_0000 || self.low > u64::from(u32::MAX) {
            let carry = (self.low >> 32) as u8;
            self.out.push(self.cache.wrapping_add(carry));
            let pending = self.out.len() + std::mem::take(&mut self.pending);
            self.out.resize(pending, 0xffu8.wrapping_add(carry));
            self.cache = (self.low >> 24) as u8;
        } else {
            self.pending += 1;
        }
        self.low = (self.low & 0x00ff_ffff) << 8;
    }

    fn empty(&mut self) {
        if self.range < TOP {
            self.range <<= 8;
            self.shift();
        }
    }

    /// How many bytes there are, at least.
    pub(super) fn len(&self) -> usize {
        self.out.len() + self.pending
    }

    /// The chunk.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.empty();
        for _ in 0..5 {
            self.shift();
        }
        self.out
    }
}

impl Bits for Writer {
    fn bit(&mut self, zero: &mut u16, bit: bool) -> bool {
        self.empty();
        let bound = (self.range >> PRECISION) * u32::from(*zero);
        if bit {
            self.low += u64::from(bound);
            self.range -= bound;
        } else {
            self.range = bound;
        }
        adapt(zero, bit);
        bit
    }

    fn direct(&mut self, count: u32, value: u32) -> u32 {
        for index in (0..count).rev() {
            self.empty();
            self.range >>= 1;
            if value >> index & 1 == 1 {
                self.low += u64::from(self.range);
            }
        }
        value
    }
}

/// Codes a number of so many bits in a tree of probabilities, the highest bit first.
fn tree(bits: &mut impl Bits, tree: &mut [u16], count: u32, value: u32) -> u32 {
    let mut node = 1;
    for index in (0..count).rev() {
        let bit = bits.bit(&mut tree[node], value >> index & 1 == 1);
        node = node << 1 | usize::from(bit);
    }
    node as u32 - (1 << count)
}

/// The same with the lowest bit first.
fn reverse_tree(bits: &mut impl Bits, tree: &mut [u16], count: u32, value: u32) -> u32 {
    let (mut node, mut result) = (1, 0);
    for index in 0..count {
        let bit = bits.bit(&mut tree[node], value >> index & 1 == 1);
        node = node << 1 | usize::from(bit);
        result |= u32::from(bit) << index;
    }
    result
}

/// Lengths of matches.
struct Lengths {
    is_long: [u16; 2],
    short: [[u16; 8]; 16],
    middle: [[u16; 8]; 16],
    long: [u16; 256],
}

impl Lengths {
    const NEW: Self = Self {
        is_long: [EVEN; 2],
        short: [[EVEN; 8]; 16],
        middle: [[EVEN; 8]; 16],
        long: [EVEN; 256],
    };

    fn code(&mut self, bits: &mut impl Bits, place: usize, len: u32) -> u32 {
        let len = len.wrapping_sub(MATCH_MIN);
        MATCH_MIN
            + if !bits.bit(&mut self.is_long[0], len >= 8) {
                tree(bits, &mut self.short[place], 3, len)
            } else if !bits.bit(&mut self.is_long[1], len >= 16) {
                8 + tree(bits, &mut self.middle[place], 3, len.wrapping_sub(8))
            } else {
                16 + tree(bits, &mut self.long, 8, len.wrapping_sub(16))
            }
    }
}

/// What was before, which is all that LZMA asks for: 0 is the last byte.
pub(super) trait Past {
    fn back(&mut self, distance: u32) -> u8;
}

/// The state of LZMA, for reading or for writing.
pub(super) struct Lzma {
    bits: XzBits,
    literals: Vec<u16>,
    is_match: [[u16; 16]; 12],
    is_repeated: [u16; 12],
    is_not_first: [u16; 12],
    is_not_second: [u16; 12],
    is_not_third: [u16; 12],
    is_long: [[u16; 16]; 12],
    slots: [[u16; 64]; 4],
    /// For each slot from 4 to 13.
    places: [[u16; 32]; 10],
    aligned: [u16; 16],
    lengths: Lengths,
    repeated_lengths: Lengths,
    state: usize,
    /// The last four distances, 1 is the byte before.
    distances: [u32; 4],
}

impl Lzma {
    pub(super) fn new(bits: XzBits) -> Self {
        Self {
            bits,
            literals: vec![EVEN; 0x300 << (bits.lc() + bits.lp())],
            is_match: [[EVEN; 16]; 12],
            is_repeated: [EVEN; 12],
            is_not_first: [EVEN; 12],
            is_not_second: [EVEN; 12],
            is_not_third: [EVEN; 12],
            is_long: [[EVEN; 16]; 12],
            slots: [[EVEN; 64]; 4],
            places: [[EVEN; 32]; 10],
            aligned: [EVEN; 16],
            lengths: Lengths::NEW,
            repeated_lengths: Lengths::NEW,
            state: 0,
            distances: [1; 4],
        }
    }

    /// The last four distances, the last first.
    pub(super) fn distances(&self) -> [u32; 4] {
        self.distances
    }

    /// Codes a token, and the byte if it is a literal. `position` is what was made of the block.
    pub(super) fn code<B: Bits>(
        &mut self,
        bits: &mut B,
        position: u64,
        past: &mut impl Past,
        token: Token,
        byte: u8,
    ) -> (Token, u8) {
        let place = position as usize & ((1 << self.bits.pb()) - 1);
        let state = self.state;
        if !bits.bit(&mut self.is_match[state][place], token != Token::Literal) {
            let byte = self.literal(bits, position, past, byte);
            self.state = match state {
                0..4 => 0,
                4..10 => state - 3,
                _ => state - 6,
            };
            return (Token::Literal, byte);
        }
        let after_literal = state < 7;
        let repeated = match token {
            Token::Match { repeated, .. } => repeated,
            _ => Some(0),
        };
        let (distance, len) = match token {
            Token::Match { distance, len, .. } => (distance, len),
            _ => (0, 1),
        };
        if !bits.bit(&mut self.is_repeated[state], repeated.is_some()) {
            let len = self.lengths.code(bits, place, len);
            let distance = self.distance(bits, len, distance);
            self.distances.rotate_right(1);
            self.distances[0] = distance;
            self.state = if after_literal { 7 } else { 10 };
            return (Token::Match { distance, len, repeated: None }, 0);
        }
        let index = repeated.unwrap_or(0);
        let index = if !bits.bit(&mut self.is_not_first[state], index > 0) {
            if !bits.bit(&mut self.is_long[state][place], token != Token::Short) {
                self.state = if after_literal { 9 } else { 11 };
                return (Token::Short, 0);
            }
            0
        } else if !bits.bit(&mut self.is_not_second[state], index > 1) {
            1
        } else if !bits.bit(&mut self.is_not_third[state], index > 2) {
            2
        } else {
            3
        };
        self.distances[..=usize::from(index)].rotate_right(1);
        let len = self.repeated_lengths.code(bits, place, len);
        self.state = if after_literal { 8 } else { 11 };
        (Token::Match { distance: self.distances[0], len, repeated: Some(index) }, 0)
    }

    fn literal<B: Bits>(
        &mut self,
        bits: &mut B,
        position: u64,
        past: &mut impl Past,
        byte: u8,
    ) -> u8 {
        let before = if position == 0 { 0 } else { past.back(0) };
        let low = position as usize & ((1 << self.bits.lp()) - 1);
        let context = low << self.bits.lc() | usize::from(before) >> (8 - self.bits.lc());
        let probabilities = &mut self.literals[0x300 * context..0x300 * (context + 1)];
        let mut node = 1;
        // After a match the byte that would have gone on with it is probably wrong.
        let mut expected = match self.state >= 7 {
            true => usize::from(past.back(self.distances[0] - 1)) | 0x100,
            false => 0,
        };
        for index in (0..8).rev() {
            let at = match expected {
                0 => node,
                _ => (1 + (expected >> index & 1)) << 8 | node,
            };
            let bit = bits.bit(&mut probabilities[at], byte >> index & 1 == 1);
            if expected >> index & 1 != usize::from(bit) {
                expected = 0;
            }
            node = node << 1 | usize::from(bit);
        }
        node as u8
    }

    fn distance<B: Bits>(&mut self, bits: &mut B, len: u32, distance: u32) -> u32 {
        let value = distance.wrapping_sub(1);
        let wanted = match value {
            0..4 => value,
            _ => {
                let log = value.ilog2();
                log << 1 | value >> (log - 1) & 1
            }
        };
        let slots = &mut self.slots[(len - MATCH_MIN).min(3) as usize];
        let slot = tree(bits, slots, 6, wanted);
        if slot < 4 {
            return slot + 1;
        }
        let count = (slot >> 1) - 1;
        let base = (2 | slot & 1) << count;
        let rest = value.wrapping_sub(base);
        1u32.wrapping_add(base).wrapping_add(if slot < 14 {
            reverse_tree(bits, &mut self.places[slot as usize - 4], count, rest)
        } else {
            let high = bits.direct(count - 4, rest >> 4);
            high << 4 | reverse_tree(bits, &mut self.aligned, 4, rest & 15)
        })
    }
}

const _: () = assert!(MATCH_MAX == MATCH_MIN + 16 + 255);
