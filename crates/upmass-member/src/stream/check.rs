//! Checksums of `.xz` files (The .xz File Format, 1.2, section 6; CRC-64 of ECMA-182).

use sha2::{Digest, Sha256};

use crate::recipe::XzCheck;

/// The checksum of a block while its content goes by.
pub(crate) enum Sum {
    None,
    Crc32(crc32fast::Hasher),
    Crc64(u64),
    Sha256(Sha256),
}

impl Sum {
    pub(crate) fn new(check: XzCheck) -> Self {
        match check {
            XzCheck::None => Self::None,
            XzCheck::Crc32 => Self::Crc32(crc32fast::Hasher::new()),
            XzCheck::Crc64 => Self::Crc64(!0),
            XzCheck::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::None => {}
            Self::Crc32(sum) => sum.update(bytes),
            Self::Crc64(sum) => *sum = next64(*sum, bytes),
            Self::Sha256(sum) => sum.update(bytes),
        }
    }

    /// How many bytes it has.
    #[cfg(feature = "parse")]
    pub(crate) fn len(check: XzCheck) -> usize {
        match check {
            XzCheck::None => 0,
            XzCheck::Crc32 => 4,
            XzCheck::Crc64 => 8,
            XzCheck::Sha256 => 32,
        }
    }

    /// As it is written behind the block.
    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Crc32(sum) => sum.finalize().to_le_bytes().to_vec(),
            Self::Crc64(sum) => (!sum).to_le_bytes().to_vec(),
            Self::Sha256(sum) => sum.finalize().to_vec(),
        }
    }
}

fn next64(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, byte| TABLE[usize::from(sum as u8 ^ byte)] ^ sum >> 8)
}

static TABLE: [u64; 256] = table(0xc96c_5795_d787_0f42);

/// Of CRC-64; no crate here has it.
const fn table(polynomial: u64) -> [u64; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ polynomial } else { sum >> 1 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_the_usual_check_text() {
        let sum_of = |check| {
            let mut sum = Sum::new(check);
            sum.push(b"1234");
            sum.push(b"56789");
            sum.finish()
        };
        assert_eq!(sum_of(XzCheck::Crc32), 0xcbf4_3926_u32.to_le_bytes());
        assert_eq!(sum_of(XzCheck::Crc64), 0x995d_c9bb_df19_39fa_u64.to_le_bytes());
    }
}
