//! Coder 2: what is encoded is decoded, whatever the contents claim to be; and what it is for:
//! programs whose addresses have moved.

mod common;
#[path = "common/program.rs"]
mod program;

use common::{Noise, any_pair, check_copies, streams};
use program::{MACHINES, Machine, Plan, versions};
use proptest::prelude::*;
use upmass_delta::align::{align, operations};
use upmass_delta::find::find_copies;
use upmass_delta::modelled::{Decoder, Encoder, Kind, Operation};
use upmass_delta::stream::encode;
use upmass_delta::{DeltaError, Result};
use upmass_format::ObjectHasher;
use upmass_format::payload::Stream;

/// The stream for one object with these operations.
fn encoded(old: &[u8], new: &[u8], operations: &[Operation]) -> Vec<u8> {
    let mut encoder = Encoder::with_table(16);
    encoder.object(&old, &new, operations).unwrap();
    encoder.finish()
}

/// The stream for one object with the copies that are found.
fn patch(old: &[u8], new: &[u8]) -> Vec<u8> {
    let copies = align(old, new);
    check_copies(old, new, &copies);
    encoded(old, new, &operations(&copies, &new).unwrap())
}

fn decoded(old: &[u8], stream: &[u8], len: usize) -> Result<Vec<u8>> {
    let mut made = Vec::new();
    Decoder::new(stream).patch(&old, len as u64, &mut made)?;
    assert_eq!(made.len(), len, "an object is made whole");
    Ok(made)
}

fn round_trip(old: &[u8], new: &[u8]) -> usize {
    let stream = patch(old, new);
    assert!(decoded(old, &stream, new.len()).unwrap() == new);
    stream.len()
}

/// What coder 1 needs for the same.
fn with_coder_1(old: &[u8], new: &[u8]) -> usize {
    let raw = streams(old, new, &find_copies(old, new));
    let parts =
        [(Stream::Copy, raw.copy), (Stream::Residue, raw.residue), (Stream::Literal, raw.literal)];
    parts.iter().map(|(stream, content)| encode(*stream, content).bytes.len()).sum()
}

#[test]
fn moved_code_costs_a_fraction_of_what_its_differences_do() {
    for machine in MACHINES {
        let (old, new) = versions(machine, 900);
        let (small, other) = (round_trip(&old, &new), with_coder_1(&old, &new));
        println!("{machine:?}: {} bytes: {small}, coder 1 {other}", new.len());
        assert!(small * 4 < other, "{machine:?}: {small} of {other}");
    }
}

#[test]
fn an_object_that_is_its_base_costs_a_few_bytes() {
    for machine in MACHINES {
        let (old, _) = versions(machine, 300);
        let stream = round_trip(&old, &old);
        assert!(stream <= 6, "{machine:?}: {stream}");
    }
}

#[test]
fn empty_objects_cost_nothing() {
    assert_eq!(patch(b"old", b""), b"");
    assert_eq!(decoded(b"old", b"", 0).unwrap(), b"");
    assert!(round_trip(b"", b"x") <= 4);
}

#[test]
fn the_decoder_goes_on_where_the_object_before_ended() {
    let mut noise = Noise::new(3);
    let mut objects = Vec::new();
    for machine in MACHINES {
        objects.push(versions(machine, 40));
        objects.push((Vec::new(), noise.words(3000)));
        objects.push((noise.words(500), Vec::new()));
    }
    let mut encoder = Encoder::with_table(16);
    let mut needed = Vec::new();
    for (old, new) in &objects {
        let found = operations(&align(old, new), &&new[..]).unwrap();
        encoder.object(&&old[..], &&new[..], &found).unwrap();
        needed.push(encoder.needed());
    }
    let stream = encoder.finish();
    let mut decoder = Decoder::new(&stream[..]);
    for ((old, new), needed) in objects.iter().zip(needed) {
        let mut made = Vec::new();
        decoder.patch(&&old[..], new.len() as u64, &mut made).unwrap();
        assert!(made == *new);
        assert!(decoder.consumed() <= needed.min(stream.len() as u64));
    }
}

#[test]
fn noise_is_stored_and_zeros_cost_nothing() {
    let mut content = Noise::new(1).bytes(100_000);
    content.resize(300_000, 0);
    content.extend(Noise::new(2).bytes(50_000));
    let found = operations(&[], &&content[..]).unwrap();
    assert!(found.iter().any(|operation| operation.kind == Kind::Raw), "{found:?}");
    assert!(found.iter().any(|operation| operation.kind == Kind::Zeros), "{found:?}");
    assert!(round_trip(b"", &content) < 150_200);
}

#[test]
fn text_is_smaller_than_with_lzma() {
    let text = include_bytes!("../../../ARCHITECTURE.md");
    let mut encoder = Encoder::new();
    encoder.object(&&[][..], &&text[..], &operations(&[], &&text[..]).unwrap()).unwrap();
    let (small, other) = (encoder.finish().len(), with_coder_1(b"", text));
    println!("{small} of {other}");
    assert!(small < other, "{small} of {other}");
}

