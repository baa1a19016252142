//! A decoder that reads a segment front to back never has to keep much of one stream while it
//! waits for another, however long the runs of any stream are.

mod common;

use std::cell::RefCell;
use std::io::Read;
use std::rc::Rc;

use common::{
    Executed, Noise, Object, any_pair, check_copies, execute, segment, segment_of, streams,
};
use proptest::prelude::*;
use upmass_delta::CODER_LZMA;
use upmass_delta::patch::Copied;
use upmass_delta::stream::{StreamDecoder, encode};
use upmass_format::payload::{Demux, MAX_QUEUED, STREAMS, Stream, StreamInput, put_segment};

/// What may wait when all goes as it should: some chunks of each stream.
const FEW_CHUNKS: usize = 640 << 10;

/// A part of a new object.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// New bytes.
    Literal(usize),
    /// A copy in which every byte differs.
    Differing(usize),
    /// An exact copy.
    Exact(usize),
    /// A copy with a different byte now and then: it takes much of the copy stream.
    Speckled(usize),
}

/// An object of these parts, and copies that say so.
fn object(parts: &[Part], seed: u64) -> (Object, Vec<Copied>) {
    let mut noise = Noise::new(seed);
    let (mut old, mut new, mut copies) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        let (Part::Literal(len) | Part::Differing(len) | Part::Exact(len) | Part::Speckled(len)) =
            *part;
        if let Part::Literal(_) = part {
            new.extend(noise.bytes(len));
            continue;
        }
        copies.push(Copied { new: new.len() as u64, old: old.len() as u64, len: len as u64 });
        let from = noise.bytes(len);
        let start = new.len();
        new.extend_from_slice(&from);
        match part {
            Part::Differing(_) => {
                new[start..]
                    .iter_mut()
                    .for_each(|byte| *byte = byte.wrapping_add(1 + noise.next() as u8 % 255));
            }
            Part::Speckled(_) => {
                let mut at = start;
                while at < new.len() {
                    new[at] ^= 0x55;
                    at += 260 + noise.next() as usize % 500;
                }
            }
            _ => {}
        }
        old.extend(from);
    }
    // The encoder takes no copies without length.
    copies.retain(|copy| copy.len > 0);
    ((old, new), copies)
}

/// Executes a segment of such objects and gives the most bytes that waited.
fn most_waiting(objects: &[&[Part]]) -> usize {
    let made: Vec<(Object, Vec<Copied>)> =
        objects.iter().enumerate().map(|(seed, parts)| object(parts, seed as u64)).collect();
    let raw: Vec<_> = made
        .iter()
        .map(|((old, new), copies)| {
            check_copies(old, new, copies);
            streams(old, new, copies)
        })
        .collect();
    let objects: Vec<Object> = made.into_iter().map(|(object, _)| object).collect();
    let (bytes, _) = segment_of(&objects, &raw);
    check(&objects, &bytes)
}

fn check(objects: &[Object], segment: &[u8]) -> usize {
    let bases: Vec<&[u8]> =
        objects.iter().map(|(old, _)| &old[..]).filter(|old| !old.is_empty()).collect();
    let Executed { objects: made, most_waiting } = execute(segment, &bases, u64::MAX).unwrap();
    assert!(made.iter().eq(objects.iter().map(|(_, new)| new)));
    most_waiting
}

use Part::{Differing, Exact, Literal, Speckled};

/// Longer than what may wait at all.
const LONG: usize = MAX_QUEUED + (1 << 20);

#[test]
fn a_long_literal_is_passed_on_as_it_comes() {
    assert!(most_waiting(&[&[Literal(LONG)]]) <= FEW_CHUNKS);
}

#[test]
fn a_short_literal_does_not_wait_behind_a_long_residue() {
    assert!(most_waiting(&[&[Literal(10_000), Differing(LONG)]]) <= FEW_CHUNKS);
}

#[test]
fn a_short_residue_does_not_wait_behind_a_long_literal() {
    assert!(most_waiting(&[&[Differing(10_000), Literal(LONG)]]) <= FEW_CHUNKS);
}

#[test]
fn a_long_literal_behind_a_long_residue_and_the_other_way_round() {
    let parts = [Differing(LONG), Literal(LONG), Exact(1 << 20), Differing(LONG)];
    assert!(most_waiting(&[&parts]) <= FEW_CHUNKS);
}

#[test]
fn many_copies_among_long_runs() {
    let parts = [Speckled(3 << 20), Literal(LONG), Speckled(3 << 20), Differing(LONG)];
    assert!(most_waiting(&[&parts]) <= FEW_CHUNKS);
}

#[test]
fn objects_of_all_kinds_one_after_the_other() {
    let kinds: [&[Part]; 5] = [
        &[Literal(300)],
        &[Exact(5000), Literal(700), Differing(300)],
        &[Differing(100_000)],
        &[Literal(400_000)],
        &[Speckled(200_000)],
    ];
    let mut noise = Noise::new(9);
    let objects: Vec<&[Part]> = (0..60).map(|_| kinds[noise.next() as usize % 5]).collect();
    assert!(most_waiting(&objects) <= FEW_CHUNKS);
}

#[test]
fn a_stream_that_ends_early_lets_the_others_go_on() {
    // All of residue and copy is used up in the first object, then come literals alone.
    let literal: &[Part] = &[Literal(LONG)];
    assert!(most_waiting(&[&[Differing(50_000), Literal(1)], literal]) <= FEW_CHUNKS);
}

#[test]
fn the_end_of_a_stream_is_known_without_reading_on() {
    // Edits are read to their end before any object is made, however much follows.
    let mut noise = Noise::new(11);
    for edits in [noise.bytes(5), noise.words(2000)] {
        let mut streams: [Vec<u8>; STREAMS] = Default::default();
        streams[usize::from(Stream::Tree)] = encode(Stream::Tree, &edits).bytes;
        streams[usize::from(Stream::Literal)] = noise.bytes(LONG);
        let mut bytes = Vec::new();
        put_segment(CODER_LZMA, &streams, &[], &mut bytes);
        let (demux, _) = Demux::start(&bytes[..], 0).unwrap().unwrap();
        let demux = Rc::new(RefCell::new(demux));
        let mut read = Vec::new();
        let mut decoder = StreamDecoder::new(Stream::Tree, StreamInput::new(&demux, Stream::Tree));
        decoder.read_to_end(&mut read).unwrap();
        assert_eq!(read, edits);
        assert_eq!(demux.borrow().waiting(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_is_in_a_segment_its_decoder_need_not_keep_much(
        objects in prop::collection::vec(prop::collection::vec((0..4, 0..22_u32, any::<u32>()), 1..10), 1..4)
    ) {
        let part = |(kind, log2, len): (i32, u32, u32)| {
            let len = len as usize % (2 << log2);
            match kind {
                0 => Literal(len),
                1 => Differing(len),
                2 => Exact(len),
                _ => Speckled(len),
            }
        };
        let objects: Vec<Vec<Part>> = objects.into_iter().map(|parts| parts.into_iter().map(part).collect()).collect();
        let objects: Vec<&[Part]> = objects.iter().map(Vec::as_slice).collect();
        prop_assert!(most_waiting(&objects) <= FEW_CHUNKS);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn a_segment_of_found_copies_makes_its_objects(objects in prop::collection::vec(any_pair(20_000), 0..8)) {
        let objects: Vec<Object> = objects.into_iter().filter(|(_, new)| !new.is_empty()).collect();
        let (bytes, _) = segment(&objects);
        prop_assert!(check(&objects, &bytes) <= FEW_CHUNKS);
    }
}
