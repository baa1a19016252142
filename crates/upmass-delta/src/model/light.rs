//! Bytes predicted in few contexts: a fraction of the work of [`super::bytes`], for somewhat more bytes.
//!
//! Counters are in a hashed table, one group of 15 for each half of a byte, and nothing checks whose a
//! group is.

use super::bits::rates;
use super::logistic::{STRETCH, squash};
use super::mixer::Mixer;
use super::range::Coding;

/// Contexts of a byte in the hashed table.
pub(crate) const LIGHT_CONTEXTS: usize = 3;
/// Inputs of the mixer: of each hashed context, of the byte with a table of its own, and a bias.
const INPUTS: usize = LIGHT_CONTEXTS + 2;
/// Counters in a group; the first is not used.
const GROUP: usize = 16;

/// A probability of 12 bits in the upper bits, how often it was seen in the lower 4.
type Slot = u16;
const NEW_SLOT: Slot = 2048 << 4;

/// The model of bytes.
#[derive(Clone)]
pub(crate) struct LightBytes {
    table: Vec<Slot>,
    group_bits: u32,
    /// By use and byte, for each node of the tree.
    direct: Vec<Slot>,
    /// By use, how often the slots of the last two contexts were seen, and node.
    mixer: Mixer<INPUTS>,
}

impl LightBytes {
    /// A model with a table of `2^table_log2` bytes.
    pub(crate) fn new(table_log2: u32) -> Self {
        Self {
            table: vec![NEW_SLOT; 1 << (table_log2 - 1)],
            group_bits: table_log2 - 1 - 4,
            direct: vec![NEW_SLOT; 2 * 256 * 256],
            mixer: Mixer::new(2 * 16 * 8, 65536 / 3, 6),
        }
    }

    /// Codes a byte. `hashes` are the contexts, well mixed, the longest last; `context` is a byte that
    /// has a table of its own.
    pub(crate) fn code<C: Coding>(
        &mut self,
        coding: &mut C,
        purpose: usize,
        hashes: &[u32; LIGHT_CONTEXTS],
        context: u8,
        byte: u8,
    ) -> u8 {
        let stretch = &*STRETCH;
        let direct = (purpose * 256 + usize::from(context)) << 8;
        let mut groups = [0; LIGHT_CONTEXTS];
        let mut node = 1usize;
        let mut inputs = [0i32; INPUTS];
        inputs[INPUTS - 1] = 256;
        for index in (0..8u32).rev() {
            if index == 7 || index == 3 {
                let salt = (node as u32).wrapping_mul(0x9e37_79b1);
                for (group, hash) in groups.iter_mut().zip(hashes) {
                    let hash = match index {
                        7 => *hash,
                        _ => (hash ^ salt).wrapping_mul(0x85eb_ca6b),
                    };
                    *group = (hash >> (32 - self.group_bits)) as usize * GROUP;
                }
            }
            let in_group =
                if index >= 4 { node } else { node & ((1 << (3 - index)) - 1) | 1 << (3 - index) };
            let mut seen = [0; LIGHT_CONTEXTS];
            for i in 0..LIGHT_CONTEXTS {
                let slot = self.table[groups[i] + in_group];
                seen[i] = usize::from(slot & 15);
                inputs[i] = if seen[i] == 0 { 0 } else { stretch.of(u32::from(slot)) };
            }
            let slot = self.direct[direct + node];
            inputs[LIGHT_CONTEXTS] = stretch.of(u32::from(slot));
            let class = |seen: usize| SEEN[seen];
            let set = (purpose * 4 + class(seen[1])) * 4 + class(seen[2]);
            let set = set * 8 + index as usize;
            let logit = self.mixer.mix(set, &inputs);
            let one = squash(logit).clamp(32, 65504);
            let bit = coding.bit(one, byte >> index & 1 == 1);
            self.mixer.update(set, &inputs, logit, bit);
            for group in groups {
                let slot = &mut self.table[group + in_group];
                *slot = updated(*slot, bit);
            }
            let slot = &mut self.direct[direct + node];
            *slot = updated(*slot, bit);
            node = node << 1 | usize::from(bit);
        }
        node as u8
    }
}

/// Classes of how often a slot was seen.
const SEEN: [usize; 16] = [0, 1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3];

fn updated(slot: Slot, bit: bool) -> Slot {
    const LIMIT: u16 = 15;
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
