//! minisign's detached signature files (`spec/minisign-files.md`, "Signature").
//!
//! A file has two signatures: one of the message, and one of that signature and the trusted comment.
//! The comment can only be had from [`VerifiedFile`], when both were checked.

use blake2::{Blake2b512, Digest};

use crate::comment::Comment;
use crate::error::{Error, FileKind};
use crate::key::{KeyId, PublicKey, Signature, Verified};
use crate::layout::{field, set_field};
use crate::lines::{Lines, TRUSTED_PREFIX, UNTRUSTED_PREFIX, base64_len, encode};
use crate::public_file::ED25519;
#[cfg(feature = "secret-keys")]
use crate::secret_key::SecretKey;

/// A `.minisig` file that was read, or is to be written. Nothing in it is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minisig {
    kind: Kind,
    by: KeyId,
    signature: Signature,
    trusted_comment: String,
    comment_signature: Signature,
}

/// What the first signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The file's BLAKE2b-512 digest: all that minisign writes since 0.10, unless it is asked.
    Prehashed,
    /// The file itself: what older minisigns and signify write.
    Legacy,
}

/// The BLAKE2b-512 digest of a whole file, which a prehashed signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileDigest([u8; 64]);

/// Computes a [`FileDigest`] of a file that is not in memory as a whole.
#[derive(Clone, Debug, Default)]
pub struct FileHasher(Blake2b512);

/// Proof that both signatures of a file were verified, with what they vouch for.
#[must_use = "keep the proof, and ask for it where the verified file is used"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedFile<'a> {
    proof: Verified,
    trusted_comment: &'a str,
}

impl Minisig {
    /// Reads a signature file.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] or [`Error::Unsupported`].
    pub fn from_file(file: &[u8]) -> Result<Self, Error> {
        let mut lines = Lines::new(FileKind::Signature, file);
        lines.untrusted_comment()?;
        let mut bytes = [0; at::END];
        lines.base64(&mut bytes)?;
        let trusted_comment = lines.trusted_comment()?.to_owned();
        let mut comment_signature = [0; 64];
        lines.base64(&mut comment_signature)?;
        lines.end()?;

        let algorithm: &[u8; 2] = field::<{ at::ALGORITHM }, _, _>(&bytes);
        let kind = if algorithm == PREHASHED {
            Kind::Prehashed
        } else if algorithm == ED25519 {
            Kind::Legacy
        } else {
            return Err(Error::Unsupported {
                file: FileKind::Signature,
                what: "the algorithm",
                expected: "\"ED\" (prehashed Ed25519) or \"Ed\" (legacy)",
                found: *algorithm,
            });
        };
        Ok(Minisig {
            kind,
            by: KeyId::new(*field::<{ at::KEY_ID }, _, _>(&bytes)),
            signature: Signature::new(*field::<{ at::SIGNATURE }, _, _>(&bytes)),
            trusted_comment,
            comment_signature: Signature::new(comment_signature),
        })
    }

    /// Returns the file, with a comment that anyone may change later.
    pub fn to_file(&self, untrusted_comment: &Comment) -> String {
        let mut bytes = [0; at::END];
        let algorithm = match self.kind {
            Kind::Prehashed => PREHASHED,
            Kind::Legacy => ED25519,
        };
        set_field::<{ at::ALGORITHM }, _, _>(&mut bytes, algorithm);
        set_field::<{ at::KEY_ID }, _, _>(&mut bytes, self.by.as_bytes());
        set_field::<{ at::SIGNATURE }, _, _>(&mut bytes, self.signature.as_bytes());
        format!(
            "{UNTRUSTED_PREFIX}{untrusted_comment}\n{}\n{TRUSTED_PREFIX}{}\n{}\n",
            encode(&bytes, &mut [0; base64_len(at::END)]),
            self.trusted_comment,
            encode(self.comment_signature.as_bytes(), &mut [0; base64_len(64)]),
        )
    }

    /// Returns the id of the key that the file claims to be signed with.
    pub fn by(&self) -> KeyId {
        self.by
    }

    /// Whether the signature covers the file itself and not its digest, so that [`Minisig::verify`]
    /// needs the whole file.
    pub fn is_legacy(&self) -> bool {
        self.kind == Kind::Legacy
    }

