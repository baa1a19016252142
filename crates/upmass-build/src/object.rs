//! One new object as the streams that make it from its base.

use upmass_delta::find::{MAX_OLD, find_copies, similarity};
use upmass_delta::patch::{Copied, Encoder, RawStreams};
use upmass_delta::stream::estimate;
use upmass_disk::ReadAt;
use upmass_format::ObjectId;
use upmass_store::Store;

use crate::{BuildError, Result};

/// Larger objects are cut into windows of this size, each matched against the same region of
/// the base and as much around it.
const WINDOW: u64 = 64 << 20;
/// A base may be this long to be searched as a whole.
const MAX_WHOLE_BASE: u64 = 128 << 20;
/// Windows with less in common are sent as they are.
const POOR: f64 = 0.01;
/// With so much covered by copies there is no question whether a patch is cheaper.
const MOST: f64 = 0.5;

/// Memory that encoding an object takes, in bytes.
pub(crate) fn memory_for(new: u64, base: Option<u64>) -> u64 {
    let new = new.min(WINDOW);
    let old = match base {
        None => 0,
        Some(old) if old <= MAX_WHOLE_BASE => old,
        Some(_) => 2 * WINDOW,
    };
    4 * new + (1 + upmass_delta::find::MEMORY_PER_OLD_BYTE) * old
}

/// Encodes a new object. The second value says whether anything is copied from the base.
pub(crate) fn encode(
    store: &Store,
    new: (ObjectId, u64),
    base: Option<(ObjectId, u64)>,
) -> Result<(RawStreams, bool)> {
    let (new_id, new_len) = new;
    let new_file = store.open_object(new_id)?;
    let base = match base {
        Some((id, len)) => Some((id, len, store.open_object(id)?)),
        None => None,
    };
    let mut encoder = Encoder::new();
    let mut is_patch = false;
    let mut start = 0;
    while start < new_len {
        let end = new_len.min(start + WINDOW);
        let window = read(&*new_file, new_id, start, end)?;
        let (old_start, old) = match &base {
            None => (0, Vec::new()),
            Some((id, len, file)) => {
                let (from, to) = match *len <= MAX_WHOLE_BASE {
                    true => (0, *len),
                    false => {
                        (start.saturating_sub(WINDOW / 2).min(*len), (*len).min(end + WINDOW / 2))
                    }
                };
                (from, read(&**file, *id, from, to)?)
            }
        };
        let copies = worthwhile_copies(&old, &window);
        let copies: Vec<Copied> =
            copies.into_iter().map(|copy| Copied { old: copy.old + old_start, ..copy }).collect();
        is_patch |= !copies.is_empty();
        encoder.window(&window, &old, old_start, &copies);
        start = end;
    }
    Ok((encoder.finish(), is_patch))
}

/// The first bytes of an object.
pub(crate) fn read_start(store: &Store, id: ObjectId, limit: usize) -> Result<Vec<u8>> {
    let file = store.open_object(id)?;
    read(&*file, id, 0, file.len().min(limit as u64))
}

/// Copies, or none when sending the window whole is cheaper.
fn worthwhile_copies(old: &[u8], new: &[u8]) -> Vec<Copied> {
    debug_assert!(old.len() <= MAX_OLD);
    if old.is_empty() || new.iter().all(|byte| *byte == 0) {
        return Vec::new();
    }
    if new.len() >= 4096 && old.len() >= 4096 && similarity(old, new) < POOR {
        return Vec::new();
    }
    let copies = find_copies(old, new);
    let covered: u64 = copies.iter().map(|copy| copy.len).sum();
    if covered as f64 >= MOST * new.len() as f64 || copies.is_empty() {
        return copies;
    }
    let mut encoder = Encoder::new();
    encoder.window(new, old, 0, &copies);
    let patch = encoder.finish();
    let patched = estimate(&patch.copy) + estimate(&patch.residue) + estimate(&patch.literal);
    match patched < estimate(new) {
        true => copies,
        false => Vec::new(),
    }
}

fn read(file: &dyn ReadAt, id: ObjectId, start: u64, end: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; (end - start) as usize];
    file.read_exact_at(&mut bytes, start).map_err(|source| BuildError::Read { id, source })?;
    Ok(bytes)
}
