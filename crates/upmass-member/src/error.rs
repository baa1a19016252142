use std::io;

use thiserror::Error;
use upmass_format::FormatError;

use crate::Codec;

/// What goes wrong with a member.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The recipe is not one.
    #[error("recipe: {0}")]
    Recipe(#[from] FormatError),
    /// This build links no packer for the recipe.
    #[error("this build does not include {0}")]
    NotIncluded(Codec),
    /// The packed bytes are not what the recipe says.
    #[error("a member packed with {codec} is damaged: {why}")]
    Damaged {
        /// How the member is packed.
        codec: Codec,
        /// What the codec found.
        why: String,
    },
    /// The packer refuses its settings, or has not enough memory.
    #[error("packing with {codec} failed: {why}")]
    Packing {
        /// How the member is packed.
        codec: Codec,
        /// What the packer said.
        why: String,
    },
    /// A member with a parse was given to what has no space for it.
    #[error("a member with a parse needs space on a disk")]
    NeedsSpace,
    /// What came out, or what there was to read, has another length than was declared.
    #[error("{what} bytes of a member are not {declared} as declared")]
    Length {
        /// Packed or plain.
        what: &'static str,
        /// Bytes that there should be.
        declared: u64,
    },
    /// Reading or writing failed.
    #[error("{what}: {message}")]
    Io {
        /// What was read or written.
        what: &'static str,
        /// The kind of the failure.
        kind: io::ErrorKind,
        /// What the system says.
        message: String,
    },
}

/// The result of an operation on a member.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn io(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io { what, kind: error.kind(), message: error.to_string() }
    }
}
