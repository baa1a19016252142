//! How the memory of a device is divided between the decoder of coder 2 and what packs members
//! again: both are there at once.

use upmass_delta::modelled::Sizes;

/// What program and buffers of a device take besides the decoders, in KiB.
pub(crate) const FIXED_KIB: u64 = 8 << 10;
/// The frame of an update that is held, of all but the longest.
const FRAME: u64 = 256 << 10;
/// The decoder of a segment remembers no less than this for the sake of packers.
const LEAST: Sizes = Sizes { table_log2: 19, history_log2: 19 };
/// The content of a segment is at most so many times what its greedy members have packed.
const WORTH: u64 = 256;

/// The memory of a device, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room(pub(crate) u64);

impl Room {
    fn beside(self, decoder: u64) -> u64 {
        self.0.saturating_sub((FIXED_KIB << 10) + FRAME + decoder)
    }

    /// What a packer may take while the decoder remembers all that it usually does, in bytes.
    pub(crate) fn ample(self) -> u64 {
        self.beside(self.sizes(0).memory())
    }

    /// What a packer may take at all, in bytes.
    pub(crate) fn most(self) -> u64 {
        self.beside(LEAST.memory()).max(self.ample())
    }

    /// What the decoder of a segment remembers beside a packer that takes so many bytes.
    pub(crate) fn sizes(self, packer: u64) -> Sizes {
        Sizes::within(self.beside(0).saturating_sub(packer))
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

    #[test]
    fn decoder_and_packer_fit_into_the_device_together() {
        for mib in 18..200 {
            let room = Room(mib << 20);
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
            assert_eq!(Room(mib << 20).most(), 0);
        }
    }

    #[test]
    fn a_single_greedy_member_does_not_shrink_the_decoder_of_a_whole_system() {
        let room = Room(32 << 20);
        assert_eq!(room.packer(20_000, 100 << 20), room.ample());
        assert_eq!(room.packer(20 << 20, 100 << 20), room.most());
        assert_eq!(room.packer(0, 0), room.ample());
    }
}
