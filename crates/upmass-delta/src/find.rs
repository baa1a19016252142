//! Finding what of the new content looks like the old one.
//!
//! A suffix array over the old content answers where the longest match of any new position is.
//! A match is taken when it is clearly longer than what going on along the last one would
//! give, and is extended over single differences to both sides, as bsdiff does (Percival,
//! *Naive differences of executable code*, 2003).

use libsais::SuffixArrayConstruction;

use crate::patch::Copied;

/// Largest old content for one suffix array, in bytes.
pub const MAX_OLD: usize = 256 << 20;
/// Memory of a search, in bytes for each byte of old content: suffix array and filter.
pub const MEMORY_PER_OLD_BYTE: u64 = 6;

/// By how much a match must be longer than the continuation of the last one.
const ADVANTAGE: usize = 8;
/// A new position is only searched when so many bytes from it on occur in the old content.
const GRAM: usize = 8;
/// Windows this long are sampled to see whether two contents have anything in common.
const SAMPLE: usize = 32;

/// Finds copies of `old` in `new`: ascending, not overlapping in `new`, within `old`.
pub fn find_copies(old: &[u8], new: &[u8]) -> Vec<Copied> {
    assert!(old.len() <= MAX_OLD, "the caller cuts old content into windows");
    let prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    if prefix == new.len() {
        return copied(0, 0, prefix).into_iter().collect();
    }
    if old.len() < GRAM || new.len() < GRAM {
        return copied(0, 0, prefix).into_iter().collect();
    }
    Finder::new(old).find(new)
}

/// Estimates which share of `new` occurs in `old`: 0 to 1, by samples. One pass over both.
pub fn similarity(old: &[u8], new: &[u8]) -> f64 {
    if old.len() < SAMPLE || new.len() < SAMPLE {
        return 0.0;
    }
    let bits = (usize::BITS - (old.len() / 2).leading_zeros()).max(10);
    let mut seen = vec![0u64; 1 << (bits - 6)];
    for window in old.chunks_exact(SAMPLE) {
        let hash = hash(window) >> (64 - bits);
        seen[(hash >> 6) as usize] |= 1 << (hash & 63);
    }
    let mut covered = 0;
    let mut position = 0;
    while position + SAMPLE <= new.len() {
        let hash = hash(&new[position..position + SAMPLE]) >> (64 - bits);
        if seen[(hash >> 6) as usize] >> (hash & 63) & 1 == 1 {
            covered += SAMPLE;
            position += SAMPLE;
        } else {
            position += 1;
        }
    }
    covered as f64 / new.len() as f64
}

fn copied(new: usize, old: usize, len: usize) -> Option<Copied> {
    (len > 0).then_some(Copied { new: new as u64, old: old as u64, len: len as u64 })
}

