//! Why an update is not applied, by whose fault it is.

use upmass_delta::DeltaError;
use upmass_disk::DiskError;
use upmass_format::{FormatError, ObjectId, ReleaseId};
use upmass_member::Codecs;
use upmass_sign::KeyId;
use upmass_store::StoreError;

/// The result of a step.
pub type Result<T> = std::result::Result<T, ApplyError>;

/// Why an update was not applied. Whatever it is, the releases that were in the store still are.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The file is no update, or not of a version that this program knows.
    #[error("the update is damaged or not an update: {0}")]
    Format(#[from] FormatError),
    /// A frame has other content than the header says.
    #[error(
        "the update is damaged: frame {frame} of {frames} (bytes {start} to {end} of the file) \
         has another digest than the signed header says: fetch it again"
    )]
    FrameDiffers {
        /// Which frame, from 1.
        frame: usize,
        /// How many there are.
        frames: usize,
        /// Where it starts in the file.
        start: u64,
        /// Where it ends in the file.
        end: u64,
    },
    /// The file is shorter or longer than its header says.
    #[error(
        "the update has {found} bytes where its header says {expected}: \
         it was cut short or something was added: fetch it again"
    )]
    Length {
        /// Bytes of the file.
        found: u64,
        /// Bytes that it should have.
        expected: u64,
    },
    /// The update was signed correctly, but its program cannot be executed.
    #[error("the update cannot be executed: {0}")]
    Program(String),
    /// What was rebuilt is not what the update promises, although its base is whole.
    #[error(
        "the update does not lead to the release that it names: expected {expected}, rebuilt \
         {found}: the update was built wrongly, build it again"
    )]
    OtherResult {
        /// The release that the header names.
        expected: ReleaseId,
        /// What came out.
        found: ReleaseId,
    },
    /// What was rebuilt is wrong because an object of the base is.
    #[error(
        "object {object} of the base release is damaged in the store, so that nothing can be \
         rebuilt from it: run `upmass check`, then install a full update"
    )]
    BaseDamaged {
        /// The damaged object.
        object: ObjectId,
    },
    /// Nobody signed it.
    #[error("the update is not signed; only signed updates are applied")]
    NotSigned,
    /// No trusted key signed it.
    #[error("the update is signed by {}, which is not among the trusted keys ({})", list(.signed_by), list(.trusted))]
    NotTrusted {
        /// The keys that the update names.
        signed_by: Vec<KeyId>,
        /// The keys that are trusted here.
        trusted: Vec<KeyId>,
    },
    /// A signature claims to be made by a trusted key and is not.
    #[error("the signature by {key} is wrong: the update was changed after it was signed")]
    BadSignature {
        /// The key it claims to be made by.
        key: KeyId,
    },
    /// The store has another release than the one the update starts from.
    #[error("the update starts from release {base}…, which this store does not have (it has {})", list(.found))]
    WrongBase {
        /// The first half of the id of the base.
        base: String,
        /// What the store has, shortened.
        found: Vec<String>,
    },
    /// The update is for another machine type.
    #[error("the update is for machine type {update:?}, this device is {device:?}")]
    WrongMachine {
        /// What the update is for.
        update: String,
        /// What this device is.
        device: String,
    },
    /// A compressed member cannot be unpacked or packed again.
    #[error("a compressed member of a file cannot be made: {0}")]
    Member(#[from] upmass_member::Error),
    /// The update needs a codec that is not there.
    #[error(
        "parts of files are packed with {missing}, which this device cannot (it has: {there}): \
         build with --device-codecs and what the device has"
    )]
    NoCodec {
        /// What it needs and is not there.
        missing: Codecs,
        /// What is there.
        there: Codecs,
    },
    /// The update needs more memory than allowed.
    #[error("the update needs {needed_kib} KiB of memory, the limit is {limit_kib} KiB")]
    NotEnoughMemory {
        /// What the header says.
        needed_kib: u64,
        /// What is allowed.
        limit_kib: u64,
    },
    /// The update needs more space than there is.
    #[error("the update needs {needed_kib} KiB of space, the store has {free_kib} KiB free")]
    NotEnoughSpace {
        /// What the header says, less what an earlier run has written.
        needed_kib: u64,
        /// What is free.
        free_kib: u64,
    },
    /// Reading the update file failed.
    #[error("reading the update failed: {0}")]
    Read(#[source] std::io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whose fault it is, and so whether trying again helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The update: trying again with the same file is useless.
    Update,
    /// The update is fine, but not for this device as it is now.
    NotForThisDevice,
    /// The store is damaged.
    Store,
    /// A disk or reader failed, or is full: trying again may help.
    Temporary,
}

impl ApplyError {
    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Format(FormatError::Read { .. }) | Self::Read(_) => Blame::Temporary,
            Self::Format(_)
            | Self::FrameDiffers { .. }
            | Self::Length { .. }
            | Self::Program(_)
            | Self::OtherResult { .. }
            | Self::NotSigned
            | Self::NotTrusted { .. }
            | Self::BadSignature { .. } => Blame::Update,
            Self::WrongBase { .. }
            | Self::WrongMachine { .. }
            | Self::NoCodec { .. }
            | Self::NotEnoughMemory { .. } => Blame::NotForThisDevice,
            Self::NotEnoughSpace { .. } => Blame::Temporary,
            Self::Member(upmass_member::Error::Io { .. }) => Blame::Temporary,
            Self::Member(upmass_member::Error::NotIncluded(_)) => Blame::NotForThisDevice,
            Self::Member(_) => Blame::Update,
            Self::BaseDamaged { .. } => Blame::Store,
            Self::Store(StoreError::MissingObject { .. } | StoreError::Damaged { .. }) => {
                Blame::Store
            }
            Self::Store(_) => Blame::Temporary,
        }
    }
}

impl From<DiskError> for ApplyError {
    fn from(error: DiskError) -> Self {
        Self::Store(error.into())
    }
}

impl From<DeltaError> for ApplyError {
    fn from(error: DeltaError) -> Self {
        match error {
            DeltaError::Format(error) => Self::Format(error),
            other => Self::Program(other.to_string()),
        }
    }
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    match items {
        [] => "none".to_owned(),
        items => items.iter().map(T::to_string).collect::<Vec<_>>().join(", "),
    }
}
