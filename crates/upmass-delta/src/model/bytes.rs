//! Bytes predicted in several contexts at once.
//!
//! Each context has counters for the nodes of the binary tree of a byte, in a hashed table: one
//! group of 15 for each half of the byte. What a counter says is corrected by what counters
//! with its probability and age were worth, and all are mixed.

use super::bits::rates;
use super::logistic::{STRETCH, squash};
use super::mixer::Mixer;
use super::range::Coding;

/// Contexts of a byte.
pub(crate) const CONTEXTS: usize = 8;
/// Inputs of the mixer: of each hashed context, of two expected bytes, of two contexts with tables of
/// their own, and a bias.
const INPUTS: usize = CONTEXTS + 5;
/// Counters in a group; the first is the check.
const GROUP: usize = 16;

/// What the byte is part of: each use has its own experience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Content without base.
    Literal,
    /// A byte of a copy that is not as expected.
    Correction,
}

/// A byte that something suggests, with how much it is trusted: 0 not at all, to 15.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expected {
    pub(crate) byte: u8,
    pub(crate) trust: u8,
}

/// A probability of 12 bits in the upper bits, how often it was seen in the lower 4.
type Slot = u16;
const NEW_SLOT: Slot = 2048 << 4;

/// The model of bytes.
#[derive(Clone)]
pub(crate) struct Bytes {
    table: Vec<Slot>,
    group_bits: u32,
    /// What slots are worth, by use, context, and slot without the lowest bits of probability.
    worth: Vec<u16>,
    /// What an expected byte is worth, by source, trust, and whether it was right so far.
    expected: Vec<u16>,
    by_node: Mixer<INPUTS>,
    by_trust: Mixer<INPUTS>,
    last: Vec<u16>,
    /// Contexts with tables of their own: by use and set, by use and byte, for each node of the tree.
    direct: [Vec<Slow>; 2],
}

const WORTH: usize = 1 << 10;

impl Bytes {
    /// A model with a table of `2^table_log2` bytes.
    pub(crate) fn new(table_log2: u32) -> Self {
        let slots = 1usize << (table_log2 - 1);
        let mut worth = Vec::with_capacity(2 * CONTEXTS * WORTH);
        for _ in 0..2 * CONTEXTS {
            // Bits 4 and up of the index are the probability, the lower four the age.
            worth.extend((0..WORTH as u32).map(|i| (((i >> 4) << 10) + 512) as u16));
        }
        let first = 65536 / 5;
        Self {
            table: vec![NEW_SLOT; slots],
            group_bits: table_log2 - 1 - 4,
            worth,
            expected: vec![32768; 2 * 2 * 16 * 256],
            direct: [vec![Slow::NEW; 2 * 16 * 256], vec![Slow::NEW; 2 * 256 * 256]],
            by_node: Mixer::new(2 * 256 * 3, first, 6),
            by_trust: Mixer::new(2 * 256 * 4, first, 6),
            last: (0..2u32 * 1024 * 33)
                .map(|i| (squash(((i % 33) as i32 - 16) * 192)).min(65535) as u16)
                .collect(),
        }
    }

    fn first(&self, hash: u32) -> usize {
        (hash >> (32 - self.group_bits)) as usize * GROUP
    }

    /// The group for a hash: where it is, or where the one that is worth least was. `found` is
    /// the check of the first place.
    fn group(&mut self, hash: u32, found: u16) -> usize {
        let check = (hash & 0xffff) as u16 | 1;
        let first = self.first(hash);
        let second = first ^ GROUP;
        if found == check {
            return first;
        }
        if self.table[second] == check {
            return second;
        }
        let age = |group: usize| self.table[group + 1] & 15;
        let group = if age(first) <= age(second) { first } else { second };
        self.table[group..group + GROUP].fill(NEW_SLOT);
        self.table[group] = check;
        group
    }

