//! Patterns as `modules.alias` has them: `*`, `?` and `[a-z]`.

/// Whether a text matches a pattern. The time is bounded by the product of the lengths.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when what was tried behind the last `*` fails.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(_) => {
                if let Some(next) = one(pattern, p, text[t]) {
                    (p, t) = (next, t + 1);
                    continue;
                }
            }
            None => {}
        }
        let Some((after, from)) = star else { return false };
        star = Some((after, from + 1));
        (p, t) = (after, from + 1);
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Whether one byte matches what is at `at`, and where the pattern goes on.
fn one(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    match pattern[at] {
        b'?' => Some(at + 1),
        b'[' => {
            let end = at + 1 + pattern[at + 1..].iter().position(|byte| *byte == b']')?;
            let mut class = &pattern[at + 1..end];
            while let Some((first, rest)) = class.split_first() {
                match rest {
                    [b'-', last, rest @ ..] => {
                        if (*first..=*last).contains(&byte) {
                            return Some(end + 1);
                        }
                        class = rest;
                    }
                    rest => {
                        if *first == byte {
                            return Some(end + 1);
                        }
                        class = rest;
                    }
                }
            }
            None
        }
        other => (other == byte).then_some(at + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn devices_are_matched_as_modprobe_does() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        };
        let nvme = "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02";
        check("pci:v*d*sv*sd*bc01sc08i02*", nvme, true);
        check("pci:v*d*sv*sd*bc01sc06i01*", nvme, false);
        check("virtio:d00000002v*", "virtio:d00000002v00001AF4", true);
        check(
            "usb:v*p*d*dc*dsc*dp*ic08isc06ip50in*",
            "usb:v1p2d3dc0dsc0dp0ic08isc06ip50in00",
            true,
        );
        check("usb:v0123d000[0-9a]", "usb:v0123d000a", true);
        check("usb:v0123d000[0-9a]", "usb:v0123d000b", false);
        check("scsi:t-0x00*", "scsi:t-0x00", true);
        check("a?c", "abc", true);
        check("a?c", "ac", false);
        check("[", "[", false);
        check("*", "", true);
        check("", "a", false);
        check(&"*a".repeat(20), &"b".repeat(2000), false);
    }
}
