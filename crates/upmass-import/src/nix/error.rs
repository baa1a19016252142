//! Why a Nix closure could not be imported, by what the user can do.

use std::io;
use std::path::{Path, PathBuf};

use upmass_format::nar::NarDigest;

/// Why a Nix closure could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum NixError {
    /// Nothing was asked for.
    #[error("no Nix store path is named: expected at least one, such as ./result")]
    NoRoots,
    /// A root does not exist.
    #[error("{root} does not exist{}", arrived(root, path))]
    NoSuchRoot {
        /// As it was given.
        root: PathBuf,
        /// Where its links led.
        path: PathBuf,
    },
    /// A root is something else.
    #[error(
        "{root} is not a Nix store path: expected /nix/store/<hash>-<name>, or a link to one{}",
        arrived(root, found)
    )]
    NotAStorePath {
        /// As it was given.
        root: PathBuf,
        /// Where its links led.
        found: PathBuf,
    },
    /// A root is a circle of links.
    #[error("{root} is a chain of more than 40 links: it may be a circle")]
    TooManyLinks {
        /// As it was given.
        root: PathBuf,
    },
    /// A root leads to a store path that is not in the store.
    #[error(
        "{root} leads to {path}, which does not exist: build it, or name the directory above \
         /nix/store as the store to read"
    )]
    MissingStorePath {
        /// As it was given.
        root: PathBuf,
        /// Where the store path should be on this machine.
        path: PathBuf,
    },
    /// A root is the plan of a build.
    #[error("{root} is the derivation {path}: name what it builds (`nix-store --realise`)")]
    Derivation {
        /// As it was given.
        root: PathBuf,
        /// The derivation.
        path: PathBuf,
    },
    /// A root is in a chroot store that was not named as one.
    #[error(
        "{root} is in the Nix store below {chroot}: name {chroot} as the store to read, or / if \
         it is to be installed at this very path"
    )]
    ChrootNotNamed {
        /// As it was given.
        root: PathBuf,
        /// The directory above `/nix/store`.
        chroot: PathBuf,
    },
    /// Two roots are in different store directories.
    #[error("{root} is in the store {found}, but the roots before it are in {expected}")]
    OtherStore {
        /// As it was given.
        root: PathBuf,
        /// The store directory of the first root.
        expected: PathBuf,
        /// Its own store directory.
        found: PathBuf,
    },
    /// A store path shares its hash with another.
    #[error("{path} cannot be scanned for references: another store path has the same hash")]
    NotListed {
        /// The store path.
        path: PathBuf,
    },
    /// A store path holds what no store path can hold.
    #[error(
        "{path} in the Nix store is {found}: expected only directories, files and links; the \
         store was changed without Nix (`nix-store --verify --check-contents`)"
    )]
    NotStoreContent {
        /// The store path and the path below it.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// A store path is not as it was registered.
    #[error(
        "{path} is not what Nix has registered: expected NAR hash sha256:{expected} of {} bytes, \
         found sha256:{found} of {} bytes: build or fetch it again (`nix-store --repair-path`)",
        expected.len, found.len
    )]
    Changed {
        /// The store path.
        path: PathBuf,
        /// What the database says.
        expected: NarDigest,
        /// What its content is.
        found: NarDigest,
    },
    /// Labels were asked for and nobody knows them.
    #[error("labels of Nix store paths were asked for, but {why}: take \"labels\" out")]
    NoLabels {
        /// Why the database has no answer.
        why: String,
    },
    /// Derivations were asked for and nobody knows which they are.
    #[error(
        "derivations of Nix store paths were asked for, but there is no Nix database, or no Nix to ask \
         it: take \"derivations\" out"
    )]
    NoDatabase,
    /// Derivations were asked for and there are none.
    #[error(
        "derivations of Nix store paths were asked for, but none here makes any of these {paths} paths: \
         keep them (`keep-derivations`), or take \"derivations\" out"
    )]
    NoDerivations {
        /// How many store paths there are.
        paths: usize,
    },
    /// Reading failed.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl NixError {
    /// The root that is at fault, as it was given.
    pub fn root(&self) -> Option<&Path> {
        match self {
            NixError::NoSuchRoot { root, .. }
            | NixError::NotAStorePath { root, .. }
            | NixError::TooManyLinks { root }
            | NixError::MissingStorePath { root, .. }
            | NixError::Derivation { root, .. }
            | NixError::ChrootNotNamed { root, .. }
            | NixError::OtherStore { root, .. } => Some(root),
            NixError::NoRoots
            | NixError::NotListed { .. }
            | NixError::NotStoreContent { .. }
            | NixError::Changed { .. }
            | NixError::NoLabels { .. }
            | NixError::NoDatabase
            | NixError::NoDerivations { .. }
            | NixError::Io { .. } => None,
        }
    }
}

fn arrived(given: &Path, path: &Path) -> String {
    if given == path { String::new() } else { format!(" (it leads to {})", path.display()) }
}