    /// Checks that `key` signed exactly `file` and the trusted comment.
    ///
    /// # Errors
    ///
    /// [`Error::OtherKey`], [`Error::BadSignature`] or [`Error::BadComment`].
    pub fn verify(&self, key: &PublicKey, file: &[u8]) -> Result<VerifiedFile<'_>, Error> {
        match self.kind {
            Kind::Prehashed => self.verify_message(key, &FileDigest::of(file).0),
            Kind::Legacy => self.verify_message(key, file),
        }
    }

    /// Checks that `key` signed the trusted comment and exactly the file that has this digest.
    ///
    /// # Errors
    ///
    /// [`Error::OtherKey`], [`Error::BadSignature`] or [`Error::BadComment`]; and
    /// [`Error::NeedsWholeFile`] for a legacy signature.
    pub fn verify_digest(
        &self,
        key: &PublicKey,
        digest: &FileDigest,
    ) -> Result<VerifiedFile<'_>, Error> {
        match self.kind {
            Kind::Prehashed => self.verify_message(key, &digest.0),
            Kind::Legacy => Err(Error::NeedsWholeFile),
        }
    }

    /// Signs a file by its digest, as `minisign -S` does.
    #[cfg(feature = "secret-keys")]
    pub fn sign(key: &SecretKey, digest: &FileDigest, trusted_comment: &Comment) -> Self {
        Self::sign_message(key, Kind::Prehashed, &digest.0, trusted_comment)
    }

    /// Signs the file itself, as `minisign -S -l` does, for verifiers that know nothing else.
    #[cfg(feature = "secret-keys")]
    pub fn sign_legacy(key: &SecretKey, file: &[u8], trusted_comment: &Comment) -> Self {
        Self::sign_message(key, Kind::Legacy, file, trusted_comment)
    }

    fn verify_message(&self, key: &PublicKey, message: &[u8]) -> Result<VerifiedFile<'_>, Error> {
        if self.by != key.id() {
            return Err(Error::OtherKey { expected: key.id(), found: self.by });
        }
        let proof = key.verify(message, &self.signature)?;
        let comment_message = comment_message(&self.signature, &self.trusted_comment);
        match key.verify(&comment_message, &self.comment_signature) {
            Ok(_) => Ok(VerifiedFile { proof, trusted_comment: &self.trusted_comment }),
            Err(_) => Err(Error::BadComment { by: key.id() }),
        }
    }

    #[cfg(feature = "secret-keys")]
    fn sign_message(key: &SecretKey, kind: Kind, message: &[u8], comment: &Comment) -> Self {
        let signature = key.sign(message);
        Minisig {
            kind,
            by: key.id(),
            signature,
            trusted_comment: comment.as_str().to_owned(),
            comment_signature: key.sign(&comment_message(&signature, comment.as_str())),
        }
    }
}

impl FileDigest {
    /// Computes the digest of a file in memory.
    pub fn of(file: &[u8]) -> Self {
        FileDigest(Blake2b512::digest(file).into())
    }
}

impl FileHasher {
    /// Starts with no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the digest of all bytes that were added.
    pub fn finish(self) -> FileDigest {
        FileDigest(self.0.finalize().into())
    }
}

impl<'a> VerifiedFile<'a> {
    /// Returns the comment that was signed with the file.
    pub fn trusted_comment(&self) -> &'a str {
        self.trusted_comment
    }

    /// Returns the proof, which names the key.
    pub fn proof(&self) -> Verified {
        self.proof
    }
}

/// What the second signature covers. It ties the comment to this one signature of this one file.
fn comment_message(signature: &Signature, comment: &str) -> Vec<u8> {
    [signature.as_bytes(), comment.as_bytes()].concat()
}

/// Ed25519 of the file's digest.
const PREHASHED: &[u8; 2] = b"ED";

/// Offsets in the decoded second line.
mod at {
    pub(super) const ALGORITHM: usize = 0;
    pub(super) const KEY_ID: usize = 2;
    pub(super) const SIGNATURE: usize = 10;
    pub(super) const END: usize = 74;
}
