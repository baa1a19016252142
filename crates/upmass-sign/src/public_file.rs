//! Public keys as files and as one line of text (`spec/minisign-files.md`, "Public key").

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, FileKind};
use crate::key::{KeyId, PublicKey};
use crate::layout::{field, set_field};
use crate::lines::{Lines, UNTRUSTED_PREFIX, base64_len, encode};

impl PublicKey {
    /// Reads a public key file: a comment that nobody vouches for, and a line of base64.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`], [`Error::Unsupported`] or [`Error::UnusableKey`].
    pub fn from_file(file: &[u8]) -> Result<Self, Error> {
        let mut lines = Lines::new(FileKind::PublicKey, file);
        lines.untrusted_comment()?;
        Self::from_line(lines)
    }

    /// Returns a public key file, with the comment that minisign writes.
    pub fn to_file(&self) -> String {
        format!("{UNTRUSTED_PREFIX}minisign public key {}\n{self}\n", self.id())
    }

    fn from_line(mut lines: Lines<'_>) -> Result<Self, Error> {
        let mut bytes = [0; at::END];
        lines.base64(&mut bytes)?;
        lines.end()?;
        let algorithm: &[u8; 2] = field::<{ at::ALGORITHM }, _, _>(&bytes);
        if algorithm != ED25519 {
            return Err(Error::Unsupported {
                file: FileKind::PublicKey,
                what: "the algorithm",
                expected: "\"Ed\" (Ed25519)",
                found: *algorithm,
            });
        }
        let id = KeyId::new(*field::<{ at::KEY_ID }, _, _>(&bytes));
        PublicKey::new(id, field::<{ at::PUBLIC_KEY }, _, _>(&bytes))
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    /// Reads the second line of a public key file alone, as `minisign -P` takes it.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::from_line(Lines::new(FileKind::PublicKey, text.as_bytes()))
    }
}

impl fmt::Display for PublicKey {
    /// Writes the second line of a public key file alone, as `minisign -P` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; at::END];
        set_field::<{ at::ALGORITHM }, _, _>(&mut bytes, ED25519);
        set_field::<{ at::KEY_ID }, _, _>(&mut bytes, self.id().as_bytes());
        set_field::<{ at::PUBLIC_KEY }, _, _>(&mut bytes, self.as_bytes());
        f.write_str(encode(&bytes, &mut [0; base64_len(at::END)]))
    }
}

/// Ed25519, in keys and in legacy signatures.
pub(crate) const ED25519: &[u8; 2] = b"Ed";

/// Offsets in the decoded second line.
mod at {
    pub(super) const ALGORITHM: usize = 0;
    pub(super) const KEY_ID: usize = 2;
    pub(super) const PUBLIC_KEY: usize = 10;
    pub(super) const END: usize = 42;
}