    /// Codes a byte. `hashes` are the contexts, well mixed; `context` are a set below 16 and a byte
    /// for the tables of their own.
    pub(crate) fn code<C: Coding>(
        &mut self,
        coding: &mut C,
        purpose: Use,
        hashes: &[u32; CONTEXTS],
        expected: [Expected; 2],
        context: [u8; 2],
        byte: u8,
    ) -> u8 {
        let stretch = &*STRETCH;
        let purpose = purpose as usize;
        let mut groups = [0; CONTEXTS];
        let mut node = 1usize;
        let trust_set = usize::from(expected[0].trust.min(15) >> 2) + 4 * purpose;
        let mut inputs = [0i32; INPUTS];
        inputs[INPUTS - 1] = 256;
        let mut agrees = [expected[0].trust > 0, expected[1].trust > 0];
        for index in (0..8).rev() {
            if index == 7 || index == 3 {
                let salt = (node as u32).wrapping_mul(0x9e37_79b1);
                let places = hashes.map(|hash| match index {
                    7 => hash ^ hash >> 15,
                    _ => {
                        let hash = (hash ^ salt).wrapping_mul(0x85eb_ca6b);
                        hash ^ hash >> 15
                    }
                });
                // All at once: the processor waits for memory once, not for each group.
                let checks = places.map(|place| self.table[self.first(place)]);
                for i in 0..CONTEXTS {
                    groups[i] = self.group(places[i], checks[i]);
                }
            }
            let in_group =
                if index >= 4 { node } else { node & ((1 << (3 - index)) - 1) | 1 << (3 - index) };
            let mut worth_at = [0usize; CONTEXTS];
            for i in 0..CONTEXTS {
                let slot = u32::from(self.table[groups[i] + in_group]);
                let (one, seen) = (slot >> 4, slot & 15);
                worth_at[i] =
                    (purpose * CONTEXTS + i) * WORTH + (((one >> 6) << 4) | seen) as usize;
                inputs[i] = match seen {
                    0 => 0,
                    _ => stretch.of(u32::from(self.worth[worth_at[i]])),
                };
            }
            let direct_at = [
                ((purpose * 16 + usize::from(context[0] & 15)) << 8) + node,
                ((purpose * 256 + usize::from(context[1])) << 8) + node,
            ];
            for i in 0..2 {
                inputs[CONTEXTS + 2 + i] = stretch.of(self.direct[i][direct_at[i]].probability());
            }
            let mut expected_at = [usize::MAX; 2];
            for (i, guess) in expected.iter().enumerate() {
                inputs[CONTEXTS + i] = 0;
                if agrees[i] {
                    let bit = guess.byte >> index & 1;
                    let at = ((purpose * 2 + i) * 16 + usize::from(guess.trust.min(15))) * 256
                        + (node.ilog2() as usize) * 2
                        + usize::from(bit);
                    expected_at[i] = at;
                    inputs[CONTEXTS + i] = stretch.of(u32::from(self.expected[at]));
                }
            }
            let node_set =
                (purpose * 3 + usize::from(agrees[0]) + usize::from(agrees[1])) * 256 + node;
            let context_set = trust_set * 256 + usize::from(context[usize::from(purpose == 0)]);
            let first = self.by_node.mix(node_set, &inputs);
            let second = self.by_trust.mix(context_set, &inputs);
            let logit = (first + second) >> 1;
            let mixed = squash(logit);
            // The last word: what such a prediction was worth at this node of the tree.
            let scaled = (logit + 3072).clamp(0, 6143);
            let (low, part) = ((scaled / 192) as usize, scaled % 192);
            let at = (purpose * 1024
                + node
                + 256 * (usize::from(agrees[0]) * 2 + usize::from(agrees[1])))
                * 33
                + low;
            let refined = (i32::from(self.last[at]) * (192 - part)
                + i32::from(self.last[at + 1]) * part)
                / 192;
            let one = ((mixed as i32 + refined) >> 1).clamp(32, 65504) as u32;
            let bit = coding.bit(one, byte >> index & 1 == 1);
            let target = if bit { 65535i32 } else { 0 };
            for (i, step) in [(at, 192 - part), (at + 1, part)] {
                let value = i32::from(self.last[i]);
                self.last[i] = (value + (target - value) * step / (192 * 64)) as u16;
            }
            self.by_node.update(node_set, &inputs, first, bit);
            self.by_trust.update(context_set, &inputs, second, bit);
            for i in 0..CONTEXTS {
                let slot = &mut self.table[groups[i] + in_group];
                *slot = updated(*slot, bit);
                let worth = &mut self.worth[worth_at[i]];
                *worth = (i32::from(*worth) + (target - i32::from(*worth)) / 128) as u16;
            }
            for i in 0..2 {
                self.direct[i][direct_at[i]].update(bit);
                if agrees[i] {
                    let value = &mut self.expected[expected_at[i]];
                    *value = (i32::from(*value) + (target - i32::from(*value)) / 64) as u16;
                    agrees[i] = (expected[i].byte >> index & 1 == 1) == bit;
                }
            }
            node = node << 1 | usize::from(bit);
        }
        node as u8
    }
}

fn updated(slot: Slot, bit: bool) -> Slot {
    const LIMIT: u16 = 15;
    /// Never slower than a 20th.
    const RATES: [i32; 16] = {
        let mut rates: [i32; 16] = rates();
        rates[15] = 65536 / 20;
        rates
    };
    let (one, seen) = (i32::from(slot >> 4), slot & 15);
    let target = if bit { 4095 } else { 0 };
    let one = one + (((target - one) * RATES[usize::from(seen)]) >> 16);
    (one as u16) << 4 | (seen + 1).min(LIMIT)
}

/// A probability of 22 bits in the upper bits, how often it was seen in the lower 10.
#[derive(Clone, Copy)]
struct Slow(u32);

impl Slow {
    const NEW: Slow = Slow(1 << 31);

    fn probability(self) -> u32 {
        self.0 >> 16
    }

    fn update(&mut self, bit: bool) {
        const RATES: [i32; 256] = rates();
        let seen = self.0 & 1023;
        let one = i64::from(self.0 >> 10);
        let target = if bit { (1 << 22) - 1 } else { 0 };
        let one = one + (((target - one) * i64::from(RATES[(seen & 255) as usize])) >> 16);
        self.0 = (one as u32) << 10 | (seen + 1).min(255);
    }
}
