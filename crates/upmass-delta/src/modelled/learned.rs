//! Where addresses of the old content have turned out to be.

use super::Sizes;
use crate::machine::Token;
use crate::machine::field::is_key_of_token;

/// Tokens that are near one another, as a power of two, and how many such lots are remembered.
const NEAR_LOG2: u32 = 6;
const LOTS: usize = 2048;

/// Old targets, and where the last field that had each of them pointed.
#[derive(Clone)]
pub(super) struct Learned {
    entries: Vec<(u64, u64)>,
    /// Entries that were set, in any order and some of them twice, until it is cheaper to clear all.
    set: Vec<u16>,
    /// For types and their names: by how much the last token of a lot has moved; and of all.
    near: [Vec<(u64, i64)>; 2],
    last: [i64; 2],
}

impl Learned {
    const NOTHING: (u64, u64) = (u64::MAX, 0);
    const MOST_NOTED: usize = 1 << 12;

    pub(super) fn new(sizes: Sizes) -> Self {
        Self {
            entries: vec![Self::NOTHING; 1 << sizes.beside_log2()],
            set: Vec::new(),
            near: [(); 2].map(|()| vec![(u64::MAX, 0); LOTS]),
            last: [0; 2],
        }
    }

    /// Forgets all but tokens; of a small object at no more than a small cost.
    pub(super) fn clear(&mut self) {
        let forget = |entry: &mut (u64, u64)| {
            if !is_key_of_token(entry.0) {
                *entry = Self::NOTHING;
            }
        };
        if self.set.len() < Self::MOST_NOTED {
            for slot in &self.set {
                forget(&mut self.entries[usize::from(*slot)]);
            }
        } else {
            self.entries.iter_mut().for_each(forget);
        }
        self.set.clear();
    }

    /// Where a token is if it has moved as others near it.
    pub(super) fn near(&self, token: Token, old: u64) -> u64 {
        let index = token as usize;
        let Some(lots) = self.near.get(index) else { return old };
        let lot = old >> NEAR_LOG2;
        let (known, shift) = lots[lot as usize % LOTS];
        old.wrapping_add(if known == lot { shift } else { self.last[index] } as u64)
    }

    /// Remembers how a token has moved.
    pub(super) fn moved(&mut self, token: Token, old: u64, new: u64) {
        let index = token as usize;
        if let Some(lots) = self.near.get_mut(index) {
            let (lot, shift) = (old >> NEAR_LOG2, new.wrapping_sub(old) as i64);
            lots[lot as usize % LOTS] = (lot, shift);
            self.last[index] = shift;
        }
    }

    fn slot(&self, target: u64) -> usize {
        let bits = self.entries.len().ilog2();
        (target.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - bits)) as usize
    }

    pub(super) fn get(&self, target: u64) -> Option<u64> {
        let (old, new) = self.entries[self.slot(target)];
        (old == target && (old, new) != Self::NOTHING).then_some(new)
    }

    pub(super) fn set(&mut self, old: u64, new: u64) {
        let slot = self.slot(old);
        self.entries[slot] = (old, new);
        if self.set.len() < Self::MOST_NOTED {
            self.set.push(slot as u16);
        }
    }
}
