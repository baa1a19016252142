//! Finds known store hashes in bytes, at memory speed.
//!
//! A store path is mentioned by the 32 characters at the front of its base name. Of an alphabet
//! of 32 characters, most windows of 32 bytes already fail at their last byte, so that most
//! bytes are never looked at (the idea of Nix's own `refscan`). Unlike there, bytes that were
//! seen to be of the alphabet are not looked at again, so that long runs of it cost no more.
//!
//! Measured on one core of an AMD EPYC, 20,000 known hashes, in memory, 2026-11-21
//! (`cargo run --release -p upmass-import --example scan_speed -- FILE...`): programs and
//! libraries of Debian 6,050 MB/s, header files and Python 4,560 MB/s, random bytes 11,900 MB/s,
//! nothing but the alphabet 220 MB/s.

use std::collections::HashMap;

use upmass_format::nix::{HASH_LEN, IS_DIGIT};

/// The hash part of a store path.
pub(crate) type Hash = [u8; HASH_LEN];
/// The hashes to look for, each with the number that stands for it.
pub(crate) struct KnownHashes {
    numbers: HashMap<Hash, usize>,
    /// One bit for each value of [`Self::slot`]: clear where no hash has it.
    filter: Vec<u64>,
    shift: u32,
    len: usize,
}

/// The search through one text after another, each in pieces of any size.
pub(crate) struct Scan<'a> {
    known: &'a KnownHashes,
    found: Vec<bool>,
    /// The end of the text so far, shorter than a hash.
    tail: Vec<u8>,
}

impl KnownHashes {
    /// The number of a hash is its position in `hashes`.
    pub(crate) fn new(hashes: &[Hash]) -> Self {
        // 16 bits for each hash: of 16 windows that are no hash, 15 end here.
        let bits = (hashes.len() * 16).next_power_of_two().max(1 << 12);
        let mut known = Self {
            numbers: hashes.iter().enumerate().map(|(number, hash)| (*hash, number)).collect(),
            filter: vec![0; bits / 64],
            shift: 64 - bits.ilog2(),
            len: hashes.len(),
        };
        for hash in hashes {
            let slot = known.slot(hash);
            known.filter[slot / 64] |= 1 << (slot % 64);
        }
        known
    }

