//! Finding roughly where the parts of the old content are in the new one, in a fraction of the time of
//! [`crate::find`]: enough for a first map.

use crate::patch::Copied;

/// Bytes that must be equal.
const WINDOW: usize = 32;
/// One window of the old content is known for so many bytes.
const STEP: usize = 8;
/// So many bytes that agree go on along the last copy, over what does not agree.
const AGAIN: usize = 12;
/// Not further than this from where it ended.
const FURTHEST: usize = 256;

/// Finds copies of `old` in `new`: ascending and not overlapping in `new`, within `old`.
pub(crate) fn find_roughly(old: &[u8], new: &[u8]) -> Vec<Copied> {
    let mut copies: Vec<Copied> = Vec::new();
    if old.len() < WINDOW || new.len() < WINDOW {
        return copies;
    }
    let known = Windows::of(old);
    let mut at = 0;
    // Where in `new` the last copy ends, and by how much `old` is ahead there.
    let (mut end, mut shift) = (0usize, 0isize);
    while at + WINDOW <= new.len() {
        if at - end <= FURTHEST && agrees(old, new, at, shift, AGAIN) {
            let len = common(&old[at.wrapping_add_signed(shift)..], &new[at..]);
            match copies.last_mut() {
                Some(last) => last.len += (at + len - end) as u64,
                None => copies.push(Copied {
                    new: at as u64,
                    old: at.wrapping_add_signed(shift) as u64,
                    len: len as u64,
                }),
            }
            at += len;
            end = at;
            continue;
        }
        let Some(place) = known.find(old, &new[at..at + WINDOW]) else {
            at += 1;
            continue;
        };
        let before = new[end..at].iter().rev().zip(old[..place].iter().rev());
        let before = before.take_while(|(a, b)| a == b).count();
        let len = common(&old[place..], &new[at..]);
        copies.push(Copied {
            new: (at - before) as u64,
            old: (place - before) as u64,
            len: (before + len) as u64,
        });
        shift = place as isize - at as isize;
        at += len;
        end = at;
    }
    copies
}

/// Whether so many bytes are equal.
fn agrees(old: &[u8], new: &[u8], at: usize, shift: isize, len: usize) -> bool {
    let Some(place) = at.checked_add_signed(shift) else { return false };
    match (old.get(place..place + len), new.get(at..at + len)) {
        (Some(old), Some(new)) => old == new,
        _ => false,
    }
}

fn common(old: &[u8], new: &[u8]) -> usize {
    let blocks = old.chunks(16).zip(new.chunks(16)).take_while(|(a, b)| a == b).count();
    let start = (blocks * 16).min(old.len()).min(new.len());
    start + old[start..].iter().zip(&new[start..]).take_while(|(a, b)| a == b).count()
}

/// Windows of the old content by their hashes.
struct Windows {
    /// Places divided by [`STEP`], plus one; of several the first.
    table: Vec<u32>,
    bits: u32,
}

impl Windows {
    fn of(old: &[u8]) -> Self {
        let bits = usize::BITS - (old.len() / STEP).leading_zeros() + 1;
        let mut table = vec![0u32; 1 << bits];
        for (index, place) in (0..=old.len() - WINDOW).step_by(STEP).enumerate() {
            let window = &old[place..place + WINDOW];
            // What repeats itself is nowhere in particular.
            if window[..WINDOW - STEP] == window[STEP..] {
                continue;
            }
            let entry = &mut table[slot(window, bits)];
            if *entry == 0 {
                *entry = index as u32 + 1;
            }
        }
        Self { table, bits }
    }

    fn find(&self, old: &[u8], window: &[u8]) -> Option<usize> {
        let entry = self.table[slot(window, self.bits)].checked_sub(1)?;
        let place = entry as usize * STEP;
        (old[place..place + WINDOW] == *window).then_some(place)
    }
}

fn slot(window: &[u8], bits: u32) -> usize {
    let mut hash = 0u64;
    for word in window.chunks_exact(8) {
        let word = u64::from_le_bytes(word.try_into().expect("chunks of eight"));
        hash = (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    (hash >> (64 - bits)) as usize
}
