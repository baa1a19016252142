//! The delta engine: finds how new bytes come from old ones, and writes that down small.
//!
//! Bytes in, bytes out: nothing here opens a file. What a device decodes with is in [`stream`]
//! and [`patch`]; the build host adds [`find`] and the encoders (feature `encoder`). A coder is a
//! number in each segment of an update ([`CODER_MODEL`]), so that a stronger one can be put
//! beside these without a device misreading what it does not know.
//!
//! Read first: [`coder::Decoder`], [`modelled::Encoder`], [`align::align`].

#[cfg(feature = "encoder")]
pub mod align;
pub mod coder;
mod error;
#[cfg(feature = "encoder")]
pub mod find;
mod history;
mod machine;
mod map;
pub mod model;
pub mod modelled;
#[cfg(feature = "encoder")]
mod named;
pub mod patch;
pub mod rename;
#[cfg(feature = "encoder")]
mod rough;
pub mod stream;

pub use coder::{CODER_LZMA, CODER_MODEL};
pub use error::{DeltaError, Result};
pub use model::range::Section;
