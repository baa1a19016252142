//! Probabilities and their logits, in integers: every CPU computes the same.
//!
//! A logit is ln(p / (1 - p)) in units of 1/256, from -3072 to 3072; a probability has 16 bits.

use std::sync::LazyLock;

/// Largest logit.
pub(crate) const MAX_LOGIT: i32 = 3072;

/// 65536 / (1 + e^(-x / 256)) for each 32nd logit from -3072 on.
#[rustfmt::skip]
const SQUASH: [u16; 193] = [
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2,
    2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 6, 7,
    8, 9, 10, 12, 13, 15, 17, 19, 22, 25, 28, 32,
    36, 41, 47, 53, 60, 68, 77, 87, 98, 111, 126, 143,
    162, 184, 208, 236, 267, 302, 342, 387, 439, 497, 562, 636,
    720, 815, 922, 1042, 1179, 1333, 1506, 1701, 1921, 2168, 2446, 2758,
    3108, 3500, 3938, 4427, 4971, 5577, 6249, 6992, 7812, 8714, 9702, 10782,
    11955, 13226, 14595, 16062, 17625, 19282, 21025, 22849, 24743, 26695, 28693, 30723,
    32768, 34813, 36843, 38841, 40793, 42687, 44511, 46254, 47911, 49474, 50941, 52310,
    53581, 54754, 55834, 56822, 57724, 58544, 59287, 59959, 60565, 61109, 61598, 62036,
    62428, 62778, 63090, 63368, 63615, 63835, 64030, 64203, 64357, 64494, 64614, 64721,
    64816, 64900, 64974, 65039, 65097, 65149, 65194, 65234, 65269, 65300, 65328, 65352,
    65374, 65393, 65410, 65425, 65438, 65449, 65459, 65468, 65476, 65483, 65489, 65495,
    65500, 65504, 65508, 65511, 65514, 65517, 65519, 65521, 65523, 65524, 65526, 65527,
    65528, 65529, 65530, 65530, 65531, 65532, 65532, 65533, 65533, 65533, 65534, 65534,
    65534, 65534, 65535, 65535, 65535, 65535, 65535, 65535, 65535, 65535, 65535, 65535,
    65535,
];

/// The probability of a logit: 1 to 65535.
#[inline]
pub(crate) fn squash(logit: i32) -> u32 {
    let from_start = logit.clamp(-MAX_LOGIT, MAX_LOGIT - 1) + MAX_LOGIT;
    let (index, part) = ((from_start >> 5) as usize, from_start & 31);
    let (low, high) = (i32::from(SQUASH[index]), i32::from(SQUASH[index + 1]));
    (low + (((high - low) * part) >> 5)) as u32
}

/// Logits of probabilities, by their upper 12 bits.
pub(crate) struct Stretch([i16; 4096]);

impl Stretch {
    /// The logit of a probability of 16 bits.
    #[inline]
    pub(crate) fn of(&self, probability: u32) -> i32 {
        i32::from(self.0[(probability >> 4) as usize & 4095])
    }
}

/// The inverse of [`squash`].
pub(crate) static STRETCH: LazyLock<Stretch> = LazyLock::new(|| {
    let mut table = [0i16; 4096];
    let mut next = 0;
    for logit in -MAX_LOGIT..=MAX_LOGIT {
        let reached = (squash(logit) >> 4) as usize;
        while next <= reached {
            table[next] = logit as i16;
            next += 1;
        }
    }
    table[next..].fill(MAX_LOGIT as i16);
    Stretch(table)
});
