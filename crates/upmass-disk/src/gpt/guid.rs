//! Names of 128 bits.

use std::fmt;
use std::str::FromStr;

/// A GUID, as it is on the disk: the first three groups little-endian (UEFI 2.10, appendix A).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid([u8; 16]);

/// Where the bytes of the text are on the disk.
const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

impl Guid {
    /// The type of an entry that is not used.
    pub const ZERO: Self = Self([0; 16]);

    /// From the bytes on a disk.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes on a disk.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A GUID made of a digest: of version 8, which leaves its meaning to its maker (RFC 9562,
    /// 5.8). Six bits of the digest give way to that.
    pub fn from_digest(digest: [u8; 16]) -> Self {
        let mut text = digest;
        text[6] = text[6] & 0x0f | 0x80;
        text[8] = text[8] & 0x3f | 0x80;
        Self(ORDER.map(|index| text[index]))
    }

    /// From the usual text, at compile time.
    ///
    /// # Panics
    /// When it is not five groups of 8, 4, 4, 4 and 12 digits.
    pub const fn literal(text: &str) -> Self {
        match Self::parse(text.as_bytes()) {
            Some(guid) => guid,
            None => panic!("not a GUID"),
        }
    }

    const fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != 36 {
            return None;
        }
        let mut bytes = [0; 16];
        let (mut at, mut index) = (0, 0);
        while index < 16 {
            if matches!(at, 8 | 13 | 18 | 23) {
                if text[at] != b'-' {
                    return None;
                }
                at += 1;
            }
            let (Some(high), Some(low)) = (digit(text[at]), digit(text[at + 1])) else {
                return None;
            };
            bytes[ORDER[index]] = high << 4 | low;
            at += 2;
            index += 1;
        }
        Some(Self(bytes))
    }
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, place) in ORDER.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{:02x}", self.0[*place])?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no GUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a GUID: expected five groups of 8, 4, 4, 4 and 12 hexadecimal digits")]
pub struct NotAGuid(String);

impl FromStr for Guid {
    type Err = NotAGuid;

    fn from_str(text: &str) -> Result<Self, NotAGuid> {
        Self::parse(text.as_bytes()).ok_or_else(|| NotAGuid(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_mixed_endian_on_the_disk() {
        let text = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
        let guid: Guid = text.parse().unwrap();
        assert_eq!(guid.as_bytes()[..8], [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11]);
        assert_eq!(guid.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(guid));
        for wrong in
            ["", &text[1..], "c12a7328-f81f-11d2-ba4b-00a0c93ec93g", &text.replace('-', "_")]
        {
            assert!(wrong.parse::<Guid>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_guid_of_a_digest_says_that_its_maker_gives_it_meaning() {
        let text = Guid::from_digest([0xff; 16]).to_string();
        assert_eq!(text, "ffffffff-ffff-8fff-bfff-ffffffffffff");
    }
}
