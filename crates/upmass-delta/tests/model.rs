//! Coder 2: what is encoded is decoded, whatever the contents claim to be; and what it is for:
//! programs whose addresses have moved.

mod common;
#[path = "common/program.rs"]
mod program;

use common::{Noise, any_pair, check_copies, streams};
use program::{MACHINES, Machine, Plan, versions};
use proptest::prelude::*;
use upmass_delta::align::{align, operations, ways};
use upmass_delta::find::find_copies;
use upmass_delta::modelled::{Contexts, Decoder, Encoder, Kind, Operation, Sizes};
use upmass_delta::patch::Copied;
use upmass_delta::stream::encode;
use upmass_delta::{DeltaError, Result};
use upmass_format::ObjectHasher;
use upmass_format::payload::Stream;

/// A decoder that remembers little.
const SMALLEST: Sizes = Sizes { table_log2: 16, history_log2: 16, contexts: Contexts::Many };

/// The same, with few contexts.
const FEW: Sizes = Sizes { contexts: Contexts::Few, ..SMALLEST };

/// The stream for one object with these operations.
fn encoded(old: &[u8], new: &[u8], operations: &[Operation]) -> Vec<u8> {
    encoded_with(SMALLEST, old, new, operations)
}

fn encoded_with(sizes: Sizes, old: &[u8], new: &[u8], operations: &[Operation]) -> Vec<u8> {
    let mut encoder = Encoder::with_sizes(sizes);
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
    assert!(round_trip(b"", b"x") <= 5);
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
    let mut encoder = Encoder::with_sizes(SMALLEST);
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
    let mut found = Vec::new();
    let mut golden = |old: &[u8], new: &[u8]| {
        let operations = operations(&align(old, new), &new).unwrap();
        for sizes in [SMALLEST, FEW] {
            let stream = encoded_with(sizes, old, new, &operations);
            assert!(decoded(old, &stream, new.len()).unwrap() == new);
            found.push(format!("{} {}", stream.len(), ObjectHasher::hash(&stream)));
        }
    };
    for machine in MACHINES {
        let (old, new) = versions(machine, 120);
        golden(&old, &new);
    }
    let (old, mut new) = (Noise::new(5).words(20_000), Noise::new(5).words(20_000));
    new.splice(7000..7100, Noise::new(6).words(900));
    golden(&old, &new);
    golden(b"", &Noise::new(8).words(5000));
    let expected: Vec<&str> = include_str!("vectors/model.txt").lines().collect();
    assert_eq!(found, expected);
}

#[test]
fn a_stream_that_is_cut_or_changed_is_refused_or_makes_something_else() {
    let (old, new) = versions(Machine::A64, 12);
    is_refused_or_other(&old, &new, &patch(&old, &new));
    let found = operations(&align(&old, &new), &&new[..]).unwrap();
    is_refused_or_other(&old, &new, &encoded_with(FEW, &old, &new, &found));
    let (old, new) = (Noise::new(10).words(400), Noise::new(10).words(300));
    let recall = Operation { kind: Kind::Recall(20), len: 380 };
    let literal = Operation { kind: Kind::Literal, len: 300 };
    is_refused_or_other(&old, &new, &encoded(&old, &new, &[recall, literal]));
}

/// All prefixes and bit flips of a stream.
fn is_refused_or_other(old: &[u8], new: &[u8], stream: &[u8]) {
    for len in 0..stream.len() {
        // The last few zeros of a stream may be left out, so a short cut may not be noticed.
        if let Ok(made) = decoded(old, &stream[..len], new.len()) {
            assert!(made != new || len + 4 >= stream.len(), "{len} of {}", stream.len());
        }
    }
    for bit in 0..8 * stream.len() {
        let mut changed = stream.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let _ = decoded(old, &changed, new.len());
    }
}

#[test]
fn what_a_decoder_remembers_has_limits() {
    for log2 in [0, 15, 25, 127] {
        for head in [[log2, 16], [log2 | 0x80, 16], [16, log2], [16, log2 | 0x80]] {
            let stream = [&head[..], &[0; 4]].concat();
            let result = decoded(b"old", &stream, 3);
            assert!(matches!(result, Err(DeltaError::Format(_))), "{head:?}: {result:?}");
        }
    }
    let result = decoded(b"old", &[16, 24, 0, 0, 0, 0], 3);
    assert!(!matches!(result, Err(DeltaError::Format(_))), "{result:?}");
}

