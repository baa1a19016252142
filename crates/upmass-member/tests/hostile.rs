//! Damaged members, damaged corrections and wrong lengths: refused or repacked otherwise, never a
//! panic, never more bytes than declared.
#![cfg(feature = "recognise")]

use std::io;

use proptest::prelude::*;
use upmass_format::wire::Reader;
use upmass_member::recipe::{Corrections, Deflate, Maker, Trailer};
use upmass_member::{Error, Lengths, Recipe, repack, unpack};

/// A recipe of each codec that is quick, by its bytes.
const RECIPES: [&[u8]; 8] = [
    &[0, 0x06, 0x08],
    &[0, 0x21, 0x21],
    &[1, 0x19],
    &[3, 1, 0x01, 0, 0, 93, 4],
    &[3, 1, 0x11, 6, 0, 93, 0],
    &[3, 1, 0x21, 1, 0, 93, 0, 100],
    &[4, 1, 6, 6, 0],
    &[5, 1, 9],
];

fn recipe(bytes: &[u8]) -> Recipe {
    Recipe::from_bytes(bytes).unwrap()
}

fn content() -> Vec<u8> {
    (0..700u32).flat_map(|i| [b't', b'i', (i * i % 251) as u8, b'e']).take(600).collect()
}

/// Packs without knowing how long it gets: the first try says what is too long.
fn pack(recipe: &Recipe, plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let lengths = Lengths { packed: 1 << 20, plain: plain.len() as u64 };
    let made = repack(recipe, lengths, &mut &plain[..], &mut packed);
    assert!(matches!(made, Err(Error::Length { what: "packed", .. })), "{recipe}: {made:?}");
    packed
}

fn lengths(packed: &[u8], plain: &[u8]) -> Lengths {
    Lengths { packed: packed.len() as u64, plain: plain.len() as u64 }
}

#[test]
fn each_codec_gives_back_what_it_packed() {
    for bytes in RECIPES {
        for plain in [&b""[..], b"a", &content()] {
            let recipe = recipe(bytes);
            let packed = pack(&recipe, plain);
            let mut unpacked = Vec::new();
            unpack(&recipe, lengths(&packed, plain), &mut &packed[..], &mut unpacked).unwrap();
            assert_eq!(unpacked, plain, "{recipe}");
        }
    }
}

#[test]
fn a_member_that_is_cut_short_is_refused() {
    for bytes in RECIPES {
        let (recipe, plain) = (recipe(bytes), content());
        let packed = pack(&recipe, &plain);
        for end in 0..packed.len() {
            let cut = &packed[..end];
            let declared = unpack(&recipe, lengths(cut, &plain), &mut &cut[..], &mut io::sink());
            assert!(declared.is_err(), "{recipe} {end}");
            let ends = unpack(&recipe, lengths(&packed, &plain), &mut &cut[..], &mut io::sink());
            assert!(ends.is_err(), "{recipe} {end}");
        }
    }
}

#[test]
fn a_member_with_a_flipped_bit_stops_at_the_declared_length() {
    for bytes in RECIPES {
        let (recipe, plain) = (recipe(bytes), content());
        let packed = pack(&recipe, &plain);
        for bit in 0..8 * packed.len() {
            let mut flipped = packed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let mut out = Vec::new();
            let lengths = lengths(&flipped, &plain);
            let result = unpack(&recipe, lengths, &mut &flipped[..], &mut out);
            assert!(out.len() <= plain.len());
            assert!(result.is_err() || out.len() == plain.len(), "{recipe} {bit}");
        }
    }
}

#[test]
fn a_bomb_stops_at_the_declared_length() {
    let plain = vec![0; 3 << 20];
    for bytes in RECIPES {
        let recipe = recipe(bytes);
        if bytes[0] == 3 && bytes[2] >> 4 == 2 {
            continue;
        }
        let packed = pack(&recipe, &plain);
        let lengths = Lengths { packed: packed.len() as u64, plain: 1000 };
        let mut out = Vec::new();
        let result = unpack(&recipe, lengths, &mut &packed[..], &mut out);
        assert!(result.is_err(), "{recipe}: {result:?}");
        assert!(out.len() <= 1000);
    }
}

