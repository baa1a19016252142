//! Makes new objects: connects the decoder with bases and files of the store.

use std::cell::RefCell;
use std::io;

use upmass_delta::patch::{Base, Sink};
use upmass_disk::ReadAt;
use upmass_store::Incoming;

use crate::frames::Failure;

/// Short reads of a base go through a buffer of this size.
const WINDOW: usize = 1 << 14;

/// An object of the store that a patch copies from.
pub(crate) struct ObjectBase {
    file: Box<dyn ReadAt>,
    window: RefCell<(u64, Vec<u8>)>,
}

impl ObjectBase {
    pub(crate) fn new(file: Box<dyn ReadAt>) -> Self {
        Self { file, window: RefCell::default() }
    }
}

impl Base for ObjectBase {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if buffer.len() >= WINDOW {
            return self.file.read_exact_at(buffer, offset);
        }
        let mut window = self.window.borrow_mut();
        let (start, bytes) = &mut *window;
        let end = offset + buffer.len() as u64;
        if offset < *start || end > *start + bytes.len() as u64 {
            *start = offset;
            bytes.resize(WINDOW.min((self.file.len() - offset) as usize), 0);
            let read = self.file.read_exact_at(bytes, offset);
            if read.is_err() {
                bytes.clear();
            }
            read?;
        }
        let from = (offset - *start) as usize;
        buffer.copy_from_slice(&bytes[from..from + buffer.len()]);
        Ok(())
    }
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
