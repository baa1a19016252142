//! Why a system could not be started.

use std::path::{Path, PathBuf};

use upmass_boot::DiscoverError;

/// The result of a step.
pub(crate) type Result<T> = std::result::Result<T, InitError>;

/// Why a system could not be started: one sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitError {
    #[error("{action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("mount {what} at {}: {source}", at.display())]
    Mount { what: String, at: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    #[error("{why}; waited {seconds} s (upmass.wait= on the command line)")]
    TooLate { why: String, seconds: u64 },
    #[error("the kernel shows no node of the {0} partition")]
    NoNode(&'static str),
    #[error("the system partition has no system {name:?} of release {release}")]
    NoSystem { name: String, release: String },
    #[error("the system has no init program: none of {0} is in it")]
    NoInit(String),
    #[error("upmass.{key}={found} on the command line: expected {expected}")]
    Option { key: &'static str, found: String, expected: &'static str },
    #[error("{0}")]
    Modules(String),
}

/// Puts what was tried and where to an error of the system.
pub(crate) trait Context<T> {
    fn on(self, action: &'static str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> Context<T> for std::result::Result<T, E> {
    fn on(self, action: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|source| InitError::Io {
            action,
            path: path.as_ref().to_owned(),
            source: source.into(),
        })
    }
}
