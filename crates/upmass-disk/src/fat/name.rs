//! Names: long ones, and the short ones that go with them.

use std::collections::BTreeSet;

/// Longest name in units of UTF-16.
pub(super) const MAX_UNITS: usize = 255;

/// A name of 8 and 3 characters, filled up with spaces.
pub(super) type Short = [u8; 11];

/// Whether FAT takes a name, as a long one.
pub(super) fn is_valid(name: &str) -> bool {
    let is_bad = |c: char| c.is_control() || "\"*/:<>?\\|".contains(c);
    !name.is_empty()
        && name.encode_utf16().count() <= MAX_UNITS
        && !name.contains(is_bad)
        && !name.ends_with([' ', '.'])
        && !name.starts_with(' ')
}

/// What tells names apart: without case.
pub(super) fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).collect()
}

/// The short name of a name that needs no long one.
pub(super) fn exact_short(name: &str) -> Option<Short> {
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let is_short = |text: &str, max| text.len() <= max && text.bytes().all(is_short_byte);
    let has_dot = name.contains('.');
    let is_exact = !base.is_empty()
        && is_short(base, 8)
        && is_short(extension, 3)
        && (!has_dot || !extension.is_empty());
    is_exact.then(|| fill(base.as_bytes(), extension.as_bytes()))
}

/// A short name for a long one that nobody in the directory has: the beginning, `~` and a
/// number, and the extension.
pub(super) fn alias(name: &str, taken: &BTreeSet<Short>) -> Short {
    // Capitals of other letters depend on the version of Unicode.
    let name = name.to_ascii_uppercase();
    let (base, extension) = name.trim_start_matches('.').rsplit_once('.').unwrap_or((&name, ""));
    let plain = |text: &str, max: usize| -> Vec<u8> {
        let bytes = text
            .chars()
            .filter(|c| *c != ' ' && *c != '.')
            .map(|c| u8::try_from(c).ok().filter(|byte| is_short_byte(*byte)).unwrap_or(b'_'));
        bytes.take(max).collect()
    };
    let (base, extension) = (plain(base, 8), plain(extension, 3));
    let numbers = 1..=u32::MAX;
    let candidates = numbers.map(|number| {
        let tail = format!("~{number}");
        let keep = base.len().min(8usize.saturating_sub(tail.len()));
        fill(&[&base[..keep], tail.as_bytes()].concat(), &extension)
    });
    // A directory has at most 65536 entries, so that a number up to that is free.
    candidates.into_iter().find(|short| !taken.contains(short)).unwrap_or([b'_'; 11])
}

fn is_short_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"!#$%&'()-@^_`{}~".contains(&byte)
}

fn fill(base: &[u8], extension: &[u8]) -> Short {
    let mut short = [b' '; 11];
    short[..base.len()].copy_from_slice(base);
    short[8..8 + extension.len()].copy_from_slice(extension);
    short
}

/// The byte that ties long names to their short one.
pub(super) fn checksum(short: &Short) -> u8 {
    short.iter().fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// How a short name is written.
pub(super) fn short_text(short: &Short) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches(' ').to_owned();
    let (base, extension) = (text(&short[..8]), text(&short[8..]));
    if extension.is_empty() { base } else { format!("{base}.{extension}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_eight_and_three_capitals_need_no_long_name() {
        let exact = |name: &str| exact_short(name).map(|short| short_text(&short));
        for name in ["EFI", "BOOTX64.EFI", "A", "A.B", "12345678.123"] {
            assert_eq!(exact(name), Some(name.to_owned()));
        }
        for name in ["efi", "BOOTX64.efi", "123456789", "A.B.C", "A.LONG", ".A", "A.", "A B", "Ä"]
        {
            assert_eq!(exact(name), None, "{name}");
        }
    }

    #[test]
    fn aliases_are_unique_and_follow_from_the_name() {
        let mut taken = BTreeSet::new();
        let mut next = |name: &str| {
            let short = alias(name, &taken);
            assert!(taken.insert(short));
            short_text(&short)
        };
        assert_eq!(next("loader.conf"), "LOADER~1.CON");
        assert_eq!(next("loader.config"), "LOADER~2.CON");
        assert_eq!(next("vmlinuz-6.1.0-1"), "VMLINU~1.0-1");
        assert_eq!(next(".hidden"), "HIDDEN~1");
        assert_eq!(next("größe"), "GR__E~1");
        assert_eq!(next("a"), "A~1");
        for _ in 0..20 {
            next("entries");
        }
        assert_eq!(next("entries"), "ENTRI~21");
    }
}
