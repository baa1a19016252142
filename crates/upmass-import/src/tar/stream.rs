//! The bytes of an uncompressed archive, counted.

use std::io::{ErrorKind, Read};

use super::fault::ArchiveFault;
use super::header::BLOCK;

/// Reads an archive from front to end.
pub(super) struct Stream<'a> {
    input: Box<dyn Read + 'a>,
    offset: u64,
}

impl<'a> Stream<'a> {
    pub(super) fn new(input: Box<dyn Read + 'a>) -> Self {
        Self { input, offset: 0 }
    }

    /// Bytes read so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next block; `None` when the archive ends before it. `part` is what a block that is
    /// incomplete belongs to.
    pub(super) fn block(
        &mut self,
        part: &'static str,
    ) -> Result<Option<[u8; BLOCK]>, ArchiveFault> {
        let mut block = [0; BLOCK];
        match self.fill(&mut block)? {
            0 => Ok(None),
            BLOCK => Ok(Some(block)),
            _ => Err(ArchiveFault::Truncated { part }),
        }
    }

    /// Fills the buffer.
    pub(super) fn exact(
        &mut self,
        buffer: &mut [u8],
        part: &'static str,
    ) -> Result<(), ArchiveFault> {
        match self.fill(buffer)? == buffer.len() {
            true => Ok(()),
            false => Err(ArchiveFault::Truncated { part }),
        }
    }

    /// Passes over `len` bytes of content.
    pub(super) fn pass(&mut self, len: u64, part: &'static str) -> Result<(), ArchiveFault> {
        let mut buffer = vec![0; len.min(1 << 16) as usize];
        let mut rest = len;
        while rest > 0 {
            let take = rest.min(buffer.len() as u64) as usize;
            self.exact(&mut buffer[..take], part)?;
            rest -= take as u64;
        }
        Ok(())
    }

    /// Passes over what fills up the last block of `len` bytes of content.
    pub(super) fn padding(&mut self, len: u64, part: &'static str) -> Result<(), ArchiveFault> {
        let padding = len.next_multiple_of(BLOCK as u64) - len;
        self.exact(&mut [0; BLOCK][..padding as usize], part)
    }

    /// Reads content into memory, with what fills up its last block. It must be checked before
    /// that `len` is small.
    pub(super) fn content(
        &mut self,
        len: u64,
        part: &'static str,
    ) -> Result<Vec<u8>, ArchiveFault> {
        let mut content = Vec::new();
        let mut rest = len;
        // Piece by piece, so that a length without content behind it takes no memory.
        while rest > 0 {
            let take = rest.min(1 << 16) as usize;
            let start = content.len();
            content.resize(start + take, 0);
            self.exact(&mut content[start..], part)?;
            rest -= take as u64;
        }
        self.padding(len, part)?;
        Ok(content)
    }

    /// Reads to the end, so that what the compression has there is checked. Whether anything
    /// but zeros was left.
    pub(super) fn drain(&mut self) -> Result<bool, ArchiveFault> {
        let mut buffer = vec![0; 1 << 16];
        let mut has_data = false;
        loop {
            let n = self.fill(&mut buffer)?;
            has_data |= buffer[..n].iter().any(|byte| *byte != 0);
            if n < buffer.len() {
                return Ok(has_data);
            }
        }
    }

    /// Reads until the buffer is full or the archive ends.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveFault> {
        let mut done = 0;
        while done < buffer.len() {
            match self.input.read(&mut buffer[done..]) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.offset += done as u64;
        Ok(done)
    }
}
