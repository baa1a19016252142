//! What can go wrong.

use std::io;

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, PullError>;

/// Why an image was not pulled. What has arrived and is right is kept for the next try.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// A name that no registry has.
    #[error(
        "{name:?} is no image of a registry: expected docker://HOST/NAME:TAG or \
         docker://HOST/NAME@sha256:…"
    )]
    Reference {
        /// As it was given.
        name: String,
    },
    /// Nothing came, or not all of it.
    #[error("{url}: {why}; try again: what has arrived is kept")]
    Network {
        /// What was asked for.
        url: String,
        /// Why it failed.
        why: String,
    },
    /// The registry says no.
    #[error("{url}: the registry answers {status}{}{}", said(text), advice(*status))]
    Status {
        /// What was asked for.
        url: String,
        /// The status of HTTP.
        status: u16,
        /// What the registry says beside it.
        text: String,
    },
    /// An answer that no registry gives.
    #[error("{place}: expected {expected}, found {found}")]
    Invalid {
        /// Which part of the image, or address.
        place: String,
        /// What would be right.
        expected: String,
        /// What there is.
        found: String,
    },
    /// Bytes that are not what they were asked for by.
    #[error(
        "{place}: expected {expected}, found {found}: the registry, or who is between, has other bytes"
    )]
    Damaged {
        /// Which part of the image.
        place: String,
        /// The digest or length.
        expected: String,
        /// As it is.
        found: String,
    },
    /// More than is taken.
    #[error("{place} has {found}: expected at most {limit}{hint}")]
    TooMuch {
        /// Which part of the image.
        place: String,
        /// What there is, with its unit.
        found: String,
        /// What is allowed, with its unit.
        limit: String,
        /// What to do, where something can be done.
        hint: &'static str,
    },
    /// Several images, or none, are for the machine.
    #[error(
        "{image}: expected one image{wanted}, found {found}: name one of their platforms with --platform"
    )]
    Platform {
        /// The image.
        image: String,
        /// What was asked for.
        wanted: String,
        /// What there is.
        found: String,
    },
    /// The directory cannot be written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Somebody else is at it.
    #[error("{path} is being written by another pull: wait for it, or give another directory")]
    Locked {
        /// The directory.
        path: String,
    },
}

impl PullError {
    /// Whether the image or what was asked for is at fault, so that trying again is useless.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Status { status, .. } => !is_temporary(*status),
            Self::Network { .. } | Self::Io { .. } | Self::Locked { .. } => false,
            _ => true,
        }
    }

    /// Whether trying again later may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Status { status, .. } => is_temporary(*status),
            Self::Network { .. } | Self::Locked { .. } => true,
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }

    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Io { action, path: path.display().to_string(), source: source.into() }
    }
}

fn is_temporary(status: u16) -> bool {
    status == 429 || status >= 500
}

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => ": name a file with a login with --auth-file",
        404 => ": there is no such image",
        429 => ": it has had too many questions; try again later",
        _ => "",
    }
}
