//! Finding copies and patching: old and new content are cut out of the input.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use upmass_delta::find::{find_copies, similarity};
use upmass_delta::patch::{Decoder, Encoder};
use upmass_format::wire::put_varint;

fuzz_target!(|data: &[u8]| {
    let Some(([low, high], contents)) = data.split_first_chunk() else {
        return;
    };
    let cut = usize::from(u16::from_le_bytes([*low, *high])).min(contents.len());
    let (old, new) = contents.split_at(cut);
    let share = similarity(old, new);
    assert!((0.0..=1.0).contains(&share));
    let copies = find_copies(old, new);
    let mut end = 0;
    for copy in &copies {
        assert!(copy.len > 0 && copy.new >= end, "copies ascend and do not overlap");
        assert!(copy.old + copy.len <= old.len() as u64, "copies are within the old content");
        end = copy.new + copy.len;
    }
    assert!(end <= new.len() as u64, "copies are within the new content");

    let mut encoder = Encoder::new();
    encoder.window(new, old, 0, &copies);
    let raw = encoder.finish();
    let lengths = raw.lengths();
    let [copy, residue, literal] = [raw.copy, raw.residue, raw.literal].map(stored);
    let mut decoder = Decoder::new(copy, residue, literal);
    let mut made = Vec::new();
    decoder.patch(&old, new.len() as u64, &mut made).expect("what was encoded can be decoded");
    assert!(made == new, "the patch makes the new content");
    assert_eq!(decoder.consumed(), lengths);
});

/// A stream without compression, which is not what is looked at here.
fn stored(content: Vec<u8>) -> Cursor<Vec<u8>> {
    let mut bytes = Vec::new();
    if !content.is_empty() {
        put_varint(&mut bytes, (content.len() as u64) << 1);
        bytes.extend(content);
    }
    Cursor::new(bytes)
}
