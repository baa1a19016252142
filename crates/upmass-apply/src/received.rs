//! From a file of unknown origin to an update that fits this device: all checks that come
//! before anything is written.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

use upmass_format::ReleaseId;
use upmass_format::release::Release;
use upmass_format::update::{BasePrefix, Front, Header};
use upmass_member::Codecs;
use upmass_sign::{KeyId, PublicKey, Signature};
use upmass_store::Store;

use crate::{ApplyError, Result};

/// An update file, read at any position.
pub trait UpdateFile {
    /// Fills `buffer` from `offset` on.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether there are no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

impl UpdateFile for std::fs::File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl UpdateFile for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(buffer.len());
        let bytes = end.and_then(|end| self.get(start..end));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self[..].len() as u64)
    }
}

/// Whose updates are applied.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    keys: BTreeMap<KeyId, PublicKey>,
    allow_unsigned: bool,
}

impl Trust {
    /// Trusts these keys and nothing else.
    pub fn keys(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        let keys = keys.into_iter().map(|key| (key.id(), key)).collect();
        Self { keys, allow_unsigned: false }
    }

    /// Applies whatever comes, signed or not. For trials on a desk.
    pub fn anything() -> Self {
        Self { keys: BTreeMap::new(), allow_unsigned: true }
    }
}

/// What the device is and allows.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// The machine type; `None`: that of the releases in the store.
    pub machine: Option<String>,
    /// Most memory that an update may need, in KiB; `None`: no limit.
    pub memory_kib: Option<u64>,
    /// What it has to unpack and pack members of files; `None`: what this build includes.
    pub codecs: Option<Codecs>,
}

/// Refuses what needs a codec that is not among those there.
pub(crate) fn check_codecs(needed: Codecs, there: Option<Codecs>) -> Result<()> {
    let there = there.unwrap_or_else(Codecs::included);
    let missing = needed.without(there);
    if missing.is_empty() { Ok(()) } else { Err(ApplyError::NoCodec { missing, there }) }
}

/// An update whose front was read. Nothing of it may be believed yet.
pub struct Received<'a> {
    file: &'a dyn UpdateFile,
    front: Front,
}

/// An update that a trusted key signed, or that was let in without.
pub struct Verified<'a> {
    file: &'a dyn UpdateFile,
    front: Front,
    signed_by: Option<KeyId>,
}

/// An update that this device can apply.
pub struct Fitting<'a> {
    pub(crate) file: &'a dyn UpdateFile,
    pub(crate) front: Front,
    pub(crate) base: Option<(ReleaseId, Release)>,
    pub(crate) target: Target,
    pub(crate) store: Store,
}

/// The release that applying must lead to, as far as it is known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// All of its id: an update says it.
    Release(ReleaseId),
    /// The first half of its id: a patch says no more.
    Prefix(BasePrefix),
}

impl Target {
    pub(crate) fn matches(self, found: ReleaseId) -> bool {
        match self {
            Target::Release(id) => id == found,
            Target::Prefix(prefix) => prefix.matches(found),
        }
    }
}

impl<'a> Received<'a> {
    /// Reads the front. The file may end before its payload does.
    pub fn read(file: &'a dyn UpdateFile) -> Result<Self> {
        let front = Front::read(BufReader::new(Sequential { file, position: 0 }))?;
        Ok(Self { file, front })
    }

    /// The header, unverified.
    pub fn header(&self) -> &Header {
        &self.front.header
    }

    /// Front and file, for explaining.
    pub(crate) fn parts(&self) -> (&'a dyn UpdateFile, &Front) {
        (self.file, &self.front)
    }

    /// Checks that the file has as many bytes as its header says.
    pub(crate) fn check_length(&self) -> Result<()> {
        let found = self.file.len().map_err(ApplyError::Read)?;
        let expected = self.front.file_len();
        match found == expected {
            true => Ok(()),
            false => Err(ApplyError::Length { found, expected }),
        }
    }

