//! The payload as a stream in which every byte was verified before it is handed out.

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

use upmass_format::update::{FrameDigest, Front};
use upmass_member::Codecs;

use crate::ApplyError;
use crate::received::UpdateFile;

/// Keeps the real reason of a failure while readers in between turn it into an I/O error.
#[derive(Clone, Default)]
pub(crate) struct Failure(Rc<RefCell<Option<ApplyError>>>);

impl Failure {
    /// Keeps `error` and gives what stands for it.
    pub(crate) fn keep(&self, error: impl Into<ApplyError>) -> io::Error {
        let error = error.into();
        let stand_in = io::Error::other(error.to_string());
        self.0.borrow_mut().get_or_insert(error);
        stand_in
    }

    /// The reason that was kept, or else `error`.
    pub(crate) fn or(&self, error: impl Into<ApplyError>) -> ApplyError {
        self.0.borrow_mut().take().unwrap_or_else(|| error.into())
    }
}

/// Reads the payload from any position; a frame is held in memory, checked, then given out.
pub(crate) struct Frames<'a> {
    file: &'a dyn UpdateFile,
    front: &'a Front,
    failure: Failure,
    frame: Vec<u8>,
    /// Which frame is in `frame`.
    index: Option<usize>,
    position: u64,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(
        file: &'a dyn UpdateFile,
        front: &'a Front,
        failure: &Failure,
        position: u64,
    ) -> Self {
        let (failure, frame) = (failure.clone(), Vec::new());
        Self { file, front, failure, frame, index: None, position }
    }

    /// The codecs that the header names.
    pub(crate) fn codecs(&self) -> Codecs {
        Codecs::from_bits(self.front.header.codecs)
    }

    fn load(&mut self, index: usize) -> io::Result<()> {
        let header = &self.front.header;
        let (start, len) = header.frame_range(index);
        let start = self.front.payload_offset() + start;
        self.index = None;
        self.frame.resize(len, 0);
        self.file
            .read_exact_at(&mut self.frame, start)
            .map_err(|error| self.failure.keep(ApplyError::Read(error)))?;
        if FrameDigest::of(&self.frame) != header.frames[index] {
            return Err(self.failure.keep(ApplyError::FrameDiffers {
                frame: index + 1,
                frames: header.frames.len(),
                start,
                end: start + len as u64,
            }));
        }
        self.index = Some(index);
        Ok(())
    }
}

impl Read for Frames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let header = &self.front.header;
        if self.position >= header.payload_len {
            return Ok(0);
        }
        let index = (self.position >> header.frame_log2) as usize;
        let (start, _) = header.frame_range(index);
        if self.index != Some(index) {
            self.load(index)?;
        }
        let mut rest = &self.frame[(self.position - start) as usize..];
        let n = rest.read(buffer)?;
        self.position += n as u64;
        Ok(n)
    }
}