#[test]
fn wrong_lengths_are_refused_by_the_packer() {
    for bytes in RECIPES {
        let (recipe, plain) = (recipe(bytes), content());
        let packed = pack(&recipe, &plain);
        let right = lengths(&packed, &plain);
        for wrong in [
            Lengths { packed: right.packed - 1, ..right },
            Lengths { packed: right.packed + 1, ..right },
            Lengths { plain: right.plain + 1, ..right },
        ] {
            let mut out = Vec::new();
            let result = repack(&recipe, wrong, &mut &plain[..], &mut out);
            assert!(matches!(result, Err(Error::Length { .. })), "{recipe}: {result:?}");
            assert!(out.len() as u64 <= wrong.packed);
        }
    }
}

/// A reader that gives one byte at a time.
struct Slow<'a>(&'a [u8]);

impl io::Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.0.len().min(buffer.len()).min(1);
        io::Read::read(&mut self.0, &mut buffer[..len])
    }
}

#[test]
fn how_the_input_is_cut_does_not_matter() {
    let plain = content().repeat(400);
    for bytes in RECIPES {
        let recipe = recipe(bytes);
        if bytes[0] == 3 && bytes[2] >> 4 == 2 {
            continue;
        }
        let packed = pack(&recipe, &plain);
        let lengths = lengths(&packed, &plain);
        let mut again = Vec::new();
        repack(&recipe, lengths, &mut Slow(&plain), &mut again).unwrap();
        assert!(again == packed, "{recipe}");
        let mut unpacked = Vec::new();
        unpack(&recipe, lengths, &mut Slow(&packed), &mut unpacked).unwrap();
        assert!(unpacked == plain, "{recipe}");
    }
}

#[test]
fn a_failing_reader_or_writer_is_named() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
    impl io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for bytes in RECIPES {
        let (recipe, plain) = (recipe(bytes), content());
        let packed = pack(&recipe, &plain);
        let lengths = lengths(&packed, &plain);
        let reading = unpack(&recipe, lengths, &mut Broken, &mut io::sink()).unwrap_err();
        let is_read = |error: &Error| {
            matches!(error, Error::Io { kind: io::ErrorKind::PermissionDenied, .. })
        };
        assert!(is_read(&reading), "{recipe}: {reading:?}");
        let writing = repack(&recipe, lengths, &mut &plain[..], &mut Broken).unwrap_err();
        let is_write =
            |error: &Error| matches!(error, Error::Io { kind: io::ErrorKind::StorageFull, .. });
        assert!(is_write(&writing), "{recipe}: {writing:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_recipe_and_any_bytes_are_survived(
        code in 0..6u8,
        rest in prop::collection::vec(any::<u8>(), 12),
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let encoded = [&[code][..], &rest].concat();
        if let Ok(recipe) = Recipe::read(&mut Reader::new(&encoded[..])) {
            let lengths = Lengths { packed: bytes.len() as u64, plain: bytes.len() as u64 };
            let _ = unpack(&recipe, lengths, &mut &bytes[..], &mut io::sink());
            if upmass_member::memory(&recipe, lengths) < 64 << 20 {
                let _ = repack(&recipe, lengths, &mut &bytes[..], &mut io::sink());
            }
        }
    }

    #[test]
    fn any_corrections_are_survived(
        corrections in prop::collection::vec(any::<u8>(), 1..100),
        plain in prop::collection::vec(0..4u8, 0..3000),
    ) {
        let maker = Maker::Corrected(Corrections::new(&corrections).unwrap());
        let recipe = Recipe::Deflate(Deflate { trailer: Trailer::None, maker });
        let lengths = Lengths { packed: 3000, plain: plain.len() as u64 };
        let mut out = Vec::new();
        let _ = repack(&recipe, lengths, &mut &plain[..], &mut out);
        prop_assert!(out.len() <= 3000);
    }
}
