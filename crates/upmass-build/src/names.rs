//! What names of components and files say: which part is a hash, which a version.

/// Length of the hash at the front of a Nix or Guix store name.
const STORE_HASH: usize = 32;
/// Its alphabet.
const STORE_DIGITS: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz";
/// The shortest run of letters and digits that is taken for a hash elsewhere in a name.
const MIN_HASH: usize = 16;

/// A component's name without its hash: `1hash…-openssl-3.0.20` is `openssl-3.0.20`.
///
/// A hash stands before the first or behind the last `-`: 32 characters of the alphabet of Nix, or
/// 16 small letters and digits or more, some of each.
pub(crate) fn without_hash(name: &str) -> &str {
    if let Some((first, rest)) = name.split_once('-')
        && !rest.is_empty()
        && is_hash(first)
    {
        return rest;
    }
    match name.rsplit_once('-') {
        Some((rest, last)) if !rest.is_empty() && is_hash(last) => rest,
        _ => name,
    }
}

/// The name of the package: what is before the version, which begins with a digit behind a `-`
/// (the rule of Nix).
pub(crate) fn package(name: &str) -> &str {
    let bytes = name.as_bytes();
    let version = bytes.windows(2).position(|pair| pair[0] == b'-' && pair[1].is_ascii_digit());
    &name[..version.unwrap_or(name.len())]
}

/// A name with each run of digits, and of what stands between numbers of a version, made one.
pub(crate) fn stem(name: &[u8]) -> Vec<u8> {
    let mut stem = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.first() {
        if first.is_ascii_digit() {
            let is_version = |byte: &u8| byte.is_ascii_digit() || b".-_+~".contains(byte);
            let run = rest.iter().take_while(|byte| is_version(byte)).count();
            let end = rest[..run].iter().rposition(u8::is_ascii_digit).map_or(run, |last| last + 1);
            stem.push(b'0');
            rest = &rest[end..];
        } else {
            stem.push(*first);
            rest = &rest[1..];
        }
    }
    stem
}

fn is_hash(part: &str) -> bool {
    let bytes = part.as_bytes();
    if bytes.len() == STORE_HASH {
        return bytes.iter().all(|byte| STORE_DIGITS.contains(byte));
    }
    let has = |kind: fn(&u8) -> bool| bytes.iter().any(kind);
    bytes.len() >= MIN_HASH
        && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_store_name_stands_before_the_first_dash() {
        let name = "xasjb6kc7sdxxka4qa6xnpfg9j8qjmhq-coreutils-9.1-1";
        assert_eq!(without_hash(name), "coreutils-9.1-1");
        assert_eq!(without_hash("coreutils-9.1-1"), "coreutils-9.1-1");
        assert_eq!(without_hash("zlib-1.3-4xkz7d2mq5p6wnrs"), "zlib-1.3");
        assert_eq!(without_hash("internationalisation-data"), "internationalisation-data");
        assert_eq!(
            without_hash("xasjb6kc7sdxxka4qa6xnpfg9j8qjmhq"),
            "xasjb6kc7sdxxka4qa6xnpfg9j8qjmhq"
        );
        assert_eq!(without_hash(""), "");
    }

    #[test]
    fn a_version_begins_with_a_digit_behind_a_dash() {
        assert_eq!(package("openssl-3.0.20-bin"), "openssl");
        assert_eq!(package("libc6-2.36-9+deb12u14"), "libc6");
        assert_eq!(package("unit-script-nginx-pre-start"), "unit-script-nginx-pre-start");
        assert_eq!(package("-1"), "");
    }

    #[test]
    fn names_that_differ_in_numbers_have_one_stem() {
        for (a, b) in [
            ("6.1.0-50-amd64", "6.1.0-56-amd64"),
            ("libfoo.so.1.2.3", "libfoo.so.1.2.4"),
            ("python3.11", "python3.12"),
        ] {
            assert_eq!(stem(a.as_bytes()), stem(b.as_bytes()));
        }
        assert_ne!(stem(b"libfoo.so.1"), stem(b"libfoo.so"));
    }
}
