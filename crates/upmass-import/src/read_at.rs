//! Files that are read at any position, and parts of them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use upmass_disk::ReadAt;

/// Reads from front to end.
pub(crate) struct Cursor<'a> {
    content: &'a dyn ReadAt,
    position: u64,
}

/// A file of this machine. Its length is what it was when it was opened.
pub(crate) struct OpenFile {
    file: File,
    len: u64,
}

/// A range of something.
pub(crate) struct Section {
    content: Arc<dyn ReadAt>,
    start: u64,
    len: u64,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(content: &'a dyn ReadAt) -> Self {
        Self { content, position: 0 }
    }
}

impl Read for Cursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.content.read_at(buffer, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl OpenFile {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }
}

impl ReadAt for OpenFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.len.saturating_sub(offset);
        let take = rest.min(buffer.len() as u64) as usize;
        self.file.read_at(&mut buffer[..take], offset)
    }

    fn len(&self) -> u64 {
        self.len
    }
}

impl Section {
    /// `start` and `len` must be within the content.
    pub(crate) fn new(content: Arc<dyn ReadAt>, start: u64, len: u64) -> Self {
        Self { content, start, len }
    }
}

impl ReadAt for Section {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.len.saturating_sub(offset);
        let take = rest.min(buffer.len() as u64) as usize;
        self.content.read_at(&mut buffer[..take], self.start + offset)
    }

    fn len(&self) -> u64 {
        self.len
    }
}
