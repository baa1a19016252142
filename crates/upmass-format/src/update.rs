//! The front of an update file: header and signatures (`spec/update.md`).
//!
//! The payload behind it is cut into frames of equal size, and the header holds a digest of
//! each, so that any frame can be checked, stored and resumed by itself.

use std::io::Read;

use sha2::{Digest, Sha256};

use crate::release::read_name;
use crate::wire::{Reader, put_varint};
use crate::{FormatError, ReleaseId, Result};

/// The first bytes of an update file. The first is no text, so that tools do not take it for
/// text and mangle it.
pub const MAGIC: [u8; 4] = [0x8f, b'U', b'P', b'M'];
/// The version of the format.
pub const VERSION: u8 = 1;
/// What the signed message begins with, so that no other signature can be taken for one.
pub const SIGNATURE_CONTEXT: &[u8] = b"upmass update header v1\0";
/// Length of the digest of a frame: the first bytes of its SHA-256.
pub const FRAME_DIGEST_LEN: usize = 16;
/// Smallest frame size, as a power of two: 64 KiB.
pub const MIN_FRAME_LOG2: u8 = 16;
/// Largest frame size, as a power of two: 1 MiB. A device holds one frame in memory.
pub const MAX_FRAME_LOG2: u8 = 20;
/// Longest header in bytes; with frames of 1 MiB enough for 63 GiB of payload.
pub const MAX_HEADER: u64 = 1 << 20;
/// Most signatures.
pub const MAX_SIGNATURES: u64 = 16;
/// How many bytes of the base's id the header holds. They only select it; whether the result
/// is right is decided by the whole id of the target.
pub const BASE_PREFIX_LEN: usize = 16;
/// Longest extension.
pub const MAX_EXTENSION: usize = 65_536;
/// Most extensions.
pub const MAX_EXTENSIONS: u64 = 64;

const FLAG_BASE: u64 = 1;
const FLAG_DERIVED: u64 = 4;

/// What an update is for and what it needs: everything a device must know before it reads on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The release it starts from; `None` for a full update.
    pub base: Option<BasePrefix>,
    /// Whether the device computes names from derivations (`spec/derivations.md`); only with a base.
    pub derives_names: bool,
    /// The release it leads to.
    pub target: ReleaseId,
    /// The machine type of that release.
    pub machine: String,
    /// The version counter of that release.
    pub counter: u64,
    /// Memory that applying needs, in KiB, program and buffers included.
    pub memory_kib: u64,
    /// Space for new objects, trees and notes, in KiB, each file rounded up to 4 KiB.
    pub space_kib: u64,
    /// The codecs that the device must have, as a set of their numbers (`spec/member.md`): bit n
    /// stands for codec n.
    pub codecs: u64,
    /// Length of all frames together, in bytes.
    pub payload_len: u64,
    /// Length of a frame, as a power of two; the last frame may be shorter.
    pub frame_log2: u8,
    /// The digest of each frame.
    pub frames: Vec<FrameDigest>,
    /// Fields of later versions, ascending by tag.
    pub extensions: Vec<Extension>,
}

/// The first half of the id of a release, of a base in most places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasePrefix([u8; BASE_PREFIX_LEN]);

/// The digest of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameDigest([u8; FRAME_DIGEST_LEN]);

/// A field that a later version may add. A device that does not know it goes on when the tag is
/// odd and refuses the update when it is even.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Which field it is.
    pub tag: u64,
    /// Its value.
    pub value: Vec<u8>,
}

/// A signature of a header, with the key that it claims to be made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderSignature {
    /// The key's id.
    pub key: [u8; 8],
    /// An ed25519 signature of [`Front::signed_message`].
    pub signature: [u8; 64],
}

/// Header and signatures as they were read, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Front {
    /// The header; nothing of it may be believed before a signature was checked.
    pub header: Header,
    /// The signatures.
    pub signatures: Vec<HeaderSignature>,
    /// The header's bytes.
    encoded: Vec<u8>,
    /// Length of everything before the first frame.
    len: u64,
}

