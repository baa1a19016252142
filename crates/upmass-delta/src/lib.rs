//! The delta engine: finds how new bytes come from old ones, and writes that down small.
//!
//! Bytes in, bytes out: nothing here opens a file. What a device decodes with is in [`stream`]
//! and [`patch`]; the build host adds [`find`] and the encoders (feature `encoder`). A coder is a
//! number in each segment of an update ([`CODER_LZMA`]), so that a stronger one can be put
//! beside this one without a device misreading what it does not know.
//!
//! Read first: [`patch::Decoder`], [`patch::Encoder`], [`find::find_copies`].

mod error;
#[cfg(feature = "encoder")]
pub mod find;
pub mod patch;
pub mod stream;

pub use error::{DeltaError, Result};

/// Coder 1: copies with residues, each stream compressed by LZMA or stored
/// (`crates/upmass-format/spec/coder-lzma.md`).
pub const CODER_LZMA: u8 = 1;
