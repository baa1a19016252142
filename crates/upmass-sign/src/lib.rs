//! Ed25519 keys and signatures of Upmass, and the files that hold them.
//!
//! This crate turns bytes into keys, signatures and proofs, and back. It never opens a file, asks for
//! a password, reads a clock or makes randomness: the caller passes all of these in. It knows nothing
//! of updates; what exactly is signed is up to its users.
//!
//! Read first: [`PublicKey`] (what a device has), [`Verified`] (the proof that its `verify` returns,
//! and which a step that needs verified bytes should demand) and, on a host, `SecretKey`.
//!
//! # Our key files are minisign's
//!
//! An Upmass key file *is* a [minisign](https://jedisct1.github.io/minisign/) key file. A format of our
//! own would carry the same things (an id, a key, a password's cost, a checksum), and would be one more
//! thing to learn, to specify and to get wrong. So keys can be made, kept and locked with
//! `minisign -G` and `minisign -C`, or with its other implementations; one key signs updates and, for
//! people, ordinary files next to them; and it has one [`KeyId`] everywhere. The layouts are in
//! `spec/minisign-files.md`.
//!
//! What this costs: two lines and a comment where 32 bytes would do, in a file that is never sent.
//! An update carries only a [`KeyId`] and a [`Signature`], 72 bytes.
//!
//! # One key, several kinds of message
//!
//! Ed25519 does not say what a message is for. The same key may sign the header of an update, and,
//! through minisign, a file (64 bytes of BLAKE2b-512, or in the legacy kind the file itself) and a
//! trusted comment (64 bytes of signature, then text). To be no valid message of another kind, what
//! `SecretKey::sign` gets has to begin with fixed bytes that name its kind, such as a file's magic,
//! and to be longer than 64 bytes.
//!
//! # What is stricter than minisign
//!
//! Verification is [`verify_strict`](ed25519_dalek::VerifyingKey::verify_strict): it refuses keys and
//! signatures of small order and second encodings of the same value, so a signature has one form.
//! Base64 has one form too, and nothing may follow the last line of a file. What `minisign` writes
//! passes all of this.
//!
//! # Features
//!
//! Without features the crate reads public keys and verifies signatures over bytes in memory: what a
//! device needs. `minisig` adds the verification of `.minisig` files (and the `blake2` crate).
//! `secret-keys` adds all that only a host does: making and storing secret keys, and signing (and the
//! `scrypt` crate). `SecretKey` and its files do not exist without it.

mod error;
mod key;
mod layout;
mod lines;
mod public_file;

#[cfg(feature = "minisig")]
mod comment;
#[cfg(feature = "minisig")]
mod minisig;

#[cfg(feature = "secret-keys")]
mod kdf;
#[cfg(feature = "secret-keys")]
mod secret_file;
#[cfg(feature = "secret-keys")]
mod secret_key;

pub use error::{Error, Expected, FileKind, Found};
pub use key::{KeyId, PublicKey, Signature, Verified};
pub use lines::MAX_FILE_LEN;

#[cfg(feature = "minisig")]
pub use comment::Comment;
#[cfg(feature = "minisig")]
pub use minisig::{FileDigest, FileHasher, Minisig, VerifiedFile};

#[cfg(feature = "secret-keys")]
pub use kdf::KdfCost;
#[cfg(feature = "secret-keys")]
pub use secret_file::{LockedSecretKey, SecretKeyFile};
#[cfg(feature = "secret-keys")]
pub use secret_key::SecretKey;