    /// The keys that claim to have signed it.
    pub fn claimed_signers(&self) -> Vec<KeyId> {
        self.front.signatures.iter().map(|signature| KeyId::new(signature.key)).collect()
    }

    /// Checks the signatures and that the file is whole in length. One good signature by a
    /// trusted key is enough; a wrong one in a trusted key's name is never let pass.
    pub fn verify(self, trust: &Trust) -> Result<Verified<'a>> {
        let message = self.front.signed_message();
        let mut signed_by = None;
        for signature in &self.front.signatures {
            let id = KeyId::new(signature.key);
            let Some(key) = trust.keys.get(&id) else {
                continue;
            };
            let proof = key
                .verify(&message, &Signature::new(signature.signature))
                .map_err(|_| ApplyError::BadSignature { key: id })?;
            signed_by.get_or_insert(proof.by());
        }
        if signed_by.is_none() && !trust.allow_unsigned {
            let signers = self.claimed_signers();
            return Err(match signers.is_empty() {
                true => ApplyError::NotSigned,
                false => ApplyError::NotTrusted {
                    signed_by: signers,
                    trusted: trust.keys.keys().copied().collect(),
                },
            });
        }
        self.check_length()?;
        Ok(Verified { file: self.file, front: self.front, signed_by })
    }
}

impl<'a> Verified<'a> {
    /// The header.
    pub fn header(&self) -> &Header {
        &self.front.header
    }

    /// The trusted key that signed; `None` when it was let in without.
    pub fn signed_by(&self) -> Option<KeyId> {
        self.signed_by
    }

    /// Checks machine type, base, memory, codecs and space. Reads the store, writes nothing.
    ///
    /// Space is checked by [`Fitting::apply`] again, less what an earlier run has written.
    pub fn fit(self, store: &Store, limits: &Limits) -> Result<Fitting<'a>> {
        let header = &self.front.header;
        if let Some(limit_kib) = limits.memory_kib
            && header.memory_kib > limit_kib
        {
            let needed_kib = header.memory_kib;
            return Err(ApplyError::NotEnoughMemory { needed_kib, limit_kib });
        }
        check_codecs(Codecs::from_bits(header.codecs), limits.codecs)?;
        let here = store.releases()?;
        let base = match &header.base {
            None => None,
            Some(prefix) => {
                let id = here.iter().copied().find(|id| prefix.matches(*id));
                let id = id.ok_or_else(|| ApplyError::WrongBase {
                    base: prefix.to_string(),
                    found: here.iter().map(|id| id.short()).collect(),
                })?;
                Some((id, store.release(id)?))
            }
        };
        let device = match (&limits.machine, &base) {
            (Some(machine), _) => Some(machine.clone()),
            (None, Some((_, base))) => Some(base.machine.clone()),
            (None, None) => machine_of(store, &here, &header.machine)?,
        };
        if let Some(device) = device.filter(|device| *device != header.machine) {
            return Err(ApplyError::WrongMachine { update: header.machine.clone(), device });
        }
        let (target, store) = (Target::Release(header.target), store.clone());
        Ok(Fitting { file: self.file, front: self.front, base, target, store })
    }
}

/// The machine type of a device by what it has: `wanted` if any release is for it. `None` when
/// there is no release yet.
fn machine_of(store: &Store, here: &[ReleaseId], wanted: &str) -> Result<Option<String>> {
    let mut machine = None;
    for id in here {
        let found = store.release(*id)?.machine;
        if found == wanted {
            return Ok(Some(found));
        }
        machine.get_or_insert(found);
    }
    Ok(machine)
}

struct Sequential<'a> {
    file: &'a dyn UpdateFile,
    position: u64,
}

impl Read for Sequential<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.file.len()?.saturating_sub(self.position);
        let n = left.min(buffer.len() as u64) as usize;
        self.file.read_exact_at(&mut buffer[..n], self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}
