//! Mixing of predictions in the logistic domain (M. Mahoney, "Adaptive weighing of context
//! models for lossless data compression", 2005), in integers.

use super::logistic::{MAX_LOGIT, squash};

/// Weights are in units of 1/65536.
const UNIT: i32 = 1 << 16;
/// Largest weight; times the largest logit it fits into 31 bits, and 16 products after the shift too.
const MAX_WEIGHT: i32 = 8 * UNIT - 1;

/// Sets of weights for `N` inputs, of which the caller selects one for each bit.
#[derive(Clone)]
pub(crate) struct Mixer<const N: usize> {
    weights: Vec<[i32; N]>,
    rate: i32,
}

impl<const N: usize> Mixer<N> {
    pub(crate) fn new(sets: usize, first: i32, rate: i32) -> Self {
        Self { weights: vec![[first; N]; sets], rate }
    }

    /// The logit that the inputs make together.
    #[inline]
    pub(crate) fn mix(&self, set: usize, inputs: &[i32; N]) -> i32 {
        let products = self.weights[set].iter().zip(inputs).map(|(w, x)| (w * x) >> 4);
        (products.sum::<i32>() >> 12).clamp(-MAX_LOGIT, MAX_LOGIT)
    }

    /// Learns from the bit; `logit` is what [`Self::mix`] gave.
    #[inline]
    pub(crate) fn update(&mut self, set: usize, inputs: &[i32; N], logit: i32, bit: bool) {
        let error = ((i32::from(bit) << 16) - squash(logit) as i32) * self.rate;
        for (weight, input) in self.weights[set].iter_mut().zip(inputs) {
            let step = (input * error + (1 << 17)) >> 18;
            *weight = (*weight + step).clamp(-MAX_WEIGHT, MAX_WEIGHT);
        }
    }
}
