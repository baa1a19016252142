//! Names of content: one type per meaning, so that mixing them does not compile.

use std::fmt;
use std::str::FromStr;

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = 32;

            /// Takes the 32 bytes of a digest.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes of the digest.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first 12 hexadecimal digits, for people.
            pub fn short(&self) -> String {
                self.to_string()[..12].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdParseError;

            /// Reads 64 hexadecimal digits, lower case.
            fn from_str(text: &str) -> Result<Self, IdParseError> {
                parse_hex(text).map(Self).ok_or_else(|| IdParseError { found: text.to_owned() })
            }
        }
    };
}

id_type! {
    /// The content of one regular file, named by its fs-verity digest (SHA-256, blocks of
    /// 4 KiB, no salt).
    ObjectId
}
id_type! {
    /// A tree, named by the object id of its encoding.
    TreeId
}
id_type! {
    /// A release, named by the object id of its encoding.
    ReleaseId
}

impl From<TreeId> for ObjectId {
    fn from(id: TreeId) -> Self {
        Self(id.0)
    }
}

impl From<ReleaseId> for ObjectId {
    fn from(id: ReleaseId) -> Self {
        Self(id.0)
    }
}

impl From<ObjectId> for TreeId {
    /// States that an object is the encoding of a tree. Decoding it still checks that.
    fn from(id: ObjectId) -> Self {
        Self(id.0)
    }
}

impl From<ObjectId> for ReleaseId {
    /// States that an object is the encoding of a release. Decoding it still checks that.
    fn from(id: ObjectId) -> Self {
        Self(id.0)
    }
}

/// A text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 lower-case hexadecimal digits, found {found:?}")]
pub struct IdParseError {
    /// The text that was given.
    pub found: String,
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
