//! Coder 2 and programs that are not a content of their own: inside archives and images, and object
//! files, which are still to be linked.

mod common;
#[path = "common/object.rs"]
mod object;
#[path = "common/program.rs"]
mod program;
#[path = "common/types.rs"]
mod types;

use common::Noise;
use object::{object, objects};
use program::{MACHINES, Machine, versions};
use proptest::prelude::*;
use types::{described, structures};
use upmass_delta::align::{align, operations};
use upmass_delta::find::find_copies;
use upmass_delta::modelled::{Contexts, Decoder, Encoder, Operation, Sizes};

/// A decoder that remembers little, but all targets of these programs.
const ENOUGH: Sizes = Sizes { table_log2: 20, history_log2: 16, contexts: Contexts::Many };

fn with_operations(old: &[u8], new: &[u8], operations: &[Operation]) -> usize {
    let mut encoder = Encoder::with_sizes(ENOUGH);
    encoder.object(&old, &new, operations).unwrap();
    let stream = encoder.finish();
    let mut made = Vec::new();
    Decoder::new(&stream[..]).patch(&old, new.len() as u64, &mut made).unwrap();
    assert!(made == new);
    stream.len()
}

/// Bytes of a patch that was applied.
fn patch(old: &[u8], new: &[u8]) -> usize {
    with_operations(old, new, &operations(&align(old, new), &new).unwrap())
}

/// The same, with copies of equal bytes only.
fn along(old: &[u8], new: &[u8]) -> usize {
    with_operations(old, new, &operations(&find_copies(old, new), &new).unwrap())
}

#[test]
fn a_program_inside_something_costs_what_it_costs_alone() {
    for machine in MACHINES {
        let (old, new) = versions(machine, 400);
        let wrap = |program: &[u8], before: usize| {
            [&Noise::new(4).words(before), program, &Noise::new(5).words(900)].concat()
        };
        let alone = patch(&old, &new);
        for (before, now) in [(1001, 1001), (3, 3), (517, 2113)] {
            let (old, new) = (wrap(&old, before), wrap(&new, now));
            let inside = patch(&old, &new);
            // What is new before it is not part of the program.
            let other = patch(b"", &Noise::new(4).words(now)[before..]);
            println!("{machine:?} at {before}, {now}: {inside}, alone {alone}, other {other}");
            assert!(inside < alone + other + 60, "{machine:?}: {inside} of {alone} + {other}");
        }
    }
}

#[test]
fn many_programs_in_one_content_are_each_laid_out_for_themselves() {
    // Programs with as many functions would have the same tables of symbols.
    let counts = [(Machine::X86, 700), (Machine::A64, 400), (Machine::Arm, 500)];
    let pairs = counts.map(|(machine, functions)| versions(machine, functions));
    let join = |parts: Vec<&Vec<u8>>| -> Vec<u8> {
        parts.into_iter().enumerate().flat_map(|(n, p)| [&[n as u8; 52][..], p].concat()).collect()
    };
    let old = join(pairs.iter().map(|pair| &pair.0).collect());
    let new = join(pairs.iter().map(|pair| &pair.1).collect());
    let alone: usize = pairs.iter().map(|(old, new)| patch(old, new)).sum();
    let together = patch(&old, &new);
    println!("{together}, alone {alone}");
    assert!(together < alone + alone / 4, "{together} of {alone}");
}

#[test]
fn what_is_still_to_be_linked_is_followed_through_symbols_and_sections() {
    let (old, new) = objects(300);
    let (small, other) = (patch(&old, &new), along(&old, &new));
    let (_, without) = against_blind(&old, &new);
    println!("{} bytes: {small}; along equal bytes {other}; blind {without}", new.len());
    assert!(small * 4 < without, "{small} of {without}");
}

/// What is known of the programs in it, and what a patch takes without that.
fn against_blind(old: &[u8], new: &[u8]) -> (usize, usize) {
    let blind = |content: &[u8]| [b"\0", &content[1..]].concat();
    (patch(old, new), patch(&blind(old), &blind(new)))
}

#[test]
fn types_are_followed_when_their_numbers_change() {
    let (before, after) = structures(600);
    let (small, blind) = against_blind(&described(3, 0, &before), &described(3, 0, &after));
    println!("types: {small}, blind {blind}");
    assert!(small * 3 < blind, "{small} of {blind}");
}

#[test]
fn types_that_go_on_where_others_end_are_followed_too() {
    let (structures, _) = structures(600);
    let (small, blind) =
        against_blind(&described(1, 70_000, &structures), &described(1, 70_123, &structures));
    println!("split types: {small}, blind {blind}");
    assert!(small * 8 < blind, "{small} of {blind}");
}