/// The digests of streams: the same bytes from every build, on every machine.
#[test]
fn streams_are_the_same_everywhere() {
    let golden = |old: &[u8], new: &[u8]| {
        let stream = patch(old, new);
        format!("{} {}", stream.len(), ObjectHasher::hash(&stream))
    };
    let mut found: Vec<String> = MACHINES
        .iter()
        .map(|machine| versions(*machine, 120))
        .map(|(old, new)| golden(&old, &new))
        .collect();
    let (old, mut new) = (Noise::new(5).words(20_000), Noise::new(5).words(20_000));
    new.splice(7000..7100, Noise::new(6).words(900));
    found.push(golden(&old, &new));
    found.push(golden(b"", &Noise::new(8).words(5000)));
    let expected: Vec<&str> = include_str!("vectors/model.txt").lines().collect();
    assert_eq!(found, expected);
}

#[test]
fn a_stream_that_is_cut_or_changed_is_refused_or_makes_something_else() {
    let (old, new) = versions(Machine::A64, 12);
    let stream = patch(&old, &new);
    for len in 0..stream.len() {
        // The last few zeros of a stream may be left out, so a short cut may not be noticed.
        if let Ok(made) = decoded(&old, &stream[..len], new.len()) {
            assert!(made != new || len + 4 >= stream.len(), "{len} of {}", stream.len());
        }
    }
    for bit in 0..8 * stream.len() {
        let mut changed = stream.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let _ = decoded(&old, &changed, new.len());
    }
}

#[test]
fn the_table_has_limits() {
    for log2 in [0, 15, 25, 255] {
        let result = decoded(b"old", &[log2, 0, 0, 0, 0], 3);
        assert!(matches!(result, Err(DeltaError::Format(_))), "{log2}: {result:?}");
    }
}

#[test]
fn programs_that_lie_are_only_predicted_worse() {
    for machine in MACHINES {
        let (old, new) = versions(machine, 8);
        // Every byte of the headers and of the table of sections, one at a time.
        let places = (0..180).chain(old.len() - 700..old.len());
        for place in places {
            for value in [0, 0xff] {
                let (mut lying, mut other) = (old.clone(), new.clone());
                lying[place] = value;
                if place < 180 {
                    other[place] = value;
                }
                let copies = [upmass_delta::patch::Copied {
                    new: 0,
                    old: 0,
                    len: other.len().min(lying.len()) as u64,
                }];
                let found = operations(&copies, &&other[..]).unwrap();
                let stream = encoded(&lying, &other, &found);
                assert!(
                    decoded(&lying, &stream, other.len()).unwrap() == other,
                    "{machine:?} {place} {value}"
                );
            }
        }
        for len in (0..old.len()).step_by(331) {
            round_trip(&old[..len], &new);
        }
    }
}

/// Operations that make `new` from anything in `old`.
fn any_operations(old: usize, new: usize) -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec((0..5u8, 1..600u64, any::<u64>()), 0..12).prop_map(move |cuts| {
        let (mut left, mut operations) = (new as u64, Vec::new());
        for (kind, len, from) in cuts {
            let len = len.min(left);
            let room = (old as u64).saturating_sub(len);
            let kind = match kind {
                0 | 1 if old as u64 >= len => Kind::Copy(from % (room + 1)),
                2 => Kind::Raw,
                _ => Kind::Literal,
            };
            if len > 0 {
                operations.push(Operation { kind, len });
            }
            left -= len;
        }
        if left > 0 {
            operations.push(Operation { kind: Kind::Literal, len: left });
        }
        operations
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn old_content_with_its_patch_is_the_new_content((old, new) in any_pair(3000)) {
        round_trip(&old, &new);
    }

    #[test]
    fn any_operations_make_the_new_content(
        ((old, new), operations) in any_pair(2000).prop_flat_map(|pair| {
            let operations = any_operations(pair.0.len(), pair.1.len());
            (Just(pair), operations)
        })
    ) {
        let stream = encoded(&old, &new, &operations);
        prop_assert!(decoded(&old, &stream, new.len()).unwrap() == new);
    }

    #[test]
    fn edited_programs_make_the_round_trip(
        machine in prop::sample::select(MACHINES.to_vec()),
        functions in 2..60u64,
        added in prop::collection::vec((0..60usize, 1..9usize), 0..5),
        swaps in prop::collection::vec((0..60usize, 0..60usize), 0..5),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
    ) {
        let plan = Plan::new(machine, functions);
        let mut other = plan.clone();
        for (index, len) in added {
            let count = other.functions.len();
            other.functions[index % count].1 += 4 * len;
        }
        for (a, b) in swaps {
            let count = other.functions.len();
            other.functions.swap(a % count, b % count);
        }
        let (mut old, mut new) = (plan.build(), other.build());
        for (index, byte) in damage {
            *index.get_mut(&mut old) = byte;
            *index.get_mut(&mut new) = byte.wrapping_add(1);
        }
        round_trip(&old, &new);
    }

    #[test]
    fn noise_is_never_followed(stream in prop::collection::vec(any::<u8>(), 0..400), len in 0..5000usize) {
        let (old, _) = versions(Machine::X86, 6);
        let mut stream = stream;
        stream.insert(0, 16);
        let _ = decoded(&old, &stream, len);
    }
}
