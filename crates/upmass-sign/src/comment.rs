//! One-line comments for the files that we write.

use std::fmt;

use crate::error::Error;
use crate::lines::{MAX_UNTRUSTED_LINE, UNTRUSTED_PREFIX, is_printable};

/// A comment that every minisign accepts: one line of at most [`Comment::MAX_LEN`] bytes, without
/// control characters but tabs.
///
/// In a signature file it may be *trusted*, that is covered by the signature, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment(String);

impl Comment {
    /// The longest comment, in bytes. (A trusted comment in a file that is read may be longer.)
    pub const MAX_LEN: usize = MAX_UNTRUSTED_LINE - UNTRUSTED_PREFIX.len();

    /// Makes a comment of `text`.
    ///
    /// # Errors
    ///
    /// [`Error::CommentText`] if minisign would refuse a file with it.
    pub fn new(text: &str) -> Result<Self, Error> {
        if text.len() > Self::MAX_LEN || !is_printable(text) {
            return Err(Error::CommentText { max: Self::MAX_LEN, len: text.len() });
        }
        Ok(Comment(text.to_owned()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Comment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