impl Header {
    /// The encoding, from its first field on.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let base = if self.base.is_some() { FLAG_BASE } else { 0 };
        let derived = if self.derives_names { FLAG_DERIVED } else { 0 };
        put_varint(&mut out, base | derived);
        if let Some(base) = &self.base {
            out.extend_from_slice(&base.0);
        }
        out.extend_from_slice(self.target.as_bytes());
        put_varint(&mut out, self.machine.len() as u64);
        out.extend_from_slice(self.machine.as_bytes());
        let Self { counter, memory_kib, space_kib, codecs, payload_len, .. } = self;
        for number in [counter, memory_kib, space_kib, codecs, payload_len] {
            put_varint(&mut out, *number);
        }
        out.push(self.frame_log2);
        for frame in &self.frames {
            out.extend_from_slice(&frame.0);
        }
        put_varint(&mut out, self.extensions.len() as u64);
        for extension in &self.extensions {
            put_varint(&mut out, extension.tag);
            put_varint(&mut out, extension.value.len() as u64);
            out.extend_from_slice(&extension.value);
        }
        out
    }

    /// The position of a frame in the payload, and its length.
    pub fn frame_range(&self, index: usize) -> (u64, usize) {
        let start = (index as u64) << self.frame_log2;
        let len = (self.payload_len - start).min(1 << self.frame_log2);
        (start, len as usize)
    }

    fn read<R: Read>(input: &mut Reader<R>) -> Result<Self> {
        let offset = input.offset();
        let flags = input.varint("header flags")?;
        let derives_names = flags & FLAG_DERIVED != 0;
        let is_full = flags & FLAG_BASE == 0;
        if flags & !(FLAG_BASE | FLAG_DERIVED) != 0 || is_full && derives_names {
            return Err(FormatError::Unknown { what: "header flags", offset, found: flags });
        }
        let base = match flags & FLAG_BASE {
            0 => None,
            _ => Some(BasePrefix(input.array("base release")?)),
        };
        let target = ReleaseId::from_bytes(input.array("target release")?);
        let machine = read_name(input, "machine type")?;
        let counter = input.varint("version counter")?;
        let memory_kib = input.varint("memory need")?;
        let space_kib = input.varint("space need")?;
        let codecs = input.varint("codecs")?;
        let payload_len = input.varint("payload length")?;
        let offset = input.offset();
        let frame_log2 = input.byte("frame size")?;
        if !(MIN_FRAME_LOG2..=MAX_FRAME_LOG2).contains(&frame_log2) {
            let found = frame_log2.into();
            return Err(FormatError::Unknown { what: "frame size", offset, found });
        }
        let count = payload_len.div_ceil(1 << frame_log2);
        let limit = MAX_HEADER / FRAME_DIGEST_LEN as u64;
        if count > limit {
            let what = "number of frames";
            return Err(FormatError::TooLarge { what, offset, found: count, limit });
        }
        let mut frames = Vec::new();
        for _ in 0..count {
            frames.push(FrameDigest(input.array("frame digest")?));
        }
        let mut extensions: Vec<Extension> = Vec::new();
        for _ in 0..input.number(MAX_EXTENSIONS, "number of extensions")? {
            let offset = input.offset();
            let tag = input.varint("extension tag")?;
            if extensions.last().is_some_and(|last| last.tag >= tag) {
                let why = "extensions must ascend by tag";
                return Err(FormatError::NotCanonical { what: "extension tag", offset, why });
            }
            if tag % 2 == 0 {
                return Err(FormatError::Unknown { what: "extension tag", offset, found: tag });
            }
            let value = input.bytes(MAX_EXTENSION, "extension")?;
            extensions.push(Extension { tag, value });
        }
        Ok(Self {
            base,
            derives_names,
            target,
            machine,
            counter,
            memory_kib,
            space_kib,
            codecs,
            payload_len,
            frame_log2,
            frames,
            extensions,
        })
    }
}

