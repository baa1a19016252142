//! What can be wrong with bytes that claim to be one of our formats.

use std::io;

/// The result of decoding.
pub type Result<T> = std::result::Result<T, FormatError>;

/// A reason why bytes are not a valid encoding. `offset` counts from the first byte of the
/// format being read; `what` names the field in the words of its specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The input stops inside a field.
    #[error("{what} ends early at byte {offset}: the file was cut short")]
    Truncated {
        /// The field being read.
        what: &'static str,
        /// Where the input ended.
        offset: u64,
    },
    /// A value is written in another way than the only allowed one.
    #[error("{what} at byte {offset} is not in its canonical form: {why}")]
    NotCanonical {
        /// The field being read.
        what: &'static str,
        /// Where the field begins.
        offset: u64,
        /// Which rule is broken.
        why: &'static str,
    },
    /// A number or length is above its limit.
    #[error("{what} at byte {offset} is {found}, the limit is {limit}")]
    TooLarge {
        /// The field being read.
        what: &'static str,
        /// Where the field ends.
        offset: u64,
        /// The value in the input.
        found: u64,
        /// The largest allowed value.
        limit: u64,
    },
    /// A tag, version or method that this version of Upmass does not know.
    #[error("{what} at byte {offset} is {found}, which this version of upmass does not know")]
    Unknown {
        /// The field being read.
        what: &'static str,
        /// Where the field begins.
        offset: u64,
        /// The value in the input.
        found: u64,
    },
    /// A value that breaks a rule of the format.
    #[error("{what} at byte {offset}: expected {expected}, found {found}")]
    Invalid {
        /// The field being read.
        what: &'static str,
        /// Where the field begins.
        offset: u64,
        /// What the format asks for.
        expected: &'static str,
        /// What the input has.
        found: String,
    },
    /// The reader underneath failed.
    #[error("reading {what} failed at byte {offset}: {message}")]
    Read {
        /// The field being read.
        what: &'static str,
        /// How far the reader came.
        offset: u64,
        /// The kind of the I/O error.
        kind: io::ErrorKind,
        /// The words of the I/O error.
        message: String,
    },
}

impl From<FormatError> for io::Error {
    fn from(error: FormatError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}
