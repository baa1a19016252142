//! The statistical model: what it predicts, the range coder makes short.

pub(crate) mod bits;
pub(crate) mod bytes;
pub(crate) mod light;
pub(crate) mod logistic;
pub(crate) mod mixer;
pub(crate) mod range;

pub use bits::{Counter, Numbers};
#[cfg(feature = "encoder")]
pub use range::RangeEncoder;
pub use range::{Coding, RangeDecoder};
