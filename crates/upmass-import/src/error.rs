//! Why an import stopped, by whose fault it is.

use std::io;

use upmass_store::StoreError;

use crate::{ArchiveFault, NixError, OciError};

/// The result of an import.
pub type Result<T, E = ImportError> = std::result::Result<T, E>;

/// An import that failed. Nothing of it is in a release; what it had written is removed by the
/// next collection.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source could not be read: no permission, no such file, or its disk failed.
    #[error("cannot {action} {path}: {source}{}", advice(source))]
    Read {
        /// What was tried ("open", "list", …).
        action: &'static str,
        /// The path, for people.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A file of a directory changed while it was imported.
    #[error("{path} changed while it was imported: {what}; import again when nothing writes there")]
    Changed {
        /// The path, for people.
        path: String,
        /// What was seen.
        what: &'static str,
    },
    /// The store is inside the directory that should be imported into it.
    #[error("the store {store} is inside the directory to import: keep it elsewhere")]
    StoreInside {
        /// Where the store was met.
        store: String,
    },
    /// An entry has an owner or group that the mapping does not name.
    #[error("{path} has {kind} {id}, which the mapping of {option} does not name: add it there")]
    UnknownOwner {
        /// The path in the tree.
        path: String,
        /// "owner" or "group".
        kind: &'static str,
        /// The list that lacks it: "uids" or "gids".
        option: &'static str,
        /// The id.
        id: u32,
    },
    /// An entry that no tree can hold.
    #[error("{path} cannot be part of a tree: {what} is {found}, the limit is {limit}")]
    TooLarge {
        /// The path in the tree.
        path: String,
        /// What is too long or too many.
        what: &'static str,
        /// As found.
        found: u64,
        /// The largest that is allowed.
        limit: u64,
    },
    /// Two entries that exclude each other.
    #[error("{path} {why}")]
    Conflict {
        /// The path in the tree.
        path: String,
        /// What stands against it, as the end of the sentence.
        why: String,
    },
    /// An archive that is damaged, or holds what cannot be imported.
    #[error("{archive} at byte {offset}{}: {fault}", of_member(member))]
    Archive {
        /// The archive, for people.
        archive: String,
        /// Where in the uncompressed archive the entry begins.
        offset: u64,
        /// The path of the entry; empty where it has none.
        member: String,
        /// What is wrong with it.
        fault: ArchiveFault,
    },
    /// The roots of a Nix closure, or the Nix store, are at fault.
    #[error(transparent)]
    Nix(#[from] NixError),
    /// An OCI image is at fault.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// The store failed: its disk, its space, or its content.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ImportError {
    /// Whether the source is at fault, so that trying again with the same source is useless.
    pub fn is_bad_input(&self) -> bool {
        !matches!(
            self,
            ImportError::Read { .. }
                | ImportError::Changed { .. }
                | ImportError::Nix(NixError::Io { .. })
                | ImportError::Store(_)
        )
    }

    /// Whether trying again later may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            ImportError::Changed { .. } => true,
            ImportError::Store(error) => error.is_temporary(),
            _ => false,
        }
    }

    pub(crate) fn read(
        action: &'static str,
        path: impl ToString,
        source: impl Into<io::Error>,
    ) -> Self {
        ImportError::Read { action, path: path.to_string(), source: source.into() }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; import as root, or make it readable",
        _ => "",
    }
}

fn of_member(member: &str) -> String {
    if member.is_empty() { String::new() } else { format!(", entry {member}") }
}
