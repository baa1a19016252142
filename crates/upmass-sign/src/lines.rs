//! The lines that minisign's files are made of: comments, and base64 of known length.

use base64ct::{Base64, Encoding};

use crate::error::{Error, Expected, FileKind, Found};

/// The greatest length in bytes of a file that can be valid; a caller need not read more than one
/// byte beyond it.
///
/// The longest is a signature file: two comments, two lines of base64, each with a two-byte end.
pub const MAX_FILE_LEN: usize =
    (MAX_UNTRUSTED_LINE + 2) + (100 + 2) + (MAX_TRUSTED_LINE + 2) + (88 + 2);

/// Reads a file line by line. A line ends in `\n` or `\r\n`; the last may lack its end, since copying
/// by hand often loses it, and nothing else can be missing from lines of known length.
pub(crate) struct Lines<'a> {
    file: FileKind,
    /// The number of the line that comes next, from 1.
    line: u32,
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    pub(crate) fn new(file: FileKind, bytes: &'a [u8]) -> Self {
        Lines { file, line: 1, rest: bytes }
    }

    /// Reads a comment of bytes that nobody vouches for, and forgets them.
    pub(crate) fn untrusted_comment(&mut self) -> Result<(), Error> {
        self.comment(UNTRUSTED_PREFIX, MAX_UNTRUSTED_LINE).map(|_| ())
    }

    /// Reads the comment that a signature covers; its text still has to be checked.
    ///
    /// Control characters are refused as newer minisigns do, since it is made to be printed.
    #[cfg(feature = "minisig")]
    pub(crate) fn trusted_comment(&mut self) -> Result<&'a str, Error> {
        let expected = Expected::Comment { prefix: TRUSTED_PREFIX, max: MAX_TRUSTED_LINE };
        let bytes = self.comment(TRUSTED_PREFIX, MAX_TRUSTED_LINE)?;
        match std::str::from_utf8(bytes) {
            Ok(text) if is_printable(text) => Ok(text),
            _ => Err(self.error(expected, Found::NotText)),
        }
    }

    /// Reads a line of base64 into all of `bytes`.
    pub(crate) fn base64<const N: usize>(&mut self, bytes: &mut [u8; N]) -> Result<(), Error> {
        let expected = Expected::Base64 { characters: base64_len(N) };
        let line = self.next().ok_or(Found::Nothing);
        line.and_then(|line| {
            if line.len() != base64_len(N) {
                return Err(Found::Bytes(line.len()));
            }
            match Base64::decode(line, bytes) {
                Ok(decoded) if decoded.len() == N => Ok(()),
                _ => Err(Found::NotBase64),
            }
        })
        .map_err(|found| self.error(expected, found))
    }

    /// Makes sure that nothing follows the line that was read last.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        match self.next() {
            None => Ok(()),
            Some(line) => Err(self.error(Expected::End, Found::Bytes(line.len()))),
        }
    }

    fn comment(&mut self, prefix: &'static str, max: usize) -> Result<&'a [u8], Error> {
        let line = self.next().ok_or(Found::Nothing);
        line.and_then(|line| match line.strip_prefix(prefix.as_bytes()) {
            _ if line.len() > max => Err(Found::Bytes(line.len())),
            Some(comment) => Ok(comment),
            None => Err(Found::OtherWords),
        })
        .map_err(|found| self.error(Expected::Comment { prefix, max }, found))
    }

    /// Returns the next line without its end.
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.line += 1;
        match self.rest.iter().position(|&byte| byte == b'\n') {
            None => Some(std::mem::take(&mut self.rest)),
            Some(end) => {
                let line = &self.rest[..end];
                self.rest = &self.rest[end + 1..];
                Some(line.strip_suffix(b"\r").unwrap_or(line))
            }
        }
    }

    /// An error about the line that was just read, or missed.
    fn error(&self, expected: Expected, found: Found) -> Error {
        let line = match found {
            Found::Nothing => self.line,
            _ => self.line - 1,
        };
        Error::Shape { file: self.file, line, expected, found }
    }
}

/// Encodes `bytes` into `text`, a buffer of the caller's since the bytes may be secret.
pub(crate) fn encode<'a, const N: usize, const M: usize>(
    bytes: &[u8; N],
    text: &'a mut [u8; M],
) -> &'a str {
    const { assert!(M == base64_len(N), "the text fits") };
    // Cannot fail: the assertion above holds, or this would not compile.
    Base64::encode(bytes, text).expect("the text fits")
}

/// The number of characters of `bytes` bytes in base64, with padding.
pub(crate) const fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Whether newer minisigns accept the text as a comment: no control characters but tabs.
#[cfg(feature = "minisig")]
pub(crate) fn is_printable(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && c != '\t')
}

pub(crate) const UNTRUSTED_PREFIX: &str = "untrusted comment: ";
#[cfg(feature = "minisig")]
pub(crate) const TRUSTED_PREFIX: &str = "trusted comment: ";

/// minisign reads the line and its end into 1024 bytes, with a NUL.
pub(crate) const MAX_UNTRUSTED_LINE: usize = 1024 - 2;
/// minisign reads the line and its end into 8192 bytes, with a NUL.
const MAX_TRUSTED_LINE: usize = 8192 - 2;
