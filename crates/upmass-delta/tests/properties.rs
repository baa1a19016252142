//! Whatever the contents: copies are sound, and old content with the patch makes the new.

mod common;

use std::io::Read;

use common::{Noise, any_pair, check_copies, check_find, decoder, patched, streams};
use proptest::prelude::*;
use upmass_delta::find::{find_copies, similarity};
use upmass_delta::patch::{Copied, Encoder, RawStreams};
use upmass_delta::stream::{StreamDecoder, encode, max_dictionary_log2};
use upmass_format::payload::Stream;

fn any_stream() -> impl Strategy<Value = Stream> {
    prop::sample::select(Stream::ALL.to_vec())
}

/// Content of one stream: some of it is noise, some repeats.
fn any_content(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let run = (0..4, 0..most / 4, any::<u64>());
    prop::collection::vec(run, 0..6).prop_map(|runs| {
        let mut content = Vec::new();
        for (kind, len, seed) in runs {
            match kind {
                0 => content.extend(Noise::new(seed).bytes(len)),
                1 => content.extend(Noise::new(seed).words(len)),
                2 => content.resize(content.len() + len, seed as u8),
                _ => content.extend_from_within(..len.min(content.len())),
            }
        }
        content
    })
}

proptest! {
    #[test]
    fn old_content_with_its_patch_is_the_new_content((old, new) in any_pair(3000)) {
        check_find(&old, &new);
    }

    #[test]
    fn any_copies_make_the_new_content((old, new) in any_pair(2000), cuts in prop::collection::vec(any::<(u16, u16, u16)>(), 0..8)) {
        // Copies of anything from anywhere: what differs is residue.
        let mut copies = Vec::new();
        let mut end = 0;
        for (skip, len, from) in cuts {
            let start = end + skip as usize % 200;
            let from = from as usize % (old.len() + 1);
            let len = (len as usize % 700).min(old.len() - from);
            if len == 0 || start + len > new.len() {
                continue;
            }
            copies.push(Copied { new: start as u64, old: from as u64, len: len as u64 });
            end = start + len;
        }
        check_copies(&old, &new, &copies);
        prop_assert!(patched(&old, &new, &copies) == new);
    }

    #[test]
    fn contents_of_a_few_bytes_are_no_exception(old in prop::collection::vec(0..3_u8, 0..24), new in prop::collection::vec(0..3_u8, 0..24)) {
        check_find(&old, &new);
    }

    #[test]
    fn similarity_is_a_share((old, new) in any_pair(3000)) {
        let share = similarity(&old, &new);
        prop_assert!((0.0..=1.0).contains(&share));
        if new.len() >= 64 && old.len() == new.len() && old == new {
            prop_assert!(share > 0.5);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_stream_is_read_back(stream in any_stream(), content in any_content(60_000)) {
        let encoded = encode(stream, &content);
        prop_assert!(encoded.bytes.len() <= content.len() + 3);
        prop_assert!(encoded.memory <= 1 << max_dictionary_log2(stream));
        let mut read = Vec::new();
        let mut decoder = StreamDecoder::new(stream, &encoded.bytes[..]);
        decoder.read_to_end(&mut read).unwrap();
        prop_assert!(read == content);
    }

    #[test]
    fn objects_follow_each_other_in_the_same_streams(pairs in prop::collection::vec(any_pair(2000), 1..6)) {
        let mut all = RawStreams::default();
        for (old, new) in &pairs {
            all.append(&streams(old, new, &find_copies(old, new)));
        }
        let mut decoder = decoder(&all);
        for (old, new) in &pairs {
            let mut made = Vec::new();
            decoder.patch(&&old[..], new.len() as u64, &mut made).unwrap();
            prop_assert!(made == *new);
        }
        prop_assert_eq!(decoder.consumed(), all.lengths());
        prop_assert_eq!(all.marks.last(), Some(&all.lengths()));
        prop_assert!(all.marks.is_sorted_by(|a, b| (0..3).all(|i| a[i] <= b[i])));
    }

    #[test]
    fn an_object_may_be_cut_into_windows((old, new) in any_pair(60_000), window in 1..9000_usize, around in 0..5000_usize) {
        let mut encoder = Encoder::new();
        for (index, piece) in new.chunks(window).enumerate() {
            // The region of the base around the window, as far as there is one.
            let from = (index * window).saturating_sub(around).min(old.len());
            let to = old.len().min(index * window + piece.len() + around).max(from);
            let region = &old[from..to];
            let copies: Vec<Copied> = find_copies(region, piece)
                .into_iter()
                .map(|copy| Copied { old: copy.old + from as u64, ..copy })
                .collect();
            encoder.window(piece, region, from as u64, &copies);
        }
        let mut decoder = decoder(&encoder.finish());
        let mut made = Vec::new();
        decoder.patch(&&old[..], new.len() as u64, &mut made).unwrap();
        prop_assert!(made == new);
    }

    #[test]
    fn a_decoder_needs_no_more_of_a_stream_than_was_said(stream in any_stream(), content in any_content(400_000), at in any::<prop::sample::Index>()) {
        let encoded = encode(stream, &content);
        let len = at.index(content.len() + 1);
        let needed = encoded.needed_for(len as u64) as usize;
        prop_assert!(needed <= encoded.bytes.len());
        prop_assert_eq!(encoded.needed_for(content.len() as u64 + 1), encoded.bytes.len() as u64);
        let mut decoder = StreamDecoder::new(stream, &encoded.bytes[..needed]);
        let mut read = vec![0; len];
        decoder.read_exact(&mut read).unwrap();
        prop_assert!(read == content[..len]);
    }
}

#[test]
fn empty_and_tiny_contents() {
    let some = Noise::new(1).bytes(100);
    for old in [&b""[..], b"a", b"abcdefg", b"abcdefgh", &some] {
        for new in [&b""[..], b"a", b"b", b"abcdefg", b"abcdefgh", b"xabcdefghx", &some, &some[1..]]
        {
            check_find(old, new);
        }
    }
    assert_eq!(find_copies(b"", b""), []);
    assert_eq!(find_copies(&some, &some), [Copied { new: 0, old: 0, len: 100 }]);
}

#[test]
fn what_was_moved_is_copied() {
    let mut noise = Noise::new(2);
    let (a, b) = (noise.bytes(50_000), noise.bytes(30_000));
    let (old, new) = ([&a[..], &b].concat(), [&b[..], &a].concat());
    let copies = check_find(&old, &new);
    let expected =
        [Copied { new: 0, old: 50_000, len: 30_000 }, Copied { new: 30_000, old: 0, len: 50_000 }];
    assert_eq!(copies, expected);
}

#[test]
fn what_was_inserted_and_removed_costs_itself_alone() {
    let mut noise = Noise::new(3);
    let old = noise.bytes(80_000);
    let inserted = noise.bytes(100);
    let new = [&old[..20_000], &inserted, &old[20_000..50_000], &old[50_300..]].concat();
    let copies = check_find(&old, &new);
    let raw = streams(&old, &new, &copies);
    assert!(raw.literal.len() < 110 && raw.residue.len() < 20, "{:?}", raw.lengths());
    assert_eq!(copies.len(), 3);
}

#[test]
fn zeros_need_no_base_and_no_bytes() {
    let mut noise = Noise::new(4);
    let content = noise.bytes(5000);
    let new =
        [&content[..], &vec![0; 1 << 20], &content[..77], &vec![0; 4096], &[0; 4095]].concat();
    let raw = streams(b"", &new, &[]);
    // The last run of zeros is one run of both.
    assert_eq!(raw.literal.len(), 5077);
    assert!(raw.copy.len() < 20);
    check_find(&content, &new);
}

#[test]
fn repetitive_contents_take_no_longer_than_others() {
    // Where nearly every position matches nearly everywhere, a careless search is quadratic.
    let len = 300_000;
    let mut spotted = vec![0; len];
    spotted.iter_mut().step_by(997).for_each(|byte| *byte = 1);
    let periodic: Vec<u8> = (0..len).map(|at| (at % 100) as u8).collect();
    let mut broken = periodic.clone();
    broken.iter_mut().step_by(1009).for_each(|byte| *byte = 200);
    let zeros = vec![0; len];
    for old in [&zeros, &spotted, &periodic, &broken] {
        for new in [&zeros, &spotted, &periodic, &broken] {
            let start = std::time::Instant::now();
            check_copies(old, new, &find_copies(old, new));
            check_copies(old, &new[33..], &find_copies(old, &new[33..]));
            let seconds = start.elapsed().as_secs();
            assert!(seconds < 20, "{seconds} s");
        }
    }
}
