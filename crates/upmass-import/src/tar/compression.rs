//! What is around an archive: nothing, gzip, xz or zstd, told by the first bytes.

use std::io::{BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use super::fault::ArchiveFault;
use super::zstd::ZstdReader;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    /// The name of the format, for messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Compression::None => "tar",
            Compression::Gzip => "gzip",
            Compression::Xz => "xz",
            Compression::Zstd => "zstd",
        }
    }
}

/// Looks at the first bytes of an archive and decompresses it from there.
pub(crate) fn open<'a>(
    mut input: impl Read + 'a,
) -> Result<(Compression, Box<dyn Read + 'a>), ArchiveFault> {
    let mut front = Vec::new();
    (&mut input).take(FRONT_LEN).read_to_end(&mut front)?;
    let compression = detect(&front)?;
    let input = BufReader::with_capacity(1 << 18, Cursor::new(front).chain(input));
    Ok((compression, decoder(compression, input)))
}

fn decoder<'a>(compression: Compression, input: impl BufRead + 'a) -> Box<dyn Read + 'a> {
    match compression {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(MultiGzDecoder::new(input)),
        Compression::Xz => {
            let limit_in_kib = (MAX_MEMORY >> 10) as u32;
            Box::new(XzReader::new_mem_limit(input, true, limit_in_kib))
        }
        Compression::Zstd => Box::new(ZstdReader::new(input, MAX_WINDOW)),
    }
}

fn detect(front: &[u8]) -> Result<Compression, ArchiveFault> {
    let other = |found| Err(ArchiveFault::OtherCompression { found });
    match front {
        [] => Err(ArchiveFault::Empty),
        [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Ok(Compression::Xz),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Compression::Zstd),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => other("bzip2"),
        [b'L', b'Z', b'I', b'P', 1, ..] => other("lzip"),
        [0x04, 0x22, 0x4d, 0x18, ..] => other("lz4"),
        [0x89, b'L', b'Z', b'O', 0, ..] => other("lzop"),
        [0x1f, 0x9d, ..] => other("compress"),
        [0x5d, 0, 0, ..] => other("lzma"),
        _ => Ok(Compression::None),
    }
}

const FRONT_LEN: u64 = 6;
/// `zstd --long=27`, the most that zstd itself decodes without being told.
const MAX_WINDOW: u64 = 128 << 20;
/// For the dictionary of xz: `xz -9` has one of 64 MiB.
const MAX_MEMORY: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_are_not_read_are_named() {
        let table: [(&[u8], &str); 5] = [
            (b"BZh91AY&SY", "bzip2"),
            (b"LZIP\x01\x0c", "lzip"),
            (b"\x04\x22\x4d\x18\x64", "lz4"),
            (b"\x1f\x9d\x90", "compress"),
            (b"\x5d\0\0\x80\0\xff\xff", "lzma"),
        ];
        for (front, name) in table {
            match detect(front) {
                Err(ArchiveFault::OtherCompression { found }) => assert_eq!(found, name),
                other => panic!("{name}: {other:?}"),
            }
        }
        assert!(matches!(detect(b""), Err(ArchiveFault::Empty)));
        assert!(matches!(detect(b"./\0\0\0\0"), Ok(Compression::None)));
    }
}
