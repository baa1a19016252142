//! The bytes that were made last, and where in them something like the end was before.

/// Places of the table that have the same hash; the last ones are kept.
const WAYS: usize = 4;
/// For so many bytes of history there is one hash, as a power of two.
const PER_HASH_LOG2: u32 = 5;
/// Bytes that a hash is made of, and that must agree for a place to be followed.
const LEAST: u64 = 6;
/// So many bytes are compared to choose between places.
const COMPARED: u64 = 32;
/// Inside copies only each of so many places is remembered.
const SPARSE: u64 = 4;
/// Of copies that follow one another, only in so many bytes at their end are places remembered.
const LATEST: u64 = 1 << 18;
/// After so many bytes that agreed, a place is followed over those that do not.
const WORTH_KEEPING: u32 = 8;
/// What a byte that does not agree counts at first.
const FAULT: u32 = 32;
/// With more faults than these a place is followed no longer.
const MOST_FAULTS: u32 = 200;

/// A place of the history that goes on as the end did, as far as is known.
#[derive(Clone, Copy, Default)]
pub(crate) struct Follower {
    /// Where what comes next was before.
    place: u64,
    /// How many bytes before it agree; 0: it follows nothing.
    pub(crate) length: u32,
    /// Bytes that did not agree, the last ones weighing most.
    pub(crate) faults: u32,
}

#[derive(Clone)]
pub(crate) struct History {
    ring: Vec<u8>,
    position: u64,
    /// Up to here places are remembered. Behind are copies, whose places nobody has asked for yet:
    /// of a content that is copied nearly all, hardly any place is ever asked for.
    remembered: u64,
    recent: u64,
    places: Vec<[u32; WAYS]>,
    /// The place that agreed longest.
    first: Follower,
    /// A place that agreed until something else was there instead.
    second: Follower,
}

impl History {
    /// Remembers `2^log2` bytes, at least 2^16; takes half as much again.
    pub(crate) fn new(log2: u32) -> Self {
        Self {
            ring: vec![0; 1 << log2],
            position: 0,
            remembered: 0,
            recent: 0,
            places: vec![[0; WAYS]; 1 << (log2 - PER_HASH_LOG2)],
            first: Follower::default(),
            second: Follower::default(),
        }
    }

    /// The byte `distance` before the end; 1 is the last one.
    #[inline]
    pub(crate) fn back(&self, distance: u64) -> u8 {
        self.ring[(self.position.wrapping_sub(distance) as usize) & self.mask()]
    }

    #[inline]
    fn mask(&self) -> usize {
        self.ring.len() - 1
    }

    #[inline]
    fn at(&self, place: u64) -> u8 {
        self.ring[place as usize & self.mask()]
    }

    /// The last eight bytes, the last one lowest.
    #[inline]
    pub(crate) fn recent(&self) -> u64 {
        self.recent
    }

    /// Where places with the hash of the end begin.
    #[inline]
    fn slot(&self) -> usize {
        self.slot_of(self.recent)
    }

