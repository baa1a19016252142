//! The image of a script, as `mkimage -T script` of U-Boot makes it (U-Boot's `include/image.h`).

use crc32fast::hash as crc32;

const MAGIC: u32 = 0x2705_1956;
const OS_LINUX: u8 = 5;
/// Nobody looks at the architecture of a script.
const ARCHITECTURE: u8 = 22;
const TYPE_SCRIPT: u8 = 6;
const HEADER: usize = 64;
const NAME: &[u8] = b"Upmass";

/// A script in its image. Numbers are big-endian.
pub(super) fn image(text: &str) -> Vec<u8> {
    // A list of one length comes before the text.
    let mut data = (text.len() as u32).to_be_bytes().to_vec();
    data.extend([0; 4]);
    data.extend(text.as_bytes());
    let mut header = [0; HEADER];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &MAGIC.to_be_bytes());
    // At 8 the time, at 16 and 20 addresses: zero, so that the same text makes the same bytes.
    put(12, &(data.len() as u32).to_be_bytes());
    put(24, &crc32(&data).to_be_bytes());
    put(28, &[OS_LINUX, ARCHITECTURE, TYPE_SCRIPT, 0]);
    put(32, NAME);
    // Over the header with this field zero.
    let checksum = crc32(&header).to_be_bytes();
    header[4..8].copy_from_slice(&checksum);
    [&header[..], &data].concat()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    #[test]
    fn the_image_of_a_script_is_that_of_mkimage() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for text in ["echo hello\n", super::super::BOOT_COMMANDS] {
            std::fs::write(path("boot.cmd"), text).unwrap();
            let made = Command::new("mkimage")
                .args(["-A", "arm64", "-O", "linux", "-T", "script", "-C", "none", "-n", "Upmass"])
                .arg("-d")
                .arg(path("boot.cmd"))
                .arg(path("boot.scr"))
                .env("SOURCE_DATE_EPOCH", "0")
                .output()
                .expect("mkimage is missing: run ./setup");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            assert!(super::image(text) == std::fs::read(path("boot.scr")).unwrap());
        }
    }
}
