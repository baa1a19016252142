//! Digests as images write them.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256, Sha512};

/// The name of a blob: `sha256:` or `sha512:` and its digest in lower-case hexadecimal digits (OCI image
/// specification 1.1, "Digests").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OciDigest {
    text: String,
}

/// Computes a digest.
pub(super) enum Hasher {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl OciDigest {
    /// "sha256" or "sha512".
    pub fn algorithm(&self) -> &str {
        self.text.split(':').next().unwrap_or_default()
    }

    /// The digits.
    pub fn hex(&self) -> &str {
        self.text.split(':').nth(1).unwrap_or_default()
    }

    /// The first 12 digits, by which people know an image.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    pub(super) fn hasher(&self) -> Hasher {
        match self.algorithm() {
            "sha512" => Hasher::Sha512(Box::default()),
            _ => Hasher::Sha256(Sha256::new()),
        }
    }
}

impl FromStr for OciDigest {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (algorithm, hex) = text.split_once(':').ok_or(())?;
        let len = match algorithm {
            "sha256" => 64,
            "sha512" => 128,
            _ => return Err(()),
        };
        let is_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match hex.len() == len && is_hex {
            true => Ok(Self { text: text.to_owned() }),
            false => Err(()),
        }
    }
}

impl fmt::Display for OciDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(hasher) => hasher.update(bytes),
            Hasher::Sha512(hasher) => hasher.update(bytes),
        }
    }

    pub(super) fn finish(self) -> OciDigest {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let text = match self {
            Hasher::Sha256(hasher) => format!("sha256:{}", hex(&hasher.finalize())),
            Hasher::Sha512(hasher) => format!("sha512:{}", hex(&hasher.finalize())),
        };
        OciDigest { text }
    }
}

/// The SHA-256 of bytes in memory.
pub(super) fn sha256(bytes: &[u8]) -> OciDigest {
    let mut hasher = Hasher::Sha256(Sha256::new());
    hasher.update(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_algorithms_in_lower_case_are_digests() {
        let good = format!("sha256:{}", "0a".repeat(32));
        let digest: OciDigest = good.parse().unwrap();
        assert_eq!((digest.algorithm(), digest.short()), ("sha256", "0a0a0a0a0a0a"));
        assert!(format!("sha512:{}", "0".repeat(128)).parse::<OciDigest>().is_ok());
        let bad =
            ["", "sha256", "sha256:", "md5:00", &good[..70], &good.to_uppercase(), "sha256:../.."];
        for text in bad {
            assert!(text.parse::<OciDigest>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_digest_of_nothing_is_what_everybody_knows() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b"").to_string(), empty);
    }
}
