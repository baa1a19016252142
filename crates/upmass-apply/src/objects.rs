//! Makes new objects: connects the decoder with bases and files of the store.

use std::io;

use upmass_delta::patch::{Base, Buffered, Sink};
use upmass_disk::ReadAt;
use upmass_store::Incoming;

use crate::frames::Failure;

/// An object of the store that a patch copies from.
pub(crate) fn object_base(file: Box<dyn ReadAt>) -> impl Base {
    let len = file.len();
    Buffered::new(len, move |buffer: &mut [u8], offset| file.read_exact_at(buffer, offset))
}

/// A new object of the store.
pub(crate) struct ObjectSink<'a> {
    pub(crate) incoming: &'a mut Incoming,
    pub(crate) failure: &'a Failure,
}

impl Sink for ObjectSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.incoming.write(bytes).map_err(|error| self.failure.keep(error))
    }

    fn write_zeros(&mut self, len: u64) -> io::Result<()> {
        self.incoming.write_zeros(len).map_err(|error| self.failure.keep(error))
    }
}

/// Takes content that nobody needs.
pub(crate) struct Discard;

impl Sink for Discard {
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn write_zeros(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }
}