    /// Starts a search.
    pub(crate) fn scan(&self) -> Scan<'_> {
        Scan { known: self, found: vec![false; self.len], tail: Vec::with_capacity(2 * HASH_LEN) }
    }

    fn slot(&self, window: &[u8; HASH_LEN]) -> usize {
        let head = u64::from_le_bytes(std::array::from_fn(|index| window[index]));
        (head.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// Marks what occurs wholly inside `bytes`.
    fn search(&self, bytes: &[u8], found: &mut [bool]) {
        // The window begins at `start`; its first `good` bytes are of the alphabet.
        let (mut start, mut good) = (0, 0);
        while let Some(window) = bytes[start..].first_chunk::<HASH_LEN>() {
            let bad = window[good..].iter().rposition(|byte| !IS_DIGIT[usize::from(*byte)]);
            if let Some(bad) = bad {
                let passed = good + bad + 1;
                start += passed;
                good = HASH_LEN - passed;
                continue;
            }
            let slot = self.slot(window);
            if self.filter[slot / 64] & (1 << (slot % 64)) != 0
                && let Some(number) = self.numbers.get(window)
            {
                found[*number] = true;
            }
            start += 1;
            good = HASH_LEN - 1;
        }
    }
}

impl Scan<'_> {
    /// Takes the next piece of the text.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        // What crosses from the earlier pieces into this one.
        let kept = self.tail.len();
        self.tail.extend_from_slice(&bytes[..bytes.len().min(HASH_LEN - 1)]);
        if kept > 0 {
            self.known.search(&self.tail, &mut self.found);
        }
        self.known.search(bytes, &mut self.found);
        if bytes.len() >= HASH_LEN {
            self.tail.clear();
            self.tail.extend_from_slice(&bytes[bytes.len() - (HASH_LEN - 1)..]);
        } else {
            let surplus = self.tail.len().saturating_sub(HASH_LEN - 1);
            self.tail.drain(..surplus);
        }
    }

    /// Ends the text: what comes next does not continue it.
    pub(crate) fn end_text(&mut self) {
        self.tail.clear();
    }

    /// The numbers of the hashes that occurred so far, ascending.
    pub(crate) fn found(&self) -> impl Iterator<Item = usize> + '_ {
        self.found.iter().enumerate().filter(|(_, found)| **found).map(|(number, _)| number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use upmass_format::nix::ALPHABET;

    use super::*;

    fn hash(seed: u64) -> Hash {
        let mut state = seed;
        std::array::from_fn(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ALPHABET[(state >> 59) as usize]
        })
    }

    fn found(known: &KnownHashes, pieces: &[&[u8]]) -> Vec<usize> {
        let mut scan = known.scan();
        for piece in pieces {
            scan.feed(piece);
        }
        scan.found().collect()
    }

    /// What the search means, without any of its ideas.
    fn plainly(hashes: &[Hash], text: &[u8]) -> Vec<usize> {
        let occurs = |hash: &Hash| text.windows(HASH_LEN).any(|window| window == hash);
        (0..hashes.len()).filter(|number| occurs(&hashes[*number])).collect()
    }

    #[test]
    fn a_hash_is_found_at_both_ends_and_inside_a_longer_run() {
        let hashes = [hash(1), hash(2), hash(3)];
        let known = KnownHashes::new(&hashes);
        assert_eq!(found(&known, &[&hashes[1]]), [1]);
        let text = [b"/nix/store/".as_slice(), &hashes[0], b"-openssl"].concat();
        assert_eq!(found(&known, &[&text]), [0]);
        let run = [b"0000000".as_slice(), &hashes[2], &hashes[0], b"zzzz"].concat();
        assert_eq!(found(&known, &[&run]), [0, 2]);
        assert_eq!(found(&known, &[]), [] as [usize; 0]);
    }

    #[test]
    fn texts_do_not_run_into_each_other() {
        let hashes = [hash(1)];
        let known = KnownHashes::new(&hashes);
        let mut scan = known.scan();
        scan.feed(&hashes[0][..20]);
        scan.end_text();
        scan.feed(&hashes[0][20..]);
        assert_eq!(scan.found().count(), 0);
    }

    /// Text in which hashes, cut hashes, runs of the alphabet and other bytes alternate.
    fn text(hashes: Vec<Hash>) -> impl Strategy<Value = Vec<u8>> {
        let whole = prop::sample::select(hashes.clone()).prop_map(|hash| hash.to_vec());
        let cut = (prop::sample::select(hashes), 0..HASH_LEN, 0..HASH_LEN)
            .prop_map(|(hash, a, b)| hash[a.min(b)..a.max(b)].to_vec());
        let run = prop::collection::vec(prop::sample::select(ALPHABET.to_vec()), 0..70);
        let other = prop::collection::vec(any::<u8>(), 0..70);
        prop::collection::vec(prop_oneof![whole, cut, run, other], 0..12)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_pieces_give_what_the_plain_search_gives(
            text in text((0..6).map(hash).collect()),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let hashes: Vec<Hash> = (0..6).map(hash).collect();
            let known = KnownHashes::new(&hashes);
            let mut cuts: Vec<usize> =
                cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> =
                cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(found(&known, &pieces), plainly(&hashes, &text));
        }

        #[test]
        fn single_bytes_give_what_the_plain_search_gives(
            text in text((0..3).map(hash).collect()),
        ) {
            let hashes: Vec<Hash> = (0..3).map(hash).collect();
            let known = KnownHashes::new(&hashes);
            let pieces: Vec<&[u8]> = text.chunks(1).collect();
            prop_assert_eq!(found(&known, &pieces), plainly(&hashes, &text));
        }
    }
}
