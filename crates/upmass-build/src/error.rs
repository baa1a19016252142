//! Why an update cannot be built.

use upmass_store::StoreError;

/// The result of building.
pub type Result<T> = std::result::Result<T, BuildError>;

/// Why an update cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The store failed, or lacks something.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Reading an object failed.
    #[error("reading object {id} failed: {source}")]
    Read {
        /// Its name.
        id: upmass_format::ObjectId,
        /// Why.
        source: std::io::Error,
    },
    /// Reading an object or its base failed while it was encoded.
    #[error("encoding object {id} failed: {message}")]
    Encode {
        /// Its name.
        id: upmass_format::ObjectId,
        /// Why.
        message: String,
    },
    /// The releases are for different machines.
    #[error("the old release is for machine {old:?}, the new one for {new:?}")]
    OtherMachine {
        /// The machine type of the old release.
        old: String,
        /// The machine type of the new one.
        new: String,
    },
    /// Both releases are the same.
    #[error("both are release {0}: there is nothing to update")]
    SameRelease(upmass_format::ReleaseId),
    /// The update would have more frames than its header can list.
    #[error("the update would be {bytes} bytes long, the format allows {limit}")]
    TooLong {
        /// How long it would be.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Names of the old release cannot become those of the new one.
    #[error("names of the old release cannot become those of the new one: {0}")]
    Names(#[from] upmass_format::FormatError),
    /// Names were to be computed by the device, which cannot.
    #[error(
        "names cannot be derived: {why}: import it with `derivations = true`, or take --names sent"
    )]
    NotDerived {
        /// What is missing.
        why: &'static str,
    },
    /// The derivations of a release are not what they should be.
    #[error("the derivations in object {id} cannot be used: {source}: take --names sent")]
    Derivations {
        /// Its name.
        id: upmass_format::ObjectId,
        /// Why.
        source: upmass_format::FormatError,
    },
    /// A release in the store cannot be encoded again.
    #[error("release {id} is not valid: {source}")]
    Release {
        /// Its id.
        id: upmass_format::ReleaseId,
        /// Why.
        source: std::io::Error,
    },
}