fn hash(window: &[u8]) -> u64 {
    let mut hash = 0u64;
    for word in window.chunks_exact(8) {
        let word = u64::from_le_bytes(word.try_into().expect("chunks of eight"));
        hash = (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    hash ^ hash >> 29
}

struct Finder<'a> {
    old: &'a [u8],
    suffixes: Vec<i32>,
    /// Where the suffixes that begin with two given bytes are in `suffixes`.
    buckets: Vec<u32>,
    /// The bucket that starts behind the suffix of one byte.
    lone: usize,
    grams: Vec<u64>,
    gram_bits: u32,
}

impl<'a> Finder<'a> {
    fn new(old: &'a [u8]) -> Self {
        let suffixes = SuffixArrayConstruction::for_text(old)
            .in_owned_buffer32()
            .single_threaded()
            .run()
            .expect("the content is shorter than 2 GiB")
            .into_vec();
        let mut buckets = vec![0u32; 65537];
        for pair in old.windows(2) {
            buckets[usize::from(u16::from_be_bytes([pair[0], pair[1]])) + 1] += 1;
        }
        // The last suffix has one byte only; it sorts before all that begin with that byte.
        let lone = usize::from(*old.last().expect("old content is not empty")) << 8;
        buckets[lone] += 1;
        for index in 1..buckets.len() {
            buckets[index] += buckets[index - 1];
        }
        let gram_bits = usize::BITS - old.len().leading_zeros() + 3;
        let mut grams = vec![0u64; 1 << gram_bits.saturating_sub(6)];
        for window in old.windows(GRAM) {
            let hash = hash(window) >> (64 - gram_bits);
            grams[(hash >> 6) as usize] |= 1 << (hash & 63);
        }
        Self { old, suffixes, buckets, lone, grams, gram_bits }
    }

    fn may_match(&self, new: &[u8]) -> bool {
        let Some(window) = new.get(..GRAM) else {
            return false;
        };
        let hash = hash(window) >> (64 - self.gram_bits);
        self.grams[(hash >> 6) as usize] >> (hash & 63) & 1 == 1
    }

    /// The longest match of the start of `new`: position and length.
    fn search(&self, new: &[u8]) -> (usize, usize) {
        let bucket = usize::from(u16::from_be_bytes([new[0], new[1]]));
        let mut low = self.buckets[bucket] as usize;
        let mut high = self.buckets[bucket + 1] as usize - usize::from(bucket + 1 == self.lone);
        let (mut low_len, mut high_len) = (2, 2);
        let mut best = (0, 0);
        while low < high {
            let middle = low + (high - low) / 2;
            let suffix = self.suffixes[middle] as usize;
            let text = &self.old[suffix..];
            // All suffixes in between agree with `new` in at least this many bytes.
            let skip = low_len.min(high_len).min(text.len());
            let len = skip + common(&text[skip..], &new[skip..]);
            if len > best.1 {
                best = (suffix, len);
            }
            if len == new.len() {
                break;
            }
            if len == text.len() || text[len] < new[len] {
                low = middle + 1;
                low_len = len;
            } else {
                high = middle;
                high_len = len;
            }
        }
        best
    }

    fn find(&self, new: &[u8]) -> Vec<Copied> {
        let mut copies = Vec::new();
        let (mut scan, mut len, mut position) = (0usize, 0usize, 0usize);
        // The last copy that was decided on: where it began, and where it goes on in `old`.
        let (mut last_scan, mut last_position) = (0usize, 0usize);
        let mut shift = 0isize;
        let agrees = |at: usize, shift: isize| {
            at.checked_add_signed(shift).and_then(|old| self.old.get(old)) == Some(&new[at])
        };
        while scan < new.len() {
            let mut score = 0usize;
            scan += len;
            let mut counted = scan;
            len = 0;
            while scan < new.len() {
                (position, len) = match self.may_match(&new[scan..]) {
                    true => self.search(&new[scan..]),
                    false => (0, 0),
                };
                while counted < scan + len {
                    score += usize::from(agrees(counted, shift));
                    counted += 1;
                }
                if len == score && len != 0 || len > score + ADVANTAGE {
                    break;
                }
                if counted > scan {
                    score -= usize::from(agrees(scan, shift));
                }
                scan += 1;
                counted = counted.max(scan);
            }
            if len == score && scan < new.len() {
                continue;
            }
            let forward = self.extend_forward(&new[last_scan..scan], last_position);
            let backward = match scan < new.len() {
                true => extend_backward(&self.old[..position], &new[last_scan..scan]),
                false => 0,
            };
            let (forward, backward) =
                self.part(&new[last_scan..scan], last_position, position, forward, backward);
            copies.extend(copied(last_scan, last_position, forward));
            last_scan = scan - backward;
            last_position = position.wrapping_sub(backward);
            shift = position as isize - scan as isize;
        }
        copies
    }

    /// How far to go on along the last match: where agreement is most above half.
    fn extend_forward(&self, new: &[u8], position: usize) -> usize {
        let (mut score, mut best, mut len) = (0isize, 0isize, 0);
        for (index, (old, new)) in self.old[position..].iter().zip(new).enumerate() {
            score += if old == new { 1 } else { -1 };
            if score > best {
                (best, len) = (score, index + 1);
            }
        }
        len
    }

    /// Where two extensions overlap, gives each the part that it agrees with better.
    fn part(
        &self,
        new: &[u8],
        last_position: usize,
        position: usize,
        forward: usize,
        backward: usize,
    ) -> (usize, usize) {
        let Some(overlap) = (forward + backward).checked_sub(new.len()).filter(|n| *n > 0) else {
            return (forward, backward);
        };
        let start = forward - overlap;
        let (mut score, mut best, mut len) = (0isize, 0isize, 0);
        for index in 0..overlap {
            let byte = new[start + index];
            score += isize::from(self.old[last_position + start + index] == byte);
            score -= isize::from(self.old[position - backward + index] == byte);
            if score > best {
                (best, len) = (score, index + 1);
            }
        }
        (start + len, backward - len)
    }
}

/// How far back a match reaches: where agreement is most above half.
fn extend_backward(old: &[u8], new: &[u8]) -> usize {
    let (mut score, mut best, mut len) = (0isize, 0isize, 0);
    for (index, (old, new)) in old.iter().rev().zip(new.iter().rev()).enumerate() {
        score += if old == new { 1 } else { -1 };
        if score > best {
            (best, len) = (score, index + 1);
        }
    }
    len
}

fn common(old: &[u8], new: &[u8]) -> usize {
    let blocks = old.chunks(16).zip(new.chunks(16)).take_while(|(a, b)| a == b).count();
    let start = (blocks * 16).min(old.len()).min(new.len());
    start + old[start..].iter().zip(&new[start..]).take_while(|(a, b)| a == b).count()
}
