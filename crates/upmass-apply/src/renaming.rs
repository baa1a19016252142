//! Old contents with names replaced: as bases of patches, and as new objects.

use std::cell::Cell;
use std::io;

use upmass_delta::DeltaError;
use upmass_delta::patch::{Base, Buffered, Sink};
use upmass_delta::rename::{Renamed, Renamer};
use upmass_disk::ReadAt;
use upmass_format::ObjectId;
use upmass_format::rename::MAX_PLACES;
use upmass_store::{Scratch, Store};

use crate::frames::Failure;
use crate::prelude::decoded;
use crate::{ApplyError, Result};

/// Whether an old object becomes another one when it is renamed.
pub(crate) fn changes(store: &Store, renamer: &Renamer, id: ObjectId) -> Result<bool> {
    let file = store.open_object(id)?;
    Ok(renamer.changes_object(&content(file)).map_err(DeltaError::Base)?)
}

/// Content of a file.
pub(crate) fn content(file: Box<dyn ReadAt>) -> impl Base {
    Buffered::new(file.len(), move |buffer: &mut [u8], offset| file.read_exact_at(buffer, offset))
}

/// A base renamed. Where names are at too many places to remember, the content is written down
/// first; `room` is what is left for that.
pub(crate) fn renamed<'a>(
    store: &Store,
    renamer: &'a Renamer,
    base: Box<dyn Base + 'a>,
    room: &Room,
) -> Result<Box<dyn Base + 'a>> {
    if renamer.is_empty() || base.is_empty() {
        return Ok(base);
    }
    match renamer.places(&base, MAX_PLACES).map_err(DeltaError::Base)? {
        Some(places) if places.is_empty() => Ok(base),
        Some(places) => Ok(Box::new(Renamed::new(base, renamer, places))),
        None => {
            let failure = Failure::default();
            let before = room.left.get();
            let mut sink = ScratchSink { scratch: store.scratch()?, room, failure: &failure };
            decoded(&failure, renamer.write(&base, &mut sink))?;
            let written = sink.scratch.finish()?;
            room.left.set(before);
            Ok(Box::new(content(Box::new(written))))
        }
    }
}

/// How many bytes renaming may still write: a table that makes contents longer and longer ends
/// here.
pub(crate) struct Room {
    left: Cell<u64>,
}

impl Room {
    /// Starts with the space that the header speaks of.
    pub(crate) fn new(space_kib: u64) -> Self {
        Self { left: Cell::new(space_kib.saturating_mul(1024)) }
    }

    fn take(&self, len: usize) -> Result<()> {
        let left = self.left.get().checked_sub(len as u64).ok_or_else(|| {
            let what = "its table of names makes contents longer than its header says";
            ApplyError::Program(what.to_owned())
        })?;
        self.left.set(left);
        Ok(())
    }
}

/// Passes on what there is room for.
pub(crate) struct Limited<'a> {
    pub(crate) inner: &'a mut dyn Sink,
    pub(crate) room: &'a Room,
    pub(crate) failure: &'a Failure,
}

impl Sink for Limited<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.room.take(bytes.len()).map_err(|error| self.failure.keep(error))?;
        self.inner.write(bytes)
    }

    fn write_zeros(&mut self, len: u64) -> io::Result<()> {
        self.inner.write_zeros(len)
    }
}

struct ScratchSink<'a> {
    scratch: Scratch,
    room: &'a Room,
    failure: &'a Failure,
}

impl Sink for ScratchSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.room.take(bytes.len()).map_err(|error| self.failure.keep(error))?;
        self.scratch.write(bytes).map_err(|error| self.failure.keep(error))
    }

    fn write_zeros(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