impl Front {
    /// Puts a header and its signatures together.
    pub fn new(header: Header, signatures: Vec<HeaderSignature>) -> Self {
        let encoded = header.to_bytes();
        let mut front = Self { header, signatures, encoded, len: 0 };
        front.len = front.to_bytes().len() as u64;
        front
    }

    /// The bytes before the first frame.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = prologue(self.encoded.len());
        out.extend_from_slice(&self.encoded);
        put_varint(&mut out, self.signatures.len() as u64);
        for signature in &self.signatures {
            out.extend_from_slice(&signature.key);
            out.extend_from_slice(&signature.signature);
        }
        out
    }

    /// Reads everything before the first frame, and nothing behind it. Memory: three times
    /// [`MAX_HEADER`] at most.
    pub fn read<R: Read>(input: R) -> Result<Self> {
        let mut input = Reader::new(input);
        let magic = input.array::<4>("update magic")?;
        if magic != MAGIC {
            return Err(FormatError::Invalid {
                what: "update magic",
                offset: 0,
                expected: "an update file of upmass (8f 55 50 4d)",
                found: magic.map(|byte| format!("{byte:02x}")).join(" "),
            });
        }
        let version = input.byte("update version")?;
        if version != VERSION {
            let found = version.into();
            return Err(FormatError::Unknown { what: "update version", offset: 4, found });
        }
        let encoded = input.bytes(MAX_HEADER as usize, "header")?;
        let mut fields = Reader::at(&encoded[..], input.offset() - encoded.len() as u64);
        let header = Header::read(&mut fields)?;
        fields.expect_end("header")?;
        let mut signatures = Vec::new();
        for _ in 0..input.number(MAX_SIGNATURES, "number of signatures")? {
            let key = input.array("key id")?;
            let signature = input.array("signature")?;
            signatures.push(HeaderSignature { key, signature });
        }
        Ok(Self { header, signatures, encoded, len: input.offset() })
    }

    /// What a signature covers: a context, and all bytes up to the end of the header.
    pub fn signed_message(&self) -> Vec<u8> {
        let mut message = SIGNATURE_CONTEXT.to_vec();
        message.extend_from_slice(&prologue(self.encoded.len()));
        message.extend_from_slice(&self.encoded);
        message
    }

    /// The position of the first frame in the file.
    pub fn payload_offset(&self) -> u64 {
        self.len
    }

    /// The length that the whole file must have.
    pub fn file_len(&self) -> u64 {
        self.len.saturating_add(self.header.payload_len)
    }
}

impl BasePrefix {
    /// Takes bytes as they are.
    pub(crate) const fn from_bytes(bytes: [u8; BASE_PREFIX_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; BASE_PREFIX_LEN] {
        &self.0
    }

    /// The prefix of a release's id.
    pub fn of(release: ReleaseId) -> Self {
        let mut prefix = [0; BASE_PREFIX_LEN];
        prefix.copy_from_slice(&release.as_bytes()[..BASE_PREFIX_LEN]);
        Self(prefix)
    }

    /// The prefix and zeros behind it: an id that no release has, for messages.
    pub fn padded(&self) -> ReleaseId {
        ReleaseId::from_bytes(std::array::from_fn(|i| self.0.get(i).copied().unwrap_or(0)))
    }

    /// Whether the update starts from this release.
    pub fn matches(&self, release: ReleaseId) -> bool {
        Self::of(release) == *self
    }
}

impl std::fmt::Display for BasePrefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.padded().to_string()[..2 * BASE_PREFIX_LEN])
    }
}

impl FrameDigest {
    /// The digest of a frame's bytes.
    pub fn of(frame: &[u8]) -> Self {
        let mut digest = [0; FRAME_DIGEST_LEN];
        digest.copy_from_slice(&Sha256::digest(frame)[..FRAME_DIGEST_LEN]);
        Self(digest)
    }
}

fn prologue(header_len: usize) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.push(VERSION);
    put_varint(&mut out, header_len as u64);
    out
}
