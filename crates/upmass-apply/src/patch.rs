//! A patch file: the payload of an update behind a head that nobody signed.

use std::io;

use upmass_format::patch::{HEAD_LEN, Head, Kind, OldPrefix};
use upmass_format::update::{BasePrefix, FrameDigest, Front, Header, MAX_FRAME_LOG2};
use upmass_format::{FormatError, ReleaseId};
use upmass_member::Codecs;
use upmass_store::{Store, StoreError};

use crate::ApplyError;
use crate::engine::Progress;
use crate::received::{Fitting, Target, UpdateFile, check_codecs};

/// A patch file whose head was read.
pub struct Patch<'a> {
    file: &'a dyn UpdateFile,
    head: Head,
}

/// Why a patch was not applied.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// The file is no patch, or not of a version that this program knows.
    #[error("the file is damaged or not a patch: {0}")]
    Head(FormatError),
    /// The patch was made from something else.
    #[error("the patch was made from {expected}…, and this is {found}…")]
    WrongBase {
        /// The start of the id of what it was made from.
        expected: OldPrefix,
        /// The same of what it was applied to.
        found: OldPrefix,
    },
    /// The payload cannot be executed, or leads to something else than the head says.
    #[error("the patch is damaged: {0}")]
    Damaged(String),
    /// It failed for another reason.
    #[error(transparent)]
    Apply(ApplyError),
}

impl<'a> Patch<'a> {
    /// Reads the head. A patch that needs a codec which this build does not include is refused.
    pub fn read(file: &'a dyn UpdateFile) -> Result<Self, PatchError> {
        let mut head = [0; HEAD_LEN];
        let len = file.len().map_err(read_error)?.min(HEAD_LEN as u64) as usize;
        file.read_exact_at(&mut head[..len], 0).map_err(read_error)?;
        let head = Head::read(&head[..len]).map_err(PatchError::Head)?;
        check_codecs(Codecs::from_bits(head.codecs.into()), None)?;
        Ok(Self { file, head })
    }

    /// What it leads from and to.
    pub fn kind(&self) -> Kind {
        self.head.kind
    }

    /// Makes the new release in a store that has the old one, `base`, and records it.
    ///
    /// What is wrong with the patch is found out on the way, at the end for certain: the result
    /// is compared with the head. Whoever made the patch decides how large it is.
    pub fn apply(
        &self,
        store: &Store,
        base: ReleaseId,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ReleaseId, PatchError> {
        let found = OldPrefix::of(base);
        if found != self.head.base {
            return Err(PatchError::WrongBase { expected: self.head.base, found });
        }
        let old = store.release(base).map_err(ApplyError::from)?;
        let front = self.front(base, &old.machine).map_err(read_error)?;
        let file = Shifted { file: self.file, by: front.payload_offset() - HEAD_LEN as u64 };
        let fitting = Fitting {
            file: &file,
            front,
            base: Some((base, old)),
            target: Target::Prefix(self.head.target),
            store: store.clone(),
        };
        Ok(fitting.apply(progress)?.release)
    }

    /// The front that this payload would have in an update. Its digests are of what is there, so
    /// they only tell when the file changes meanwhile.
    fn front(&self, base: ReleaseId, machine: &str) -> io::Result<Front> {
        let payload_len = self.file.len()?.saturating_sub(HEAD_LEN as u64);
        let mut header = Header {
            base: Some(BasePrefix::of(base)),
            derives_names: false,
            target: self.head.target.padded(),
            machine: machine.to_owned(),
            counter: 0,
            memory_kib: 0,
            space_kib: 0,
            codecs: self.head.codecs.into(),
            payload_len,
            frame_log2: MAX_FRAME_LOG2,
            frames: Vec::new(),
            extensions: Vec::new(),
        };
        let mut frame = Vec::new();
        for index in 0..payload_len.div_ceil(1 << MAX_FRAME_LOG2) as usize {
            let (start, len) = header.frame_range(index);
            frame.resize(len, 0);
            self.file.read_exact_at(&mut frame, HEAD_LEN as u64 + start)?;
            header.frames.push(FrameDigest::of(&frame));
        }
        Ok(Front::new(header, Vec::new()))
    }
}

/// A patch file as if the front of an update stood where its head does.
struct Shifted<'a> {
    file: &'a dyn UpdateFile,
    /// By how much that front is longer.
    by: u64,
}

impl UpdateFile for Shifted<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset - self.by)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.len()? + self.by)
    }
}

fn read_error(error: io::Error) -> PatchError {
    PatchError::Apply(ApplyError::Read(error))
}

impl From<ApplyError> for PatchError {
    fn from(error: ApplyError) -> Self {
        match error {
            // A file that cannot be read is `ApplyError::Read`: here only decoders have failed.
            ApplyError::Format(error) => Self::Damaged(format!("in its payload, {error}")),
            ApplyError::Program(why) => Self::Damaged(format!("it cannot be executed: {why}")),
            ApplyError::OtherResult { .. } => {
                Self::Damaged("it leads to something else than its head says".to_owned())
            }
            // The base was hashed when it was imported, so the patch has read it wrongly.
            ApplyError::Store(StoreError::Damaged { .. } | StoreError::MissingObject { .. }) => {
                Self::Damaged("it reads what its base does not have".to_owned())
            }
            error => Self::Apply(error),
        }
    }
}
