//! Makes new objects: connects the decoder with bases and files of the store.

use std::io;

use upmass_delta::patch::Sink;
use upmass_store::Incoming;

use crate::frames::Failure;

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
