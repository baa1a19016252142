//! Lists of members, and unpacking and packing what they name.

#![no_main]

use libfuzzer_sys::fuzz_target;
use upmass_format::wire::Reader;
use upmass_member::expanded::{Total, expanded_len, pieces, put_members, read_members};
use upmass_member::parse::{Space, repack_parsed, unpack_parsed};
use upmass_member::{Lengths, Recipe, memory, repack, unpack, unpack_memory};

/// Longest content that is unpacked or packed: what makes a run slow, and finds nothing more.
const MAX_PLAIN: u64 = 1 << 14;
/// A packer that takes more is not run.
const MAX_MEMORY: u64 = 16 << 20;

fuzz_target!(|data: &[u8]| {
    let mut input = Reader::new(data);
    let mut table = Vec::new();
    let Ok(members) = read_members(&mut input, &mut table) else {
        return;
    };
    let rest = &data[input.offset() as usize..];
    let mut again = Vec::new();
    put_members(&members, &mut Vec::new(), &mut again);
    let mut read = Vec::new();
    assert_eq!(read_members(&mut Reader::new(&again[..]), &mut read).as_ref(), Ok(&members));
    if let Some(pieces) = pieces(&members, Total::File(u64::MAX >> 2)) {
        let ends: Vec<u64> = pieces.iter().map(|piece| piece.start + piece.len).collect();
        assert!(pieces.iter().skip(1).zip(&ends).all(|(piece, end)| piece.start == *end));
        assert_eq!(ends.last().copied().unwrap_or(0), expanded_len(&pieces));
    }
    let Some(member) = members.first() else {
        return;
    };
    let plain = member.lengths.plain.min(MAX_PLAIN);
    let lengths = Lengths { packed: rest.len() as u64, plain };
    if let Recipe::Parse(parse) = &member.recipe {
        let mut spaces = || Ok(Box::new(Vec::new()) as Box<dyn Space>);
        let mut out = Vec::new();
        let old = unpack_parsed(parse, lengths, &mut &rest[..], &mut out, &mut spaces);
        assert!(out.len() as u64 <= plain, "more than was declared");
        let lengths = Lengths { packed: plain, plain: rest.len() as u64 };
        let mut out = Vec::new();
        let old = old.as_ref().ok();
        let _ = repack_parsed(parse, lengths, &rest.to_vec(), old, &mut spaces, &mut out);
        assert!(out.len() as u64 <= plain, "more than was declared");
        return;
    }
    if unpack_memory(&member.recipe, lengths) <= MAX_MEMORY {
        let mut out = Vec::new();
        let _ = unpack(&member.recipe, lengths, &mut &rest[..], &mut out);
        assert!(out.len() as u64 <= plain, "more than was declared");
    }
    if memory(&member.recipe, lengths) <= MAX_MEMORY {
        let lengths = Lengths { packed: plain, plain: rest.len() as u64 };
        let mut out = Vec::new();
        let _ = repack(&member.recipe, lengths, &mut &rest[..], &mut out);
        assert!(out.len() as u64 <= plain, "more than was declared");
    }
});
