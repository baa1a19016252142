//! What can go wrong.

use std::io;

use upmass_store::StoreError;

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, MinifyError>;

/// Why a system could not be minified. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum MinifyError {
    /// The source cannot be read.
    #[error("cannot {action} {path}: {source}{}", advice(source))]
    Read {
        /// What was tried, as in "cannot open".
        action: &'static str,
        /// Where.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A root that the system does not have.
    #[error(
        "the root {root:?} is neither a command, a unit nor a path of this system: expected a name \
         in /usr/bin or the like, a unit such as ssh.service, or an absolute path"
    )]
    NoSuchRoot {
        /// As it was given.
        root: String,
    },
    /// A pattern that cannot be read.
    #[error("the pattern {pattern:?} is wrong: expected {expected}")]
    Pattern {
        /// As it was given.
        pattern: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A path that the system does not have.
    #[error("there is no {path} in this system")]
    NoSuchPath {
        /// As it was given.
        path: String,
    },
    /// Nothing says what the system is for.
    #[error(
        "nothing says what this system is for: it has no init, no enabled unit and no command; \
         name what must work with --root or \"roots\", or use level safe"
    )]
    NoRoots,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MinifyError {
    /// Whether the system or what was asked for is at fault, so that trying again is useless.
    pub fn is_bad_input(&self) -> bool {
        !matches!(self, Self::Read { .. } | Self::Store(_))
    }

    pub(crate) fn read(action: &'static str, path: &[u8], source: impl Into<io::Error>) -> Self {
        let path = String::from_utf8_lossy(path).into_owned();
        Self::Read { action, path, source: source.into() }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; read it as root, or make it readable",
        _ => "",
    }
}
