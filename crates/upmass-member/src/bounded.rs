//! Reading no more and writing no more than was declared.

use std::io::{self, Read, Write};

use crate::error::{Error, Result};

/// Gives at most the declared bytes, and remembers what failed below.
pub(crate) struct Source<'a> {
    inner: &'a mut dyn Read,
    what: &'static str,
    declared: u64,
    left: u64,
    failure: Option<Error>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(inner: &'a mut dyn Read, what: &'static str, declared: u64) -> Self {
        Self { inner, what, declared, left: declared, failure: None }
    }

    /// Bytes that were not read yet.
    #[cfg(any(feature = "deflate", feature = "zstd", feature = "lz4"))]
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Bytes that were read.
    #[cfg(feature = "parse")]
    pub(crate) fn read_so_far(&self) -> u64 {
        self.declared - self.left
    }

    fn finish(self) -> Result<()> {
        let length = Error::Length { what: self.what, declared: self.declared };
        let complete = if self.left == 0 { Ok(()) } else { Err(length) };
        self.failure.map_or(complete, Err)
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let read = loop {
            match self.inner.read(&mut buffer[..wanted]) {
                Ok(0) => {
                    let length = Error::Length { what: self.what, declared: self.declared };
                    self.failure.get_or_insert(length);
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(read) => break read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    self.failure.get_or_insert(Error::io(self.what)(error));
                    return Err(kind.into());
                }
            }
        };
        self.left -= read as u64;
        Ok(read)
    }
}

/// Takes at most the declared bytes, and remembers what failed below.
pub(crate) struct Sink<'a> {
    inner: &'a mut dyn Write,
    what: &'static str,
    declared: u64,
    left: u64,
    failure: Option<Error>,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(inner: &'a mut dyn Write, what: &'static str, declared: u64) -> Self {
        Self { inner, what, declared, left: declared, failure: None }
    }

    fn finish(self) -> Result<()> {
        let length = Error::Length { what: self.what, declared: self.declared };
        let complete = if self.left == 0 { Ok(()) } else { Err(length) };
        self.failure.map_or(complete, Err)
    }

    /// What came of an operation that only writes here.
    #[cfg(feature = "parse")]
    pub(crate) fn outcome(self, result: Result<()>) -> Result<()> {
        match (result, &self.failure) {
            (Err(error), None) => Err(error),
            _ => self.finish(),
        }
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            let length = Error::Length { what: self.what, declared: self.declared };
            self.failure.get_or_insert(length);
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        self.inner.write_all(bytes).map_err(|error| {
            let kind = error.kind();
            self.failure.get_or_insert(Error::io(self.what)(error));
            io::Error::from(kind)
        })?;
        self.left = left;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What came of an operation: what failed below explains it better than what the codec says.
pub(crate) fn outcome(result: Result<()>, source: Source<'_>, sink: Sink<'_>) -> Result<()> {
    match (result, source.failure.clone(), sink.failure.clone()) {
        (_, Some(failure), _) | (_, _, Some(failure)) => Err(failure),
        (Err(error), None, None) => Err(error),
        (Ok(()), None, None) => {
            sink.finish()?;
            source.finish()
        }
    }
}

/// Fills the buffer as far as there is input.
#[cfg(any(feature = "deflate", feature = "zstd", feature = "lz4"))]
pub(crate) fn read_full(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// What is read and written at a time.
#[cfg(any(feature = "deflate", feature = "xz", feature = "zstd", feature = "parse"))]
pub(crate) const CHUNK: usize = 64 * 1024;
