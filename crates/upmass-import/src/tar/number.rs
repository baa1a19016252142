//! Numbers as archives write them.

use upmass_format::tree::Mtime;

/// A field of a header: octal digits, or, with the highest bit set, a big-endian number in two's
/// complement (GNU). An empty field is 0.
pub(super) fn field(field: &[u8]) -> Option<i64> {
    match field.split_first()? {
        (first, rest) if first & 0x80 != 0 => {
            // The bit below the mark is the sign.
            let top = ((first << 1) as i8 >> 1) as i64;
            rest.iter()
                .try_fold(top, |value, byte| value.checked_mul(256)?.checked_add(i64::from(*byte)))
        }
        _ => {
            let start = field.iter().position(|byte| *byte != b' ').unwrap_or(field.len());
            let digits = &field[start..];
            let end = digits.iter().position(|b| matches!(b, b' ' | 0)).unwrap_or(digits.len());
            if !digits[end..].iter().all(|byte| matches!(byte, b' ' | 0)) {
                return None;
            }
            digits[..end].iter().try_fold(0i64, |value, digit| match digit {
                b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
                _ => None,
            })
        }
    }
}

/// A decimal number without a sign.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// A decimal number of seconds, with sign and fraction where needed. Digits below nanoseconds
/// are dropped.
pub(super) fn time(text: &[u8]) -> Option<Mtime> {
    let (is_negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &b""[..]),
    };
    let seconds = i64::try_from(decimal(whole)?).ok()?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanoseconds = (0..9).fold(0u32, |value, place| {
        value * 10 + fraction.get(place).map_or(0, |digit| u32::from(digit - b'0'))
    });
    Some(match (is_negative, nanoseconds) {
        (false, _) => Mtime { seconds, nanoseconds },
        (true, 0) => Mtime { seconds: -seconds, nanoseconds },
        (true, _) => Mtime { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_octal_or_binary() {
        let table: [(&[u8], Option<i64>); 14] = [
            (b"0000644\0", Some(0o644)),
            (b"  644 \0\0", Some(0o644)),
            (b"77777777", Some(0o77777777)),
            (b"\0\0\0\0", Some(0)),
            (b"    ", Some(0)),
            (b"08\0\0", None),
            (b"12 3", None),
            (b"-1\0\0", None),
            (b"", None),
            (b"\x80\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff", Some(-1)),
            (b"\xff\xff\xff\x00", Some(-256)),
            (b"\x80\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
            (b"\x80\x80\0\0\0\0\0\0\0", None),
        ];
        for (bytes, expected) in table {
            assert_eq!(field(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn times_have_sign_and_fraction() {
        let table: [(&[u8], _); 10] = [
            (b"0", Some((0, 0))),
            (b"1700000000.5", Some((1_700_000_000, 500_000_000))),
            (b"1.000000001999", Some((1, 1))),
            (b"1.", Some((1, 0))),
            (b"-1", Some((-1, 0))),
            (b"-1.25", Some((-2, 750_000_000))),
            (b"-0.5", Some((-1, 500_000_000))),
            (b"1.5.5", None),
            (b".5", None),
            (b"99999999999999999999", None),
        ];
        for (text, expected) in table {
            let expected = expected.map(|(seconds, nanoseconds)| Mtime { seconds, nanoseconds });
            assert_eq!(time(text), expected, "{}", text.escape_ascii());
        }
    }
}
