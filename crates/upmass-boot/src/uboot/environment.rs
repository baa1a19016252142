//! A sector that is an environment of U-Boot (`spec/uboot.md`).

use std::collections::BTreeMap;

use crc32fast::hash as crc32;

const LEN: usize = 512;

/// The sector that says these variables; zeros when there are none. `None` when they do not fit.
/// Names and values must be such that [`decode`] gives them back: graphic ASCII, no `=` in a name.
pub(super) fn encode(variables: &BTreeMap<&str, String>) -> Option<[u8; LEN]> {
    let mut sector = [0; LEN];
    if variables.is_empty() {
        return Some(sector);
    }
    let text: String = variables.iter().map(|(name, value)| format!("{name}={value}\0")).collect();
    // One NUL at least is behind the last variable.
    sector[4..LEN - 1].get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    for rest in 0..=u8::MAX {
        // A checksum of zero would say that the sector is empty.
        sector[4 + text.len() + 1..].fill(rest);
        let checksum = crc32(&sector[4..]);
        if checksum != 0 {
            sector[..4].copy_from_slice(&checksum.to_le_bytes());
            return Some(sector);
        }
    }
    None
}

/// The variables of a sector. `None` when it was torn or has something else; none of them when it
/// was cleared.
pub(super) fn decode(sector: &[u8; LEN]) -> Option<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    let (checksum, text) = sector.split_first_chunk::<4>()?;
    let checksum = u32::from_le_bytes(*checksum);
    if checksum == 0 {
        return Some(variables);
    }
    if crc32(text) != checksum {
        return None;
    }
    for variable in text.split(|byte| *byte == 0) {
        if variable.is_empty() {
            return Some(variables);
        }
        let variable = std::str::from_utf8(variable).ok()?;
        let is_plain = variable.bytes().all(|byte| byte.is_ascii_graphic());
        let (name, value) = variable.split_once('=').filter(|_| is_plain)?;
        variables.insert(name.to_owned(), value.to_owned());
    }
    // No end.
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_else_is_not() {
        let variables = BTreeMap::from([("a", "b=c".to_owned()), ("upmass", String::new())]);
        let sector = encode(&variables).unwrap();
        let owned = |(name, value): (&&str, &String)| ((*name).to_owned(), value.clone());
        assert_eq!(decode(&sector), Some(variables.iter().map(owned).collect()));
        assert_eq!(decode(&[0; LEN]), Some(BTreeMap::new()));
        assert_eq!(encode(&BTreeMap::new()), Some([0; LEN]));
        for bit in 0..LEN * 8 {
            let mut flipped = sector;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), None, "bit {bit}");
        }
        for cut in 5..17 {
            let mut torn = sector;
            torn[cut..].fill(0);
            assert_eq!(decode(&torn), None, "cut at {cut}");
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        // Name, `=` and two NULs beside it.
        let longest = LEN - 4 - 4;
        let of = |len| encode(&BTreeMap::from([("a", "x".repeat(len))]));
        assert!(decode(&of(longest).unwrap()).is_some());
        assert_eq!(of(longest + 1), None);
    }

    #[test]
    fn a_right_checksum_does_not_make_it_an_environment() {
        let check = |text: &[u8]| {
            let mut sector = [b'x'; LEN];
            sector[4..4 + text.len()].copy_from_slice(text);
            let checksum = crc32(&sector[4..]).to_le_bytes();
            sector[..4].copy_from_slice(&checksum);
            assert_eq!(decode(&sector), None, "{}", text.escape_ascii());
        };
        check(b"");
        check(b"a=b\0");
        check(b"a\0\0");
        check(b"a=\xff\0\0");
        check(b"a=b c\0\0");
    }
}
