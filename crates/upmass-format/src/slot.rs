//! Files of a boot slot that say what the slot is (`spec/slot.md`).

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::{ObjectId, ReleaseId};

/// The file that says which release a slot boots.
pub const RELEASE_FILE: &str = "upmass-release";
/// Longest file of that name that is read, in bytes.
pub const MAX_RELEASE_FILE: u64 = 128;

/// The content of [`RELEASE_FILE`].
pub fn release_file(id: ReleaseId) -> Vec<u8> {
    format!("{id}\n").into_bytes()
}

/// Reads [`RELEASE_FILE`]. `None` when it is anything else.
pub fn read_release_file(content: &[u8]) -> Option<ReleaseId> {
    std::str::from_utf8(content).ok()?.strip_suffix('\n')?.parse().ok()
}

/// The script that U-Boot runs.
pub const BOOT_SCRIPT: &str = "boot.scr";
/// What starts the fallback system, for U-Boot.
pub const EXTLINUX_FILE: &str = "upmass/extlinux.conf";
/// The directory of files that start one system each, for U-Boot.
pub const EXTLINUX_DIRECTORY: &str = "upmass/extlinux";

/// The file that says which files a slot has.
pub const CONTENTS_FILE: &str = "upmass-contents";
/// Longest file of that name that is read, in bytes.
pub const MAX_CONTENTS_FILE: u64 = 1 << 20;

/// The content of [`CONTENTS_FILE`] for these files: digests by path.
pub fn contents_file(files: &BTreeMap<String, ObjectId>) -> Vec<u8> {
    let mut text = String::new();
    for (path, digest) in files {
        let _ = writeln!(text, "{digest} {path}");
    }
    text.into_bytes()
}

/// Reads [`CONTENTS_FILE`]. `None` when it is damaged.
pub fn read_contents_file(content: &[u8]) -> Option<BTreeMap<String, ObjectId>> {
    let mut files = BTreeMap::new();
    for line in std::str::from_utf8(content).ok()?.strip_suffix('\n')?.split('\n') {
        let (digest, path) = line.split_once(' ')?;
        let is_after =
            files.last_key_value().is_none_or(|(last, _): (&String, _)| &last[..] < path);
        let is_valid = is_after && !path.is_empty() && !path.chars().any(char::is_control);
        files.insert(is_valid.then(|| path.to_owned())?, digest.parse().ok()?);
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_the_id_and_a_line_feed_and_nothing_else() {
        let id = ReleaseId::from_bytes([0xa5; 32]);
        let bytes = release_file(id);
        assert_eq!(read_release_file(&bytes), Some(id));
        for wrong in [&bytes[..64], &bytes[1..], b"", &[&bytes[..], b"\n"].concat(), b"\xff\n"] {
            assert_eq!(read_release_file(wrong), None);
        }
    }

    #[test]
    fn contents_are_digests_and_paths_that_ascend() {
        let id = |number| ObjectId::from_bytes([number; 32]);
        let files = BTreeMap::from([("EFI/a b".to_owned(), id(1)), ("c".to_owned(), id(2))]);
        let bytes = contents_file(&files);
        assert_eq!(read_contents_file(&bytes), Some(files.clone()));
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text, format!("{} EFI/a b\n{} c\n", id(1), id(2)));
        let twice = text.replace(" c", " EFI/a b");
        for wrong in
            ["", &text[..text.len() - 1], &text[1..], "\n", &format!("{} \n", id(1)), &twice]
        {
            assert_eq!(read_contents_file(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
