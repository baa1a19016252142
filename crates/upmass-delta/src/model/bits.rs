//! Adaptive bits and numbers.

use super::range::Coding;

/// How fast a counter follows after many bits: by this power of two.
const SLOWEST: u32 = 7;

/// How much of the way to the bit that came a probability goes, of 65536, after so many bits: 1 / (n + 1.5).
pub(crate) const fn rates<const N: usize>() -> [i32; N] {
    let mut rates = [0; N];
    let mut n = 0;
    while n < N {
        rates[n] = 2 * 65536 / (2 * n as i32 + 3);
        n += 1;
    }
    rates
}

/// The probability of a bit in one context, with how often it was seen.
#[derive(Clone, Copy)]
pub struct Counter {
    one: u16,
    seen: u8,
}

impl Counter {
    /// Nothing seen: either is as likely.
    pub const NEW: Counter = Counter { one: 1 << 15, seen: 0 };

    #[inline]
    pub(crate) fn probability(&self) -> u32 {
        u32::from(self.one).clamp(16, 65520)
    }

    #[inline]
    pub(crate) fn update(&mut self, bit: bool) {
        const RATES: [i32; 128] = rates();
        let rate = i64::from(RATES[usize::from(self.seen)]);
        let target = if bit { 65535 } else { 0 };
        let one = i64::from(self.one);
        self.one = (one + (((target - one) * rate) >> 16)) as u16;
        self.seen = (self.seen + 1).min((1 << SLOWEST) - 2);
    }

    /// Codes a bit, and learns it.
    #[inline]
    pub fn code<C: Coding>(&mut self, coding: &mut C, bit: bool) -> bool {
        let bit = coding.bit(self.probability(), bit);
        self.update(bit);
        bit
    }
}

/// Bits of a number below its highest that have counters of their own.
const MODELLED: u32 = 3;

/// Numbers: the length in bits, then the bits; small numbers and frequent magnitudes get cheap.
#[derive(Clone)]
pub struct Numbers {
    lengths: Vec<Counter>,
    bits: Vec<Counter>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self::new()
    }
}

impl Numbers {
    /// Nothing seen.
    pub fn new() -> Self {
        Self { lengths: vec![Counter::NEW; 128], bits: vec![Counter::NEW; 128 << MODELLED] }
    }

    /// Codes a number.
    pub fn code<C: Coding>(&mut self, coding: &mut C, value: u64) -> u64 {
        let wanted = u64::BITS - value.leading_zeros();
        let mut node = 1;
        for index in (0..7).rev() {
            let bit = self.lengths[node].code(coding, wanted >> index & 1 == 1);
            node = node << 1 | usize::from(bit);
        }
        // More than 64 bits are never written; whoever writes them gets a number all the same.
        let length = ((node - 128) as u32).min(u64::BITS);
        if length == 0 {
            return 0;
        }
        let mut result = 1u64;
        let mut node = 1usize;
        let mut left = length - 1;
        while left > 0 && node < 1 << MODELLED {
            left -= 1;
            let counter = &mut self.bits[(length as usize) << MODELLED | node];
            let bit = counter.code(coding, value >> left & 1 == 1);
            node = node << 1 | usize::from(bit);
            result = result << 1 | u64::from(bit);
        }
        while left > 0 {
            let count = left.min(16);
            left -= count;
            let bits = coding.direct(count, (value >> left) as u32 & 0xffff);
            result = result << count | u64::from(bits);
        }
        result
    }

    /// A number with a sign.
    pub fn signed<C: Coding>(&mut self, coding: &mut C, value: i64) -> i64 {
        let zigzag = upmass_format::wire::zigzag(value);
        upmass_format::wire::unzigzag(self.code(coding, zigzag))
    }
}
