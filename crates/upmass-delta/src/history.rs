//! The bytes that were made last, and where in them something like the end was before.

/// Bytes that are remembered.
const SIZE: usize = 1 << 21;
/// Entries of the table of places.
const PLACES_LOG2: u32 = 18;
/// Bytes that must agree for a place to be looked at.
const LEAST: u64 = 5;
/// Inside copies only each of so many places is remembered.
const SPARSE: u64 = 4;

pub(crate) struct History {
    ring: Vec<u8>,
    position: u64,
    recent: u64,
    places: Vec<u32>,
    /// Where what comes next was before, if anywhere.
    guess: u64,
    length: u32,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            ring: vec![0; SIZE],
            position: 0,
            recent: 0,
            places: vec![0; 1 << PLACES_LOG2],
            guess: 0,
            length: 0,
        }
    }

    /// The byte `distance` before the end; 1 is the last one.
    pub(crate) fn back(&self, distance: u64) -> u8 {
        self.ring[(self.position.wrapping_sub(distance) as usize) & (SIZE - 1)]
    }

    /// The last eight bytes, the last one lowest.
    pub(crate) fn recent(&self) -> u64 {
        self.recent
    }

    fn slot(&self) -> usize {
        let recent = self.recent() & 0xff_ffff_ffff;
        (recent.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PLACES_LOG2)) as usize
    }

    /// Appends one byte and looks for what may follow.
    pub(crate) fn push(&mut self, byte: u8) {
        if self.length > 0 && self.ring[self.guess as usize & (SIZE - 1)] == byte {
            self.guess += 1;
            self.length = (self.length + 1).min(65535);
        } else {
            self.length = 0;
        }
        self.ring[self.position as usize & (SIZE - 1)] = byte;
        self.position += 1;
        self.recent = self.recent << 8 | u64::from(byte);
        if self.position < LEAST {
            return;
        }
        let slot = self.slot();
        if self.length == 0 {
            let candidate = self.candidate(self.places[slot]);
            let agree = (1..=32).take_while(|d| {
                candidate >= *d && self.ring[(candidate - d) as usize & (SIZE - 1)] == self.back(*d)
            });
            let length = agree.count() as u32;
            if length >= LEAST as u32 {
                (self.guess, self.length) = (candidate, length);
            }
        }
        self.places[slot] = self.position as u32;
    }

    /// The place whose lower bits are these, or 0 if it is forgotten.
    fn candidate(&self, low: u32) -> u64 {
        let distance = (self.position as u32).wrapping_sub(low);
        match u64::from(distance) {
            d if d > 0 && d < SIZE as u64 - 64 && d <= self.position => self.position - d,
            _ => 0,
        }
    }

    /// Appends bytes of a copy.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.length = 0;
        for byte in bytes {
            self.ring[self.position as usize & (SIZE - 1)] = *byte;
            self.position += 1;
            self.recent = self.recent << 8 | u64::from(*byte);
            if self.position.is_multiple_of(SPARSE) && self.position > 8 {
                let slot = self.slot();
                self.places[slot] = self.position as u32;
            }
        }
    }

    /// The byte that followed last time, and how long before it both agree.
    pub(crate) fn expected(&self) -> Option<(u8, u32)> {
        (self.length > 0).then(|| (self.ring[self.guess as usize & (SIZE - 1)], self.length))
    }
}
