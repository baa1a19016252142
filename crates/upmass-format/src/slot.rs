//! Files of a boot slot that say what the slot is (`spec/slot.md`).

use crate::ReleaseId;

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
}
