//! Where addresses of the old content have turned out to be.

/// Entries of the table of learned targets.
const LEARNED_LOG2: u32 = 16;

/// Old targets, and where the last field that had each of them pointed.
pub(super) struct Learned {
    entries: Vec<(u64, u64)>,
    /// Entries that were set, in any order and some of them twice, until it is cheaper to clear all.
    set: Vec<u16>,
}

impl Learned {
    const NOTHING: (u64, u64) = (u64::MAX, 0);
    const MOST_NOTED: usize = 1 << 12;

    pub(super) fn new() -> Self {
        Self { entries: vec![Self::NOTHING; 1 << LEARNED_LOG2], set: Vec::new() }
    }

    /// Forgets all; of a small object at no more than a small cost.
    pub(super) fn clear(&mut self) {
        if self.set.len() < Self::MOST_NOTED {
            for slot in &self.set {
                self.entries[usize::from(*slot)] = Self::NOTHING;
            }
        } else {
            self.entries.fill(Self::NOTHING);
        }
        self.set.clear();
    }

    fn slot(target: u64) -> usize {
        (target.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - LEARNED_LOG2)) as usize
    }

    pub(super) fn get(&self, target: u64) -> Option<u64> {
        let (old, new) = self.entries[Self::slot(target)];
        (old == target).then_some(new)
    }

    pub(super) fn set(&mut self, old: u64, new: u64) {
        let slot = Self::slot(old);
        self.entries[slot] = (old, new);
        if self.set.len() < Self::MOST_NOTED {
            self.set.push(slot as u16);
        }
    }
}