#[test]
fn what_one_object_teaches_of_types_is_known_in_the_next() {
    let (before, after) = structures(300);
    let (old, new) = (described(3, 0, &before), described(3, 0, &after));
    let operations = operations(&align(&old, &new), &&new[..]).unwrap();
    let mut encoder = Encoder::with_sizes(ENOUGH);
    let mut sizes = [0; 2];
    for size in &mut sizes {
        let before = encoder.spent().iter().map(|(_, bytes)| bytes).sum::<f64>();
        encoder.object(&&old[..], &&new[..], &operations).unwrap();
        let after = encoder.spent().iter().map(|(_, bytes)| bytes).sum::<f64>();
        *size = (after - before) as usize;
    }
    println!("first {}, again {}", sizes[0], sizes[1]);
    assert!(sizes[1] * 3 < sizes[0] * 2, "{sizes:?}");
    let stream = encoder.finish();
    let mut decoder = Decoder::new(&stream[..]);
    for _ in sizes {
        let mut made = Vec::new();
        decoder.patch(&&old[..], new.len() as u64, &mut made).unwrap();
        assert!(made == new);
    }
}

#[test]
fn the_places_behind_a_kernel_are_addresses_in_it() {
    let plans = versions(Machine::X86, 500);
    let [old, new] = [&plans.0, &plans.1].map(|file| {
        let mut file = file.clone();
        file[16] = 2;
        // Every place of a call, which has the same distance from its function in both.
        let text = &file[4096..40_000];
        let calls = text.iter().enumerate().filter(|(_, byte)| **byte == 0xe8);
        let places: Vec<u8> =
            calls.flat_map(|(at, _)| (0x10_1001 + at as u32).to_le_bytes()).collect();
        [file, vec![0; 4], places, b"something else".to_vec()].concat()
    });
    let (small, blind) = against_blind(&old, &new);
    let alone = patch(&old[..plans.0.len()], &new[..plans.1.len()]);
    println!("with places {small}, alone {alone}, blind {blind}");
    assert!(small < alone + 250, "{small} of {alone}");
}

#[test]
fn headers_that_lie_inside_something_are_only_predicted_worse() {
    let (old, new) = objects(8);
    let wrap = |object: &[u8]| [&[1; 37][..], object, &[2; 1000]].concat();
    let places = (0..64).chain(old.len() - 7 * 64..old.len());
    for place in places {
        for value in [0, 0x7f, 0xff] {
            let (mut lying, mut other) = (old.clone(), new.clone());
            lying[place] = value;
            let end = other.len() - 1;
            other[place.min(end)] = value;
            along(&wrap(&lying), &wrap(&other));
        }
    }
}

#[test]
fn nothing_but_headers_is_looked_at_so_often_and_no_more() {
    // Each of them is a program with as many sections as there may be, and of which nothing is known.
    let mut header = object(&[(1, 0)])[..64].to_vec();
    header[60..62].copy_from_slice(&u16::MAX.to_le_bytes());
    let old = header.repeat(40_000);
    let mut new = old.clone();
    new[100_000] ^= 1;
    assert!(along(&old, &new) < 200);
    // And with none at all.
    header[60..62].copy_from_slice(&[0, 0]);
    header[40..48].fill(0);
    let old = header.repeat(40_000);
    let mut new = old.clone();
    new.splice(640..640, header[..40].to_vec());
    assert!(along(&old, &new) < 400);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn whatever_is_cut_out_and_put_together_makes_the_round_trip(
        parts in prop::collection::vec((0..5usize, any::<prop::sample::Index>(), 0..9000usize), 0..6),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
    ) {
        let (before, after) = structures(40);
        let sources = [
            versions(Machine::X86, 20),
            versions(Machine::A64, 20),
            versions(Machine::Arm, 20),
            objects(20),
            (described(3, 0, &before), described(3, 0, &after)),
        ];
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for (source, from, len) in parts {
            let source = &sources[source];
            let from = if len % 2 == 0 { 0 } else { from.index(source.0.len()) };
            old.extend(source.0[from..].iter().take(len * 2));
            new.extend(source.1[from.min(source.1.len())..].iter().take(len));
            new.extend(vec![0; len % 70 * 100]);
        }
        for (index, byte) in damage {
            if !old.is_empty() {
                *index.get_mut(&mut old) = byte;
            }
        }
        patch(&old, &new);
    }
}