#[test]
fn the_sizes_fit_into_the_memory_that_there_is() {
    for contexts in [Contexts::Many, Contexts::Few] {
        assert_eq!(Sizes::within(u64::MAX, contexts), Sizes { contexts, ..Sizes::USUAL });
        for mib in 4..18 {
            assert!(Sizes::within(mib << 20, contexts).memory() <= mib << 20, "{mib} MiB");
        }
        assert_eq!(Sizes::within(0, contexts), FEW);
    }
    assert!(Sizes::USUAL.memory() <= 18 << 20);
    assert_eq!(Sizes::within(6 << 20, Contexts::Many).contexts, Contexts::Many);
}

/// A long text of chapters.
fn text(chapters: usize) -> String {
    let chapter = include_str!("../../../LICENSE-APACHE");
    let numbered = |number| {
        chapter.lines().enumerate().map(move |(line, text)| {
            format!("{text} {}\n", Noise::new(number * 1000 + line as u64).bytes(1)[0])
        })
    };
    (0..chapters as u64).flat_map(numbered).collect()
}

/// The same with some words spelt otherwise, and with more between them.
fn rewritten(text: &str) -> Vec<u8> {
    let text = text.replace("License", "Licence").replace("\n      ", " ").replace("shall", "must");
    text.replace(" the ", " a ").replace(" or ", "/").replace("e ", "e  ").into_bytes()
}

#[test]
fn text_that_was_rewritten_is_predicted_from_what_its_base_says() {
    let old = text(40);
    let (old, new) = (old.as_bytes(), rewritten(&old));
    let found = ways(&align(old, &new), &old, &&new[..]).unwrap();
    assert!(matches!(found[1][0], Operation { kind: Kind::Recall(0), .. }), "{:?}", found[1]);
    let sizes: Vec<usize> = found.iter().map(|way| encoded(old, &new, way).len()).collect();
    println!("{sizes:?}");
    assert!(sizes[1] * 10 < sizes[0] * 9, "{sizes:?}");
    // The cheapest way is what is taken.
    let mut encoder = Encoder::with_sizes(SMALLEST);
    encoder.cheapest(&old, &&new[..], &found).unwrap();
    let stream = encoder.finish();
    assert_eq!(stream.len(), sizes[1]);
    assert!(decoded(old, &stream, new.len()).unwrap() == new);
}

#[test]
fn long_text_recalls_its_base_little_by_little() {
    let (old, new) = (vec![b'o'; 6 << 20], vec![b'n'; 5 << 20]);
    let copies: Vec<Copied> = (0..(5 << 20) / 160)
        .map(|index| match index % 100 {
            // A few things were elsewhere.
            99 => Copied { new: index * 160, old: (5 << 20) - index * 150, len: 100 },
            _ => Copied { new: index * 160, old: index * 170, len: 100 },
        })
        .collect();
    let found = ways(&copies, &&old[..], &&new[..]).unwrap();
    let recalls: Vec<(u64, u64)> = found[1]
        .iter()
        .filter_map(|operation| match operation.kind {
            Kind::Recall(from) => Some((from, from + operation.len)),
            _ => None,
        })
        .collect();
    println!("{recalls:?}");
    assert!(recalls.len() > 2, "{recalls:?}");
    assert_eq!(recalls[0].0, 0);
    assert!(recalls.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{recalls:?}");
    assert_eq!(recalls.last().unwrap().1, old.len() as u64);
}

#[test]
fn what_recalls_more_than_its_base_is_refused() {
    let recall = |from, len| {
        let recall = Operation { kind: Kind::Recall(from), len };
        let mut encoder = Encoder::with_sizes(SMALLEST);
        let all = [recall, Operation { kind: Kind::Literal, len: 1 }];
        encoder.object(&&b"0123456789"[..], &&b"x"[..], &all)
    };
    assert!(recall(0, 10).is_ok());
    for (from, len) in [(0, 11), (10, 1), (u64::MAX, 1), (3, 0)] {
        let result = recall(from, len);
        assert!(matches!(result, Err(DeltaError::OutsideBase { .. })), "{from} {len}: {result:?}");
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
                let copies = [Copied { new: 0, old: 0, len: other.len().min(lying.len()) as u64 }];
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
    prop::collection::vec((0..6u8, 1..600u64, any::<u64>()), 0..12).prop_map(move |cuts| {
        let (mut left, mut operations) = (new as u64, Vec::new());
        let mut recalled = 0;
        for (kind, len, from) in cuts {
            if kind == 5 && left > 0 && recalled < old as u64 {
                let from = recalled + from % (old as u64 - recalled);
                let len = len.min(old as u64 - from);
                operations.push(Operation { kind: Kind::Recall(from), len });
                recalled = from + len;
                continue;
            }
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
