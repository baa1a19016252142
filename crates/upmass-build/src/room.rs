//! How the memory of a device is divided between the decoder of coder 2 and what packs members
//! again: both are there at once.

use upmass_delta::modelled::{Contexts, Sizes};

/// What program and buffers of a device take besides the decoders, in KiB.
pub(crate) const FIXED_KIB: u64 = 8 << 10;
/// The frame of an update that is held, of all but the longest.
const FRAME: u64 = 256 << 10;
/// The decoder of a segment remembers no less than this for the sake of packers: of table and
/// of history, as a power of two.
const LEAST_LOG2: u8 = 19;
/// The content of a segment is at most so many times what its greedy members have packed.
const WORTH: u64 = 256;

/// The memory of a device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// All of it, in bytes.
    pub(crate) memory: u64,
    /// How many contexts the decoder has.
    pub(crate) contexts: Contexts,
}

impl Room {
    fn beside(self, decoder: u64) -> u64 {
        self.memory.saturating_sub((FIXED_KIB << 10) + FRAME + decoder)
    }

    fn least(self) -> Sizes {
        let contexts = self.contexts;
        Sizes { table_log2: LEAST_LOG2, history_log2: LEAST_LOG2, contexts }
    }

    /// What a packer may take while the decoder remembers all that it usually does, in bytes.
    pub(crate) fn ample(self) -> u64 {
        self.beside(self.sizes(0).memory())
    }

    /// What a packer may take at all, in bytes.
    pub(crate) fn most(self) -> u64 {
        self.beside(self.least().memory()).max(self.ample())
    }

    /// What the decoder of a segment remembers beside a packer that takes so many bytes.
    pub(crate) fn sizes(self, packer: u64) -> Sizes {
        Sizes::within(self.beside(0).saturating_sub(packer), self.contexts)
    }

    /// What a packer may take in a segment with so much content, where members with `greedy`
    /// packed bytes need more than [`Self::ample`]. A small decoder costs some percent of all
    /// that a segment takes, and a member that stays packed nearly all of itself.
    pub(crate) fn packer(self, greedy: u64, content: u64) -> u64 {
        if greedy.saturating_mul(WORTH) > content { self.most() } else { self.ample() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(mib: u64) -> Room {
        Room { memory: mib << 20, contexts: Contexts::Many }
    }

    #[test]
    fn decoder_and_packer_fit_into_the_device_together() {
        for mib in 18..200 {
            let room = room(mib);
            for packer in [0, room.ample(), room.most()] {
                let sum = room.sizes(packer).memory() + packer + (FIXED_KIB << 10) + FRAME;
                assert!(sum <= mib << 20, "{mib} MiB: {packer} leads to {sum}");
            }
            assert!(room.ample() <= room.most());
            assert_eq!(room.sizes(room.ample()), room.sizes(0));
        }
    }

    #[test]
    fn a_device_with_next_to_nothing_packs_nothing() {
        for mib in 0..10 {
            assert_eq!(room(mib).most(), 0);
        }
    }

    #[test]
    fn a_single_greedy_member_does_not_shrink_the_decoder_of_a_whole_system() {
        let room = room(32);
        assert_eq!(room.packer(20_000, 100 << 20), room.ample());
        assert_eq!(room.packer(20 << 20, 100 << 20), room.most());
        assert_eq!(room.packer(0, 0), room.ample());
    }
}
