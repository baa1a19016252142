//! Secret keys as files, locked with a password or not (`spec/minisign-files.md`, "Secret key").

use std::fmt;

use blake2::{Blake2b256, Digest};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::comment::Comment;
use crate::error::{Error, FileKind};
use crate::kdf::KdfCost;
use crate::key::KeyId;
use crate::layout::{field, set_field};
use crate::lines::{Lines, UNTRUSTED_PREFIX, base64_len, encode};
use crate::public_file::ED25519;
use crate::secret_key::SecretKey;

/// A secret key file that was read.
#[derive(Debug)]
pub enum SecretKeyFile {
    /// The key was stored without a password, and is ready.
    Unlocked(SecretKey),
    /// The key was stored with a password, for which the caller has to ask.
    Locked(LockedSecretKey),
}

/// A secret key that needs its password. Not even its id can be read without.
pub struct LockedSecretKey {
    salt: [u8; 32],
    cost: KdfCost,
    sealed: [u8; sealed::END],
}

impl SecretKeyFile {
    /// Reads a secret key file: a comment that nobody vouches for, and a line of base64.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`], [`Error::Unsupported`], [`Error::KdfCost`] or [`Error::DamagedSecretKey`].
    pub fn from_file(file: &[u8]) -> Result<Self, Error> {
        let mut lines = Lines::new(FileKind::SecretKey, file);
        lines.untrusted_comment()?;
        let mut bytes = Zeroizing::new([0; at::END]);
        lines.base64(&mut bytes)?;
        lines.end()?;

        check_supported(
            "the algorithm",
            "\"Ed\" (Ed25519)",
            field::<{ at::ALGORITHM }, _, _>(&bytes),
            &[ED25519],
        )?;
        check_supported(
            "the checksum",
            "\"B2\" (BLAKE2b-256)",
            field::<{ at::CHECKSUM_ALGORITHM }, _, _>(&bytes),
            &[BLAKE2B],
        )?;
        let kdf: &[u8; 2] = field::<{ at::KDF }, _, _>(&bytes);
        check_supported("the password hash", "\"Sc\" (scrypt) or none", kdf, &[SCRYPT, NO_KDF])?;
        let sealed: &[u8; sealed::END] = field::<{ at::SEALED }, _, _>(&bytes);
        if kdf == NO_KDF {
            // Salt and cost mean nothing now; `minisign -C -W` leaves those of the last password.
            return read_unlocked(sealed).map(SecretKeyFile::Unlocked);
        }
        let operations = u64::from_le_bytes(*field::<{ at::OPERATIONS }, _, _>(&bytes));
        let memory = u64::from_le_bytes(*field::<{ at::MEMORY }, _, _>(&bytes));
        Ok(SecretKeyFile::Locked(LockedSecretKey {
            salt: *field::<{ at::SALT }, _, _>(&bytes),
            cost: KdfCost::new(operations, memory)?,
            sealed: *sealed,
        }))
    }
}

impl LockedSecretKey {
    /// Returns what it takes to try a password.
    pub fn cost(&self) -> KdfCost {
        self.cost
    }

    /// Opens the key. Takes as much time and memory as [`LockedSecretKey::cost`] says; scrypt does
    /// not clear that memory before it frees it.
    ///
    /// # Errors
    ///
    /// [`Error::Password`] if the password is wrong, or the file damaged.
    pub fn unlock(&self, password: &[u8]) -> Result<SecretKey, Error> {
        let mut bytes = self.cost.derive(password, &self.salt);
        xor(&mut bytes, &self.sealed);
        if *field::<{ sealed::CHECKSUM }, _, _>(&bytes) != *checksum(&bytes) {
            return Err(Error::Password);
        }
        read_keypair(&bytes)
    }
}

