//! Numbers and byte strings as all our formats write them (`spec/primitives.md`).

use std::io::{self, Read, Write};

use crate::{FormatError, Result};

/// Reads fields from a stream and knows where it is.
pub struct Reader<R> {
    inner: R,
    offset: u64,
}

impl<R: Read> Reader<R> {
    /// Starts at the first byte of the format.
    pub fn new(inner: R) -> Self {
        Self::at(inner, 0)
    }

    /// Starts in the middle: `offset` is the position of the next byte in the format.
    pub fn at(inner: R, offset: u64) -> Self {
        Self { inner, offset }
    }

    /// Bytes from the start of the format to the next field.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The reader underneath.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// Gives the reader underneath back.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// One byte.
    pub fn byte(&mut self, what: &'static str) -> Result<u8> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    /// One byte, or `None` where the input ends. An input that fails because something below
    /// it was cut short has not ended.
    pub fn byte_or_end(&mut self, what: &'static str) -> Result<Option<u8>> {
        let mut byte = [0];
        loop {
            match self.inner.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failure(&error, what)),
            }
        }
        self.offset += 1;
        Ok(Some(byte[0]))
    }

    /// Exactly `N` bytes.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N]> {
        let mut array = [0; N];
        self.fill(&mut array, what)?;
        Ok(array)
    }

    /// Fills `buffer`.
    pub fn fill(&mut self, buffer: &mut [u8], what: &'static str) -> Result<()> {
        let read = self.inner.read_exact(buffer);
        read.map_err(|error| self.failure(&error, what))?;
        self.offset += buffer.len() as u64;
        Ok(())
    }

    /// An unsigned number in its shortest LEB128 form.
    pub fn varint(&mut self, what: &'static str) -> Result<u64> {
        let start = self.offset;
        let first = self.byte(what)?;
        self.varint_from(start, first, what)
    }

    /// A number as [`Self::varint`], or `None` where the input ends.
    pub fn varint_or_end(&mut self, what: &'static str) -> Result<Option<u64>> {
        let start = self.offset;
        match self.byte_or_end(what)? {
            Some(first) => self.varint_from(start, first, what).map(Some),
            None => Ok(None),
        }
    }

    /// A number of at most `limit`.
    pub fn number(&mut self, limit: u64, what: &'static str) -> Result<u64> {
        let found = self.varint(what)?;
        if found > limit {
            return Err(FormatError::TooLarge { what, offset: self.offset, found, limit });
        }
        Ok(found)
    }

    /// A signed number, zigzag coded.
    pub fn signed(&mut self, what: &'static str) -> Result<i64> {
        self.varint(what).map(unzigzag)
    }

    /// A length of at most `limit` and so many bytes. `limit` bounds the allocation.
    pub fn bytes(&mut self, limit: usize, what: &'static str) -> Result<Vec<u8>> {
        let len = self.number(limit as u64, what)? as usize;
        let mut bytes = vec![0; len];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    /// As [`Self::bytes`], and valid UTF-8.
    pub fn text(&mut self, limit: usize, what: &'static str) -> Result<String> {
        let offset = self.offset;
        String::from_utf8(self.bytes(limit, what)?).map_err(|error| FormatError::Invalid {
            what,
            offset,
            expected: "text in UTF-8",
            found: error.as_bytes().escape_ascii().to_string(),
        })
    }

    fn varint_from(&mut self, start: u64, first: u8, what: &'static str) -> Result<u64> {
        let refuse = |why| FormatError::NotCanonical { what, offset: start, why };
        let mut byte = first;
        let mut value = u64::from(byte & 0x7f);
        for shift in (7..).step_by(7) {
            if byte & 0x80 == 0 {
                break;
            }
            byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            if shift > 63 || shift == 63 && bits > 1 {
                return Err(refuse("over 64 bits"));
            }
            value |= bits << shift;
            if byte == 0 {
                return Err(refuse("a number must not end in a zero byte"));
            }
        }
        Ok(value)
    }

    fn failure(&self, error: &io::Error, what: &'static str) -> FormatError {
        let offset = self.offset;
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<FormatError>());
        match (inner, error.kind()) {
            (Some(inner), _) => inner.clone(),
            (None, io::ErrorKind::UnexpectedEof) => FormatError::Truncated { what, offset },
            (None, kind) => FormatError::Read { what, offset, kind, message: error.to_string() },
        }
    }

    /// Checks that nothing follows.
    pub fn expect_end(&mut self, what: &'static str) -> Result<()> {
        let offset = self.offset;
        match self.byte_or_end(what)? {
            None => Ok(()),
            Some(_) => {
                Err(FormatError::NotCanonical { what, offset, why: "bytes follow after its end" })
            }
        }
    }
}

/// Writes fields to a stream.
pub struct Writer<W> {
    inner: W,
    offset: u64,
}

impl<W: Write> Writer<W> {
    /// Starts with nothing written.
    pub fn new(inner: W) -> Self {
        Self { inner, offset: 0 }
    }

    /// Bytes written so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Gives the writer underneath back.
    pub fn into_inner(self) -> W {
        self.inner
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.offset += bytes.len() as u64;
        self.inner.write_all(bytes)
    }

    /// An unsigned number in its shortest LEB128 form.
    pub fn varint(&mut self, mut value: u64) -> io::Result<()> {
        let mut buffer = [0; 10];
        let mut len = 0;
        while value >= 0x80 {
            buffer[len] = value as u8 | 0x80;
            value >>= 7;
            len += 1;
        }
        buffer[len] = value as u8;
        self.raw(&buffer[..=len])
    }

    /// A signed number, zigzag coded.
    pub fn signed(&mut self, value: i64) -> io::Result<()> {
        self.varint(zigzag(value))
    }

    /// A length and the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.varint(bytes.len() as u64)?;
        self.raw(bytes)
    }
}

/// Appends a number in its shortest LEB128 form.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Maps small negative numbers to small unsigned ones: 0, -1, 1, -2 … become 0, 1, 2, 3 …
pub const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
