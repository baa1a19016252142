//! What a boot loader that follows systemd's Boot Loader Interface tells in EFI variables.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use upmass_disk::gpt::Guid;

/// The vendor of variables of the Boot Loader Interface.
pub(crate) const VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Longest variable that is read, in bytes.
const MAX_VARIABLE: u64 = 1 << 12;

/// The partition that the loader was started from. `None` when nobody says so; an error is a
/// sentence.
pub(crate) fn booted_partition(
    efi_variables: &Path,
) -> Result<Option<Guid>, (PathBuf, std::io::Error)> {
    let path = efi_variables.join(format!("LoaderDevicePartUUID-{VENDOR}"));
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_VARIABLE).read_to_end(&mut bytes));
    match read {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err((path, error)),
    }
    // Four bytes of attributes come first.
    let text = bytes.get(4..).map(utf16).unwrap_or_default();
    let wrong = || std::io::Error::other(format!("{text:?} is no GUID of a partition"));
    text.parse().map(Some).map_err(|_| (path, wrong()))
}

/// The text of a variable: UTF-16, up to the first NUL.
pub(crate) fn utf16(bytes: &[u8]) -> String {
    let units = bytes.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units)
}
