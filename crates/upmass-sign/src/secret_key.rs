//! Secret keys in memory.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey};
use zeroize::ZeroizeOnDrop;

use crate::key::{KeyId, PublicKey, Signature};

/// A key that can sign. It cannot be printed or copied, and its memory is cleared when it is dropped
/// (but not what the compiler may have left behind when it moved the value).
#[derive(PartialEq, Eq)]
pub struct SecretKey {
    id: KeyId,
    key: SigningKey,
}

impl SecretKey {
    /// Makes a key of a seed (RFC 8032, section 5.1.5) and an id, both of which the caller has drawn
    /// at random. The caller clears its own copy of the seed.
    pub fn from_seed(id: KeyId, seed: &[u8; 32]) -> Self {
        Self::new(id, SigningKey::from_bytes(seed))
    }

    /// Returns the key's id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Returns the public half, which verifies what this key signs.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::of_secret(self.id, self.key.verifying_key())
    }

    /// Signs `message`, always with the same result (RFC 8032, section 5.1.6).
    ///
    /// The message has to begin with bytes that say what kind of message it is; see the crate's
    /// documentation.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::new(self.key.sign(message).to_bytes())
    }

    pub(crate) fn new(id: KeyId, key: SigningKey) -> Self {
        SecretKey { id, key }
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({} …)", self.id)
    }
}

impl ZeroizeOnDrop for SecretKey {}

/// What `SecretKey` claims rests on its field, which clears itself with dalek's feature `zeroize`.
const fn clears_itself<T: ZeroizeOnDrop>() {}
const _: () = clears_itself::<SigningKey>();
