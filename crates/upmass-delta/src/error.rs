//! What can go wrong while decoding.

use std::io;

use upmass_format::FormatError;

/// The result of decoding.
pub type Result<T> = std::result::Result<T, DeltaError>;

/// Why a patch cannot be executed.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// The streams break a rule of their format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A copy reaches outside its base.
    #[error("a copy of {len} bytes at {offset} reaches outside its base of {base_len} bytes")]
    OutsideBase {
        /// Where in the base.
        offset: i128,
        /// How many bytes.
        len: u64,
        /// Length of the base.
        base_len: u64,
    },
    /// An operation makes more than the object should have.
    #[error("an operation makes {len} bytes where {left} are left in the object")]
    OutsideObject {
        /// How many bytes the operation makes.
        len: u64,
        /// How many bytes are left.
        left: u64,
    },
    /// A stream cannot be decompressed.
    #[error("the {stream} stream cannot be decompressed: {message}")]
    Stream {
        /// Which stream.
        stream: &'static str,
        /// The decompressor's words.
        message: String,
    },
    /// Reading the base failed.
    #[error("reading the base failed: {0}")]
    Base(#[source] io::Error),
    /// Taking the new content failed.
    #[error("writing the new content failed: {0}")]
    Sink(#[source] io::Error),
}