impl fmt::Debug for LockedSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockedSecretKey").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl SecretKey {
    /// Returns a secret key file without a password: who can read it, can sign.
    ///
    /// Unlike `minisign -W` it has a checksum, which other implementations check.
    pub fn to_file(&self, comment: &Comment) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; at::END]);
        set_field::<{ at::KDF }, _, _>(&mut bytes, NO_KDF);
        set_field::<{ at::SEALED }, _, _>(&mut bytes, &self.to_sealed());
        write_file(&mut bytes, comment)
    }

    /// Returns a secret key file that is locked with a password. The salt is 32 bytes that the caller
    /// has drawn at random for this file. Takes as much time and memory as `cost` says.
    ///
    /// # Errors
    ///
    /// [`Error::PasswordText`] if nobody could type the password into minisign.
    pub fn to_locked_file(
        &self,
        comment: &Comment,
        password: &[u8],
        salt: &[u8; 32],
        cost: KdfCost,
    ) -> Result<Zeroizing<String>, Error> {
        let typable = !password.iter().any(|byte| b"\n\r\0".contains(byte));
        if !(1..=MAX_PASSWORD).contains(&password.len()) || !typable {
            return Err(Error::PasswordText { max: MAX_PASSWORD, len: password.len() });
        }
        let mut sealed = self.to_sealed();
        xor(&mut sealed, &cost.derive(password, salt));
        let mut bytes = Zeroizing::new([0; at::END]);
        set_field::<{ at::KDF }, _, _>(&mut bytes, SCRYPT);
        set_field::<{ at::SALT }, _, _>(&mut bytes, salt);
        set_field::<{ at::OPERATIONS }, _, _>(&mut bytes, &cost.operations().to_le_bytes());
        set_field::<{ at::MEMORY }, _, _>(&mut bytes, &cost.memory().to_le_bytes());
        set_field::<{ at::SEALED }, _, _>(&mut bytes, &sealed);
        Ok(write_file(&mut bytes, comment))
    }

    fn to_sealed(&self) -> Zeroizing<[u8; sealed::END]> {
        let mut bytes = Zeroizing::new([0; sealed::END]);
        let keypair = Zeroizing::new(self.key().to_keypair_bytes());
        set_field::<{ sealed::KEY_ID }, _, _>(&mut bytes, self.id().as_bytes());
        set_field::<{ sealed::KEYPAIR }, _, _>(&mut bytes, &keypair);
        let checksum = checksum(&bytes);
        set_field::<{ sealed::CHECKSUM }, _, _>(&mut bytes, &checksum);
        bytes
    }
}

fn check_supported(
    what: &'static str,
    expected: &'static str,
    found: &[u8; 2],
    known: &[&[u8; 2]],
) -> Result<(), Error> {
    if known.contains(&found) {
        return Ok(());
    }
    Err(Error::Unsupported { file: FileKind::SecretKey, what, expected, found: *found })
}

fn read_unlocked(bytes: &[u8; sealed::END]) -> Result<SecretKey, Error> {
    // `minisign -G -W` leaves the checksum out, that is zero, and minisign never looks at it.
    let found: &[u8; 32] = field::<{ sealed::CHECKSUM }, _, _>(bytes);
    if *found != [0; 32] && *found != *checksum(bytes) {
        return Err(Error::DamagedSecretKey { what: "key and checksum" });
    }
    read_keypair(bytes)
}

fn read_keypair(bytes: &[u8; sealed::END]) -> Result<SecretKey, Error> {
    let id = KeyId::new(*field::<{ sealed::KEY_ID }, _, _>(bytes));
    // To sign with a public half that is not the seed's own would disclose the secret; see
    // https://github.com/MystenLabs/ed25519-unsafe-libs
    SigningKey::from_keypair_bytes(field::<{ sealed::KEYPAIR }, _, _>(bytes))
        .map(|key| SecretKey::new(id, key))
        .map_err(|_| Error::DamagedSecretKey { what: "secret and public half" })
}

/// The checksum of the plain fields; the algorithm of the key goes first.
fn checksum(bytes: &[u8; sealed::END]) -> Zeroizing<[u8; 32]> {
    let digest =
        Blake2b256::new().chain_update(ED25519).chain_update(&bytes[..sealed::CHECKSUM]).finalize();
    Zeroizing::new(digest.into())
}

fn xor(bytes: &mut [u8; sealed::END], mask: &[u8; sealed::END]) {
    for (byte, mask) in bytes.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

/// Completes the second line, which has all but the fields that never differ, and puts it in a file.
fn write_file(bytes: &mut [u8; at::END], comment: &Comment) -> Zeroizing<String> {
    set_field::<{ at::ALGORITHM }, _, _>(bytes, ED25519);
    set_field::<{ at::CHECKSUM_ALGORITHM }, _, _>(bytes, BLAKE2B);
    let mut text = Zeroizing::new([0; base64_len(at::END)]);
    let text = encode(bytes, &mut text);
    // One allocation of the final size: a string that grows leaves copies behind.
    Zeroizing::new([UNTRUSTED_PREFIX, comment.as_str(), "\n", text, "\n"].concat())
}

/// minisign reads the password and its newline into 1024 bytes, with a NUL.
const MAX_PASSWORD: usize = 1024 - 2;

const SCRYPT: &[u8; 2] = b"Sc";
const NO_KDF: &[u8; 2] = &[0, 0];
const BLAKE2B: &[u8; 2] = b"B2";

/// Offsets in the decoded second line.
mod at {
    pub(super) const ALGORITHM: usize = 0;
    pub(super) const KDF: usize = 2;
    pub(super) const CHECKSUM_ALGORITHM: usize = 4;
    pub(super) const SALT: usize = 6;
    pub(super) const OPERATIONS: usize = 38;
    pub(super) const MEMORY: usize = 46;
    pub(super) const SEALED: usize = 54;
    pub(super) const END: usize = 158;
}

/// Offsets in the part that a password locks.
mod sealed {
    pub(super) const KEY_ID: usize = 0;
    pub(super) const KEYPAIR: usize = 8;
    pub(super) const CHECKSUM: usize = 72;
    pub(super) const END: usize = 104;
}
