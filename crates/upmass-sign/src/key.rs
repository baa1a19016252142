//! Public keys, their ids, signatures, and the proof that one was checked.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::VerifyingKey;

use crate::error::Error;

/// Names a key: eight bytes that were random when the key was made, and are stored beside it.
///
/// It helps to find the right key and proves nothing: anyone can make a key with a chosen id.
/// The text form is minisign's, the little-endian number in upper-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// Makes an id of the bytes as they are stored.
    pub const fn new(bytes: [u8; 8]) -> Self {
        KeyId(bytes)
    }

    /// Returns the bytes as they are stored.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // minisign 0.11 leaves out leading zeros, newer ones do not.
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = Error;

    /// Reads the text form, in either case and with or without leading zeros.
    fn from_str(text: &str) -> Result<Self, Error> {
        // `from_str_radix` alone would let a sign pass.
        if text.len() > 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::KeyIdText);
        }
        u64::from_str_radix(text, 16)
            .map(|number| KeyId(number.to_le_bytes()))
            .map_err(|_| Error::KeyIdText)
    }
}

/// A key that can verify signatures. A value of this type is a sound point of the curve.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    id: KeyId,
    key: VerifyingKey,
}

impl PublicKey {
    /// Makes a public key of its 32 bytes (RFC 8032, section 5.1.5).
    ///
    /// # Errors
    ///
    /// [`Error::UnusableKey`] if the bytes are no point, not its only canonical encoding, or a point
    /// of small order.
    pub fn new(id: KeyId, bytes: &[u8; 32]) -> Result<Self, Error> {
        let unusable = Error::UnusableKey { id };
        let Ok(key) = VerifyingKey::from_bytes(bytes) else {
            return Err(unusable);
        };
        // `from_bytes` follows ZIP 215 and keeps the bytes of a second encoding as they came.
        if key.is_weak() || key.to_edwards().compress().as_bytes() != bytes {
            return Err(unusable);
        }
        Ok(PublicKey { id, key })
    }

    /// Returns the key's id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Returns the 32 bytes of the key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Checks that this key signed exactly `message`.
    ///
    /// # Errors
    ///
    /// [`Error::BadSignature`] if it did not, or if the signature is not in its only strict form.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<Verified, Error> {
        let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
        match self.key.verify_strict(message, &signature) {
            Ok(()) => Ok(Verified { by: self.id }),
            Err(_) => Err(Error::BadSignature { by: self.id }),
        }
    }

    /// The public half of a secret key.
    #[cfg(feature = "secret-keys")]
    pub(crate) fn of_secret(id: KeyId, key: VerifyingKey) -> Self {
        PublicKey { id, key }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text form tells all, and can be passed to `minisign -P`.
        write!(f, "PublicKey({} {self})", self.id)
    }
}

/// An Ed25519 signature (RFC 8032, section 5.1.6); any 64 bytes, until it is verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Makes a signature of its bytes.
    pub const fn new(bytes: [u8; 64]) -> Self {
        Signature(bytes)
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(")?;
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// Proof that a signature was verified. Only verification makes one, so a function that takes it
/// cannot be called before.
#[must_use = "keep the proof, and ask for it where the verified bytes are used"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    by: KeyId,
}

impl Verified {
    /// Returns the id of the key whose signature it was.
    pub fn by(&self) -> KeyId {
        self.by
    }
}
