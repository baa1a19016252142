//! The file that holds an index.
//!
//! All numbers are little-endian: `UPMI`, version (4 bytes), then entries of 80 bytes,
//! ascending by file system and inode: file system (8), inode (8), size (8), mtime (8 seconds,
//! 4 nanoseconds), ctime (the same), object id (32). At the end the SHA-256 of all before it.

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use upmass_disk::Volume;
use upmass_format::ObjectId;
use upmass_format::tree::Mtime;

use super::{DIRECTORY, Filesystem, Known, Learned, Place, State};

const MAGIC: [u8; 4] = *b"UPMI";
const VERSION: u32 = 1;
const FRONT_LEN: usize = 8;
const ENTRY_LEN: usize = 80;
const CHECK_LEN: usize = 32;
/// Enough for ten million files.
const MAX_LEN: u64 = 1 << 30;

/// Reads an index: its entries, and the bytes they were read from. `None` when there is none.
pub(super) fn read(volume: &dyn Volume, path: &str) -> Result<Option<(Known, Vec<u8>)>, String> {
    let why = |why: &dyn std::fmt::Display| format!("{path}: {why}");
    let Some(file) = volume.open_if_exists(path).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    if file.len() > MAX_LEN {
        return Err(why(&format_args!("{} bytes are too many", file.len())));
    }
    let mut bytes = vec![0; file.len() as usize];
    file.read_exact_at(&mut bytes, 0).map_err(|error| why(&error))?;
    match decode(&bytes) {
        Some(entries) => Ok(Some((entries, bytes))),
        None => Err(why(&"it is damaged")),
    }
}

/// Puts an index in the place of the last one.
///
/// Before the replacement the last index is there, after it the new one; a cut in between, or
/// one that takes the name back, leaves either. Both are right, since each entry says by itself
/// when it holds. The sync comes first so that the name never leads to a file that is empty.
pub(super) fn replace(volume: &dyn Volume, path: &str, bytes: &[u8]) -> upmass_disk::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let temporary = format!("incoming/index-{}-{number}", std::process::id());
    volume.create_dir(DIRECTORY)?;
    volume.remove(&temporary)?;
    let mut file = volume.create(&temporary)?;
    file.write(bytes)?;
    file.sync()?;
    volume.replace(&temporary, path)?;
    volume.sync_dir(DIRECTORY)
}

/// Entries must ascend.
pub(super) fn encode(entries: &[Learned]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FRONT_LEN + entries.len() * ENTRY_LEN + CHECK_LEN);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    for Learned(place, state) in entries {
        bytes.extend_from_slice(&place.filesystem.0.to_le_bytes());
        bytes.extend_from_slice(&place.inode.to_le_bytes());
        bytes.extend_from_slice(&state.size.to_le_bytes());
        for time in [state.mtime, state.ctime] {
            bytes.extend_from_slice(&time.seconds.to_le_bytes());
            bytes.extend_from_slice(&time.nanoseconds.to_le_bytes());
        }
        bytes.extend_from_slice(state.id.as_bytes());
    }
    let check: [u8; CHECK_LEN] = Sha256::digest(&bytes).into();
    bytes.extend_from_slice(&check);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Known> {
    let (content, check) = bytes.split_last_chunk::<CHECK_LEN>()?;
    if *check != <[u8; CHECK_LEN]>::from(Sha256::digest(content)) {
        return None;
    }
    let rest = content.strip_prefix(&MAGIC)?.strip_prefix(&VERSION.to_le_bytes())?;
    let (entries, []) = rest.as_chunks::<ENTRY_LEN>() else {
        return None;
    };
    Some(entries.iter().map(decode_entry).collect())
}

fn decode_entry(entry: &[u8; ENTRY_LEN]) -> (Place, State) {
    let mut rest = &entry[..];
    let place = Place { filesystem: Filesystem(take_u64(&mut rest)), inode: take_u64(&mut rest) };
    let size = take_u64(&mut rest);
    let mtime = take_time(&mut rest);
    let ctime = take_time(&mut rest);
    let id = ObjectId::from_bytes(take(&mut rest));
    (place, State { size, mtime, ctime, id })
}

fn take_time(rest: &mut &[u8]) -> Mtime {
    let seconds = i64::from_le_bytes(take(rest));
    Mtime { seconds, nanoseconds: u32::from_le_bytes(take(rest)) }
}

fn take_u64(rest: &mut &[u8]) -> u64 {
    u64::from_le_bytes(take(rest))
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (taken, after) = rest.split_first_chunk().expect("the fields of an entry fill it");
    *rest = after;
    *taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(inode: u64) -> Learned {
        let time = |seconds| Mtime { seconds, nanoseconds: 7 };
        let id = ObjectId::from_bytes([inode as u8; 32]);
        let state = State { size: 65, mtime: time(-1), ctime: time(1 << 40), id };
        Learned(Place { filesystem: Filesystem(3), inode }, state)
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let entries = [entry(1), entry(u64::MAX)];
        let decoded = decode(&encode(&entries)).unwrap();
        assert_eq!(decoded, entries.iter().map(|Learned(place, state)| (*place, *state)).collect());
        assert_eq!(decode(&encode(&[])), Some(Known::new()));
    }

    #[test]
    fn each_prefix_and_each_flipped_bit_is_refused() {
        let bytes = encode(&[entry(1), entry(2)]);
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), None, "{len}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), None, "{bit}");
        }
    }
}
