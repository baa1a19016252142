//! The first bytes of a content, which say whether it is compressed.

use std::io;

use upmass_delta::patch::Sink;

/// Formats of compressed files by their first bytes.
const PACKINGS: [(&[u8], &str); 6] = [
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"PK\x03\x04", "zip"),
];
/// As long as the longest of them.
const LEN: usize = 6;

/// Keeps the first bytes and throws the rest away.
#[derive(Default)]
pub(super) struct Head {
    bytes: [u8; LEN],
    len: usize,
}

impl Head {
    /// The format in which the content is compressed.
    pub(super) fn packing(&self) -> Option<&'static str> {
        let start = &self.bytes[..self.len];
        PACKINGS.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, name)| *name)
    }
}

impl Sink for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let count = bytes.len().min(LEN - self.len);
        self.bytes[self.len..self.len + count].copy_from_slice(&bytes[..count]);
        self.len += count;
        Ok(())
    }

    fn write_zeros(&mut self, len: u64) -> io::Result<()> {
        self.len += len.min((LEN - self.len) as u64) as usize;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_say_how_a_file_is_compressed() {
        let packing = |pieces: &[&[u8]]| {
            let mut head = Head::default();
            pieces.iter().for_each(|piece| head.write(piece).unwrap());
            head.packing()
        };
        assert_eq!(packing(&[b"\x1f\x8b", b"\x08\0\0\0\0\0\0"]), Some("gzip"));
        assert_eq!(packing(&[b"\xfd", b"7zXZ", b"\0more"]), Some("xz"));
        assert_eq!(packing(&[b"\x7fELF\x02\x01"]), None);
        assert_eq!(packing(&[b"\x1f\x8b"]), None);
        assert_eq!(packing(&[]), None);
    }
}
