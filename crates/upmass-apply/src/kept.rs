//! New objects while an update is inspected: what others are made from is written down.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use upmass_delta::patch::Sink;
use upmass_format::payload::{Later, OldPlace};
use upmass_store::{Scratch, ScratchContent, Store};

use crate::Result;
use crate::frames::Failure;
use crate::parts::{PartContent, PartFinder};
use crate::trees::{FileObject, OldRelease};

/// The objects that were made, if any is made from them later.
pub(crate) struct Kept {
    writing: Option<Scratch>,
    written: Option<Arc<ScratchContent>>,
    /// Where each is, by its number: the start, and the length.
    places: HashMap<u64, (u64, u64)>,
    /// Where the object that is made now begins, and what was written.
    start: u64,
    end: u64,
}

impl Kept {
    /// Nothing is kept if nothing is made later.
    pub(crate) fn new(store: &Store, later: &Later) -> Result<Self> {
        let writing = match later.numbers().is_empty() {
            true => None,
            false => Some(store.scratch()?),
        };
        Ok(Self { writing, written: None, places: HashMap::new(), start: 0, end: 0 })
    }

    /// Whether what is made now must be written to [`Kept::sink`].
    pub(crate) fn is_open(&self) -> bool {
        self.writing.is_some()
    }

    /// Takes content of the object that is made now.
    pub(crate) fn sink<'a>(&'a mut self, failure: &'a Failure) -> KeptSink<'a> {
        KeptSink { kept: self, failure }
    }

    /// Ends the object that is made now.
    pub(crate) fn end_object(&mut self, number: u64) {
        self.places.insert(number, (self.start, self.end - self.start));
        self.start = self.end;
    }

    /// Says that all objects that are not made later are there.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if let Some(scratch) = self.writing.take() {
            self.written = Some(Arc::new(scratch.finish()?));
        }
        Ok(())
    }
}

/// Content of the object that is made now.
pub(crate) struct KeptSink<'a> {
    kept: &'a mut Kept,
    failure: &'a Failure,
}

impl Sink for KeptSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.kept.end += bytes.len() as u64;
        match &mut self.kept.writing {
            Some(scratch) => scratch.write(bytes).map_err(|error| self.failure.keep(error)),
            None => Ok(()),
        }
    }

    fn write_zeros(&mut self, mut len: u64) -> io::Result<()> {
        let zeros = [0; 1 << 12];
        while len > 0 {
            let count = len.min(zeros.len() as u64);
            self.write(&zeros[..count as usize])?;
            len -= count;
        }
        Ok(())
    }
}

/// Gives content to two.
pub(crate) struct Tee<'a>(pub(crate) &'a mut dyn Sink, pub(crate) &'a mut dyn Sink);

impl Sink for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write(bytes)?;
        self.1.write(bytes)
    }

    fn write_zeros(&mut self, len: u64) -> io::Result<()> {
        self.0.write_zeros(len)?;
        self.1.write_zeros(len)
    }
}

/// Finds the parts of an object.
pub(crate) struct Parts<'a> {
    pub(crate) kept: &'a Kept,
    pub(crate) old: &'a OldRelease<'a>,
    pub(crate) here: Option<FileObject>,
}

impl PartFinder for Parts<'_> {
    fn here(&self) -> Result<Option<FileObject>> {
        Ok(self.here)
    }

    fn old_object(&self, place: OldPlace) -> Result<FileObject> {
        self.old.file(place)
    }

    fn new_object(&self, number: u64) -> Result<Option<PartContent>> {
        let Some(written) = &self.kept.written else {
            return Ok(None);
        };
        let place = self.kept.places.get(&number);
        Ok(place.map(|(start, len)| PartContent::Kept(written.clone(), *start, *len)))
    }
}