    /// The same behind these bytes, the last one lowest.
    #[inline]
    fn slot_of(&self, bytes: u64) -> usize {
        let end = bytes << (64 - 8 * LEAST);
        let hashes = self.places.len().ilog2();
        (end.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - hashes)) as usize
    }

    /// Appends one byte and looks for what may follow.
    pub(crate) fn push(&mut self, byte: u8) {
        self.remember_copies();
        if self.second.length > 0 {
            let agrees = self.at(self.second.place) == byte;
            let second = &mut self.second;
            second.place += 1;
            if agrees {
                second.length = (second.length + 1).min(65535);
                second.faults -= second.faults >> 3;
            } else {
                second.length = 1;
                second.faults += FAULT;
                if second.faults > MOST_FAULTS {
                    second.length = 0;
                }
            }
        }
        if self.first.length > 0 {
            let agrees = self.at(self.first.place) == byte;
            let first = &mut self.first;
            first.place += 1;
            if agrees {
                first.length = (first.length + 1).min(65535);
            } else {
                if first.length >= WORTH_KEEPING {
                    self.second = Follower { place: first.place, length: 1, faults: FAULT };
                }
                self.first.length = 0;
            }
        }
        self.append(byte);
        if self.position < LEAST {
            return;
        }
        if self.first.length == 0 {
            self.first = self.longest();
        }
        self.remember();
        if self.second.length > 0 && self.first.length > 0 && self.second.place == self.first.place
        {
            self.second.length = 0;
        }
    }

    /// The place that agrees longest with the end, the last of several.
    fn longest(&self) -> Follower {
        let mut best = Follower::default();
        for low in &self.places[self.slot()] {
            let place = self.candidate(*low);
            let agree = (1..=COMPARED)
                .take_while(|d| place >= *d && self.at(place - d) == self.back(*d))
                .count() as u32;
            if agree >= LEAST as u32 && agree > best.length {
                best = Follower { place, length: agree, faults: 0 };
            }
        }
        best
    }

    /// Remembers that what comes next is behind the end.
    #[inline]
    fn remember(&mut self) {
        self.remember_at(self.slot(), self.position);
        self.remembered = self.position;
    }

    #[inline]
    fn remember_at(&mut self, slot: usize, position: u64) {
        let [first, second, third, _] = self.places[slot];
        self.places[slot] = [position as u32, first, second, third];
    }

    /// Remembers places in the copies at the end.
    #[inline]
    fn remember_copies(&mut self) {
        if self.remembered < self.position {
            self.remember_latest();
        }
    }

    /// The eight bytes before a place, the last one lowest.
    #[inline]
    fn before(&self, place: u64) -> u64 {
        let start = place.wrapping_sub(8) as usize & self.mask();
        match self.ring[start..].first_chunk() {
            Some(bytes) => u64::from_be_bytes(*bytes),
            None => (1..=8).rev().fold(0, |all, d| all << 8 | u64::from(self.at(place - d))),
        }
    }

    fn remember_latest(&mut self) {
        let most = LATEST.min(self.ring.len() as u64 - 64);
        let from = self.remembered.max(self.position.saturating_sub(most)).max(8);
        let mut position = (from / SPARSE + 1) * SPARSE;
        while position <= self.position {
            self.remember_at(self.slot_of(self.before(position)), position);
            position += SPARSE;
        }
        self.remembered = self.position;
    }

    #[inline]
    fn append(&mut self, byte: u8) {
        let mask = self.mask();
        self.ring[self.position as usize & mask] = byte;
        self.position += 1;
        self.recent = self.recent << 8 | u64::from(byte);
    }

    /// The place whose lower bits are these, or 0 if it is forgotten.
    fn candidate(&self, low: u32) -> u64 {
        let distance = (self.position as u32).wrapping_sub(low);
        match u64::from(distance) {
            d if d > 0 && d < self.mask() as u64 - 64 && d <= self.position => self.position - d,
            _ => 0,
        }
    }

    /// Appends bytes of a copy.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.first.length = 0;
        self.second.length = 0;
        for piece in bytes.chunks(self.ring.len()) {
            let start = self.position as usize & self.mask();
            let (piece_to_end, rest) = piece.split_at(piece.len().min(self.ring.len() - start));
            self.ring[start..start + piece_to_end.len()].copy_from_slice(piece_to_end);
            self.ring[..rest.len()].copy_from_slice(rest);
            self.position += piece.len() as u64;
        }
        let last = &bytes[bytes.len().saturating_sub(8)..];
        self.recent = last.iter().fold(self.recent, |recent, b| recent << 8 | u64::from(*b));
    }

    /// Appends a byte of a copy.
    #[inline]
    pub(crate) fn copied(&mut self, byte: u8) {
        self.first.length = 0;
        self.second.length = 0;
        self.append(byte);
    }

    /// Appends bytes that what comes next is like.
    pub(crate) fn recall(&mut self, bytes: &[u8]) {
        self.remember_copies();
        self.first.length = 0;
        self.second.length = 0;
        for byte in bytes {
            self.append(*byte);
            if self.position > 8 {
                self.remember();
            }
        }
    }

    /// The byte that followed last time, and how long before it both agree.
    pub(crate) fn expected(&self) -> Option<(u8, u32)> {
        (self.first.length > 0).then(|| (self.at(self.first.place), self.first.length))
    }

    /// The byte that follows where something else was a while ago, with how long both agree again
    /// and how often they did not.
    pub(crate) fn expected_again(&self) -> Option<(u8, u32, u32)> {
        let second = &self.second;
        (second.length > 0).then(|| (self.at(second.place), second.length - 1, second.faults))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes in which no six come twice.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 56) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    /// What is expected after copies and the bytes of them from here on.
    fn expected_after(copies: &[u8], from: usize) -> Option<u8> {
        let mut history = History::new(22);
        copies.chunks(4096).for_each(|piece| history.extend(piece));
        copies[from..from + 12].iter().for_each(|byte| history.push(*byte));
        history.expected().map(|(byte, _)| byte)
    }

    #[test]
    fn the_latest_copies_are_found_and_what_is_before_them_is_not() {
        let copies = noise(3 << 20);
        let latest = copies.len() - LATEST as usize;
        for from in [latest, latest + 1000, copies.len() - 13] {
            assert_eq!(expected_after(&copies, from), Some(copies[from + 12]), "{from}");
        }
        for from in [0, 1 << 20, latest - 16] {
            assert_eq!(expected_after(&copies, from), None, "{from}");
        }
    }

    #[test]
    fn copies_of_any_lengths_go_round_the_ring() {
        let bytes = noise(300_000);
        let mut pieces = History::new(16);
        let mut rest = &bytes[..];
        for len in [1, 7, 65_535, 65_536, 70_000, 3, 90_000].into_iter().cycle() {
            let (piece, after) = rest.split_at(rest.len().min(len));
            pieces.extend(piece);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        let mut single = History::new(16);
        bytes.iter().for_each(|byte| single.copied(*byte));
        assert!(pieces.ring == single.ring && pieces.recent == single.recent);
        for history in [&mut pieces, &mut single] {
            bytes[299_000..299_012].iter().for_each(|byte| history.push(*byte));
        }
        assert!(pieces.places == single.places);
        assert_eq!(pieces.expected(), Some((bytes[299_012], pieces.first.length)));
    }
}
