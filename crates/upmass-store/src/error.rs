//! What can go wrong with a store, by what a caller can do about it.

use upmass_disk::DiskError;
use upmass_format::{FormatError, ObjectId, ReleaseId};

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A store operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk failed or is full.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Reading what was opened failed.
    #[error("read {path}: {source}")]
    Read {
        /// The file in the store.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// There is no store here.
    #[error("{path} is not a store of upmass: it has no file \"version\" that says so")]
    NotAStore {
        /// The directory that was given.
        path: String,
    },
    /// The store was made by another version of upmass.
    #[error("{path} is a store of another version: expected {expected:?}, found {found:?}")]
    OtherVersion {
        /// The directory that was given.
        path: String,
        /// The version that this program writes.
        expected: &'static str,
        /// What the store says.
        found: String,
    },
    /// An object that something needs is not there.
    #[error("object {id} is missing from the store: run `upmass check`")]
    MissingObject {
        /// Its name.
        id: ObjectId,
    },
    /// A release that was asked for is not there.
    #[error("the store has no release {id}")]
    MissingRelease {
        /// Its id.
        id: ReleaseId,
    },
    /// A tree or release in the store cannot be decoded although its digest may be right.
    #[error("object {id} in the store is damaged: {source}: run `upmass check`")]
    Damaged {
        /// Its name.
        id: ObjectId,
        /// What is wrong.
        source: FormatError,
    },
    /// An object has another length than the tree says that needs it.
    #[error("object {id} is damaged: expected {expected} bytes, found {found}: run `upmass check`")]
    WrongLength {
        /// Its name.
        id: ObjectId,
        /// What the tree says.
        expected: u64,
        /// What the store has.
        found: u64,
    },
    /// Another process holds a lock that excludes this operation.
    #[error("the store is in use by another upmass: {what}; try again when it has ended")]
    Busy {
        /// What the other is doing.
        what: &'static str,
    },
    /// A release is being read, so that it cannot be removed now.
    #[error("release {id} is in use by another upmass; try again when it has ended")]
    InUse {
        /// Its id.
        id: ReleaseId,
    },
}

impl StoreError {
    /// Whether trying again later may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            StoreError::Busy { .. } | StoreError::InUse { .. } => true,
            StoreError::Disk(error) => error.is_full(),
            _ => false,
        }
    }
}
