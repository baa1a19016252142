//! What can go wrong with a checkout, by what a caller can do about it.

use std::io;

use rustix::io::Errno;
use upmass_format::nix::LABEL_DERIVER;
use upmass_format::tree::Device;
use upmass_format::{ObjectId, ReleaseId};
use upmass_store::{NarError, StoreError};

/// The result of a checkout.
pub type Result<T> = std::result::Result<T, CheckoutError>;

/// A checkout that failed. Nothing has the name of the target then, or still the empty
/// directory; only [`CheckoutError::NotDurable`] comes later than that.
///
/// Paths that begin with `/` are those of the running system, unless they are the target's.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// The release cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tree of a component cannot be read.
    #[error("component {component}: {source}")]
    Tree {
        /// Its name.
        component: String,
        /// Why.
        source: Box<StoreError>,
    },
    /// The content of a file cannot be read.
    #[error("content of {path}: {source}")]
    Content {
        /// The file.
        path: String,
        /// Why.
        source: Box<StoreError>,
    },
    /// The store has another length for the content of a file than the tree says.
    #[error(
        "content of {path}: object {object} is damaged: expected {expected} bytes, found {found}: \
         run `upmass check`"
    )]
    WrongLength {
        /// The file.
        path: String,
        /// Its content.
        object: ObjectId,
        /// What the tree says.
        expected: u64,
        /// What the store has.
        found: u64,
    },
    /// The release has no such system.
    #[error("release {release} has no system {name:?}; it has {known}")]
    UnknownSystem {
        /// The release.
        release: ReleaseId,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The release has no such component.
    #[error("release {release} has no component {name:?}")]
    UnknownComponent {
        /// The release.
        release: ReleaseId,
        /// What was asked for.
        name: String,
    },
    /// Nix was to be told of store paths, and there are none.
    #[error("no component of this system is a Nix store path: leave out --nix")]
    NoNixStore,
    /// Nix has one store directory.
    #[error("the system has Nix store paths in {first} and in {second}: Nix has one of them")]
    SeveralNixStores {
        /// One store directory.
        first: String,
        /// Another one.
        second: String,
    },
    /// A component that is named and installed like a store path holds what none can hold.
    #[error("component {component} is no Nix store path: {source}")]
    NotAStorePath {
        /// Its name.
        component: String,
        /// Why.
        source: NarError,
    },
    /// The label of a component names no derivation.
    #[error(
        "component {component}: its label {LABEL_DERIVER} is {deriver:?}: expected <hash>-<name>.drv"
    )]
    BadDeriver {
        /// Its name.
        component: String,
        /// What the label says.
        deriver: String,
    },
    /// A component has a file where the registration goes.
    #[error("a component has {path} itself: leave out --nix")]
    RegistrationExists {
        /// The file or directory.
        path: String,
    },
    /// The target holds something.
    #[error("{path} exists already: choose a directory that does not exist, or is empty")]
    TargetExists {
        /// The target.
        path: String,
    },
    /// The target is an empty file system of its own.
    #[error("{path} is a mount point, which cannot be replaced: choose a directory below it")]
    TargetIsMount {
        /// The target.
        path: String,
    },
    /// The target is `/`, or ends with `..`.
    #[error("{path:?} does not end with the name of a directory")]
    TargetHasNoName {
        /// The target.
        path: String,
    },
    /// Two components have the same path, and it is not a directory in both.
    #[error("the components {first} and {second} both have {path}")]
    Conflict {
        /// The path.
        path: String,
        /// Who had it first.
        first: String,
        /// Who has it as well.
        second: String,
    },
    /// A component is installed below something that is no directory.
    #[error(
        "component {component} is installed at {install}, but {path} is not a directory in \
         component {other}"
    )]
    NotADirectory {
        /// Who is installed there.
        component: String,
        /// Where.
        install: String,
        /// What is in the way.
        path: String,
        /// Who has that.
        other: String,
    },
    /// The file system has this name already although no component does.
    #[error(
        "{path}: the file system takes this name for that of another entry: choose one that \
         tells upper from lower case"
    )]
    SameName {
        /// The path.
        path: String,
    },
    /// A hardlink leads to what is no entry, or a directory, or is behind a symlink.
    #[error("component {component}: {path} is a hardlink to {target}, which is not a file there")]
    BrokenHardlink {
        /// Whose tree is at fault.
        component: String,
        /// The hardlink.
        path: String,
        /// Where it leads, from the root of the tree.
        target: String,
    },
    /// An owner that the kernel has not: 4294967295 means "as it is".
    #[error("{path} belongs to {uid}:{gid}, which no file on Linux can")]
    BadOwner {
        /// The entry.
        path: String,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A device number that the kernel has not.
    #[error(
        "{path} is the device {}:{}, beyond what Linux has", device.major, device.minor
    )]
    BadDevice {
        /// The entry.
        path: String,
        /// Its number.
        device: Device,
    },
    /// Only root may do that.
    #[error("{action} {path}: not permitted: run as root, or do not keep owners")]
    NotPermitted {
        /// What was tried.
        action: &'static str,
        /// The entry.
        path: String,
    },
    /// The file system did not take an extended attribute.
    #[error("set the attribute {name} of {path}: {source}")]
    Attribute {
        /// The name of the attribute.
        name: String,
        /// The entry.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The directory is whole and has its name, but may lose it in a power cut.
    #[error("{path} is complete, but its directory could not be synced: {source}")]
    NotDurable {
        /// The target.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file system failed or is full.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl CheckoutError {
    /// Whether trying again later may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            CheckoutError::Store(error) => error.is_temporary(),
            CheckoutError::Tree { source, .. } | CheckoutError::Content { source, .. } => {
                source.is_temporary()
            }
            CheckoutError::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}

/// Says what failed, and on what.
pub(crate) trait Context<T> {
    /// `path` is only asked for when it failed.
    fn on(self, action: &'static str, path: &dyn Fn() -> String) -> Result<T>;
}

impl<T> Context<T> for rustix::io::Result<T> {
    fn on(self, action: &'static str, path: &dyn Fn() -> String) -> Result<T> {
        self.map_err(|errno| io_error(action, path(), errno))
    }
}

pub(crate) fn io_error(action: &'static str, path: String, errno: Errno) -> CheckoutError {
    let source = errno.into();
    CheckoutError::Io { action, path, source }
}
