//! What can be wrong with a key, a signature or their files.
//!
//! No variant carries text from a file: a secret key that was put on the wrong line must not end up in
//! a log. Lengths, line numbers and the two letters of an algorithm have to do.

use std::fmt;

use crate::key::KeyId;

/// A reason why a key or signature cannot be used; each is a situation that a caller can act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file has not the lines that its kind has. Probably it is another file, or was cut.
    #[error("line {line} of the {file} should be {expected}, but {found}")]
    Shape {
        /// What the file was read as.
        file: FileKind,
        /// The line's number, from 1.
        line: u32,
        /// What belongs on this line.
        expected: Expected,
        /// What is there.
        found: Found,
    },

    /// The file is well formed, but made for an algorithm that we do not know.
    #[error("the {file} uses {what} \"{}\", but only {expected} is supported", .found.escape_ascii())]
    Unsupported {
        /// What the file was read as.
        file: FileKind,
        /// What the algorithm is for.
        what: &'static str,
        /// The algorithms that we know.
        expected: &'static str,
        /// The algorithm in the file.
        found: [u8; 2],
    },

    /// The 32 bytes are no Ed25519 public key that can be trusted: no point of the curve, a point
    /// in a second encoding, or one of small order, which accepts signatures that nobody made.
    #[error("the public key {id} is not a usable Ed25519 key; get the file again from its owner")]
    UnusableKey {
        /// The id that stands beside the key.
        id: KeyId,
    },

    /// The signature was made by another key than the one it is checked with.
    #[error("the signature is by key {found}, but was checked with key {expected}")]
    OtherKey {
        /// The key that the signature was checked with.
        expected: KeyId,
        /// The key that the signature names.
        found: KeyId,
    },

    /// The message is not what the key signed, or the signature is damaged or forged.
    #[error("the signature does not match: key {by} did not sign these bytes")]
    BadSignature {
        /// The key that the signature was checked with.
        by: KeyId,
    },

    /// The file's signature is good, but its trusted comment is not the one that was signed.
    #[error("the trusted comment was changed: key {by} did not sign it")]
    BadComment {
        /// The key that the signature was checked with.
        by: KeyId,
    },

    /// A legacy signature covers the file itself, so the file's digest is not enough to check it.
    #[error("the signature is of minisign's legacy kind, which needs the whole file in memory")]
    NeedsWholeFile,

    /// The text is no key id.
    #[error("a key id is 1 to 16 hexadecimal digits")]
    KeyIdText,

    /// The text cannot be a comment, because minisign would refuse the file.
    #[error(
        "a comment is at most {max} bytes of one line without control characters but tabs; \
         this one has {len} bytes"
    )]
    CommentText {
        /// The longest comment, in bytes.
        max: usize,
        /// The length of the text, in bytes.
        len: usize,
    },

    /// The password cannot be typed into minisign, so the key could never be unlocked with it.
    #[error(
        "a password is 1 to {max} bytes without line ends and NUL; this one has {len} bytes \
         (does it come from a file, with its last newline?)"
    )]
    PasswordText {
        /// The longest password, in bytes.
        max: usize,
        /// The length of the password, in bytes.
        len: usize,
    },

    /// The password does not open the secret key; or the file is damaged, which looks the same.
    #[error("the password does not open this secret key (or its file is damaged)")]
    Password,

    /// The file of an unlocked secret key is damaged.
    #[error("the secret key file is damaged: its {what} do not agree; restore it from a backup")]
    DamagedSecretKey {
        /// The two things that contradict each other.
        what: &'static str,
    },

    /// Opening the key would take more memory or time than minisign ever asks for.
    #[error(
        "the secret key's password hashing is set to {found_operations} operations and \
         {found_memory} bytes, more than the allowed {max_operations} and {max_memory}"
    )]
    KdfCost {
        /// scrypt's operations limit, as in the file.
        found_operations: u64,
        /// scrypt's memory limit in bytes, as in the file.
        found_memory: u64,
        /// The greatest operations limit that we accept.
        max_operations: u64,
        /// The greatest memory limit that we accept, in bytes.
        max_memory: u64,
    },
}

/// A kind of file that this crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A public key: its file, or its one-line text.
    PublicKey,
    /// A secret key, locked or not.
    SecretKey,
    /// A detached signature (`.minisig`).
    Signature,
}

/// What belongs on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A comment that begins with these words.
    Comment {
        /// The words, with the space after them.
        prefix: &'static str,
        /// The longest line that is allowed, in bytes without its end.
        max: usize,
    },
    /// Base64 of exactly this many characters, padding included.
    Base64 {
        /// The number of characters.
        characters: usize,
    },
    /// Nothing: the line before was the last.
    End,
}

/// What is on a line instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The file ends before this line.
    Nothing,
    /// The line has this many bytes.
    Bytes(usize),
    /// The line begins with other words.
    OtherWords,
    /// The length is right, but some character is not base64, or the last bits are not zero.
    NotBase64,
    /// The comment has a control character in it, or is not UTF-8.
    NotText,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileKind::PublicKey => "public key",
            FileKind::SecretKey => "secret key",
            FileKind::Signature => "signature",
        })
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::Comment { prefix, max } => {
                write!(f, "\"{prefix}…\" of at most {max} bytes")
            }
            Expected::Base64 { characters } => write!(f, "{characters} characters of base64"),
            Expected::End => f.write_str("absent"),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::Nothing => f.write_str("the file ends before it"),
            Found::Bytes(len) => write!(f, "has {len} bytes"),
            Found::OtherWords => f.write_str("begins with other words"),
            Found::NotBase64 => f.write_str("is not valid base64"),
            Found::NotText => f.write_str("is not printable UTF-8 text"),
        }
    }
}
