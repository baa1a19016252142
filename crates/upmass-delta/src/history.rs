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
        let end = self.recent << (64 - 8 * LEAST);
        let hashes = self.places.len().ilog2();
        (end.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - hashes)) as usize
    }

    /// Appends one byte and looks for what may follow.
    pub(crate) fn push(&mut self, byte: u8) {
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
        let slot = self.slot();
        let [first, second, third, _] = self.places[slot];
        self.places[slot] = [self.position as u32, first, second, third];
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
        let mut rest = bytes;
        // To the first place that is remembered, and from there on from one to the next.
        while !rest.is_empty() {
            let len = (SPARSE - self.position % SPARSE).min(rest.len() as u64) as usize;
            let (piece, after) = rest.split_at(len);
            let start = self.position as usize & self.mask();
            // A ring holds a whole number of such pieces, so none goes over its end.
            self.ring[start..start + len].copy_from_slice(piece);
            let recent = piece.iter().fold(self.recent, |recent, b| recent << 8 | u64::from(*b));
            self.recent = recent;
            self.position += len as u64;
            if self.position.is_multiple_of(SPARSE) && self.position > 8 {
                self.remember();
            }
            rest = after;
        }
    }

    /// Appends a byte of a copy.
    #[inline]
    pub(crate) fn copied(&mut self, byte: u8) {
        self.first.length = 0;
        self.second.length = 0;
        self.append(byte);
        if self.position.is_multiple_of(SPARSE) && self.position > 8 {
            self.remember();
        }
    }

    /// Appends bytes that what comes next is like.
    pub(crate) fn recall(&mut self, bytes: &[u8]) {
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
