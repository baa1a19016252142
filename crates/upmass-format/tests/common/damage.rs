//! What every decoder has to bear: its input cut short anywhere, and each bit flipped.

use upmass_format::{FormatError, Result};

use super::markdown::Hex;

/// What the input ending early must lead to.
#[derive(Clone, Copy, PartialEq)]
pub enum Cut {
    /// An error that says so.
    Refused,
    /// The same, unless it is cut between two items of a sequence.
    BetweenItems,
}

/// Checks a decoder with one valid input. `again` decodes all of its input and encodes the value.
///
/// One value has exactly one encoding: whatever is accepted is encoded to the very same bytes.
pub fn check(valid: &[u8], cut: Cut, again: impl Fn(&[u8]) -> Result<Vec<u8>>) {
    let encoded = again(valid).expect("a valid input");
    assert_eq!(Hex(&encoded), Hex(valid), "the valid input, encoded again");
    each_prefix(valid, |prefix| match (again(prefix), cut) {
        (Err(error), _) => {
            let is_cut = matches!(error, FormatError::Truncated { .. });
            assert!(is_cut, "cut at {}: {error:?}", prefix.len());
        }
        (Ok(encoded), Cut::BetweenItems) => assert_eq!(encoded, prefix),
        (Ok(_), Cut::Refused) => panic!("cut at {}, and accepted", prefix.len()),
    });
    each_flipped_bit(valid, |damaged, at| {
        if let Ok(encoded) = again(damaged) {
            assert_eq!(Hex(&encoded), Hex(damaged), "a flipped bit at {at}");
        }
    });
}

/// Calls `check` with each proper prefix.
pub fn each_prefix(valid: &[u8], check: impl FnMut(&[u8])) {
    (0..valid.len()).map(|end| &valid[..end]).for_each(check);
}

/// Calls `check` with each copy that has one bit flipped, and the place of the bit's byte.
pub fn each_flipped_bit(valid: &[u8], mut check: impl FnMut(&[u8], usize)) {
    let mut damaged = valid.to_vec();
    for at in 0..valid.len() {
        for bit in 0..8 {
            damaged[at] ^= 1 << bit;
            check(&damaged, at);
            damaged[at] ^= 1 << bit;
        }
    }
}
