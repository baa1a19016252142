//! What can go wrong when an image is made.

use std::path::Path;

use upmass_disk::fat::PlanError;
use upmass_disk::gpt::LayoutError;
use upmass_disk::{DiskError, SlotError};
use upmass_store::StoreError;

/// The result of making an image.
pub type Result<T> = std::result::Result<T, ImageError>;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The store failed, or lacks something.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or the disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A boot slot could not be written.
    #[error(transparent)]
    Slot(SlotError),
    /// The description of the disk is wrong.
    #[error("{path}: {why}")]
    Description {
        /// The file, and the line if there is one.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The boot files do not fit into a slot, or have names that FAT does not take.
    #[error("the boot slots: {0}")]
    Fat(#[from] PlanError),
    /// The partitions do not fit.
    #[error("{0}")]
    Layout(#[from] LayoutError),
    /// The system partition is too short.
    #[error("the system partition has {available} bytes, and the release needs {needed}")]
    SystemTooSmall {
        /// Its length.
        available: u64,
        /// What the release takes, with room for the file system itself.
        needed: u64,
    },
    /// A component is not as it must be for an image.
    #[error("system {system:?}: {why}")]
    System {
        /// The system.
        system: String,
        /// What is wrong.
        why: String,
    },
    /// A file system cannot have what a system has.
    #[error("/{path} of the system partition {why}")]
    Entry {
        /// Its path on the system partition.
        path: String,
        /// Why it cannot be made.
        why: String,
    },
    /// There is no boot loader.
    #[error(
        "no boot loader: no system has /usr/lib/systemd/boot/efi/systemd-boot*.efi; put the package \
         systemd-boot-efi into one, or give its path with --loader"
    )]
    NoLoader,
    /// The loader is something else.
    #[error("{path} is no boot loader: {why}")]
    Loader {
        /// The path that was given, or the path in a system.
        path: String,
        /// Why not.
        why: &'static str,
    },
    /// A tool is not there or failed.
    #[error("{program} {what}")]
    Tool {
        /// Its name.
        program: &'static str,
        /// What happened.
        what: String,
    },
    /// Something on the device is mounted.
    #[error(
        "{path} is in use: something on it is mounted, or another program has it; nothing was written"
    )]
    InUse {
        /// The device.
        path: String,
    },
    /// A file could not be read or written.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The path.
        path: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl ImageError {
    /// Whether what was given is wrong, so that trying again is useless.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Description { .. }
            | Self::Fat(_)
            | Self::Layout(_)
            | Self::SystemTooSmall { .. }
            | Self::System { .. }
            | Self::Entry { .. }
            | Self::NoLoader
            | Self::Loader { .. }
            | Self::InUse { .. } => true,
            Self::Store(_)
            | Self::Disk(_)
            | Self::Slot(_)
            | Self::Tool { .. }
            | Self::Io { .. } => false,
        }
    }

    /// Whether trying again may help.
    pub fn is_temporary(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::Store(error) => error.is_temporary(),
            Self::Disk(error) | Self::Slot(SlotError::Disk(error)) => error.is_full(),
            Self::Io { source, .. } => matches!(source.kind(), StorageFull | QuotaExceeded),
            _ => false,
        }
    }
}

impl From<SlotError> for ImageError {
    fn from(error: SlotError) -> Self {
        Self::Slot(error)
    }
}

/// Puts path and action to an I/O error.
pub(crate) trait Context<T> {
    fn on(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> Context<T> for std::result::Result<T, E> {
    fn on(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|error| ImageError::Io {
            action,
            path: path.display().to_string(),
            source: error.into(),
        })
    }
}
