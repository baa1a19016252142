//! Recipes and their encoding, and the specification beside the code.

#[path = "../../upmass-format/tests/common/markdown.rs"]
mod markdown;

use markdown::{Hex, Spec, hex};
use proptest::prelude::*;
use upmass_format::FormatError;
use upmass_format::wire::Reader;
use upmass_member::expanded::{MAX_LENGTH, MAX_MEMBERS, MAX_PARSES};
use upmass_member::recipe::{
    Corrections, Deflate, LEAST_PARSED_BLOCK, Level, Lz4, Lz4Level, MAX_CORRECTIONS, MAX_PARSED,
    MAX_XZ_BLOCK, MAX_XZ_DICT, MAX_ZSTD_WINDOW, Maker, Packer, Strategy as Search, Trailer, Xz,
    XzBits, XzBlocks, XzCheck, XzDict, XzFilter, XzParse, XzPreset, Zstd, ZstdLevel, ZstdWindow,
    codes, versions,
};
use upmass_member::{Codec, Codecs, Recipe};

const SPEC: Spec = Spec(include_str!("../../upmass-format/spec/member.md"));

fn level(level: u8) -> Level {
    Level::new(level).unwrap()
}

fn samples() -> [Recipe; 5] {
    [
        Recipe::Deflate(Deflate {
            trailer: Trailer::Gzip,
            maker: Maker::Known(Packer::Gnu { level: level(9) }),
        }),
        Recipe::Deflate(Deflate {
            trailer: Trailer::None,
            maker: Maker::Known(Packer::Zlib {
                level: level(6),
                mem_level: level(8),
                strategy: Search::Default,
            }),
        }),
        Recipe::Xz(Xz {
            check: XzCheck::Crc32,
            preset: XzPreset::new(6, false).unwrap(),
            dict: XzDict::new(16).unwrap(),
            bits: XzBits::DEFAULT,
            filter: XzFilter::None,
            blocks: XzBlocks::Of(1 << 21),
        }),
        Recipe::Zstd(Zstd {
            level: ZstdLevel::new(9).unwrap(),
            has_workers: true,
            is_sized: true,
            has_checksum: true,
            long: None,
        }),
        Recipe::Lz4(Lz4 { level: Lz4Level::new(9).unwrap() }),
    ]
}

#[test]
fn the_worked_example() {
    let bytes: Vec<u8> = samples().iter().flat_map(Recipe::to_bytes).collect();
    SPEC.check_example("Worked example", &bytes);
    let mut input = Reader::new(&bytes[..]);
    for sample in samples() {
        assert_eq!(Recipe::read(&mut input), Ok(sample));
    }
    assert_eq!(input.expect_end("recipes"), Ok(()));
}

#[test]
fn numbers_of_the_specification() {
    let packers = SPEC.section("Deflate");
    assert!(packers.contains("| zlib | 2 |"));
    for (name, code) in [
        ("zlib", codes::ZLIB),
        ("gnu", codes::GNU),
        ("corrected", codes::CORRECTED),
        ("xz", codes::XZ),
        ("zstd", codes::ZSTD),
        ("lz4", codes::LZ4),
        ("parse", codes::PARSE),
    ] {
        let row = format!("\n| {name} | {code} | u8: ");
        assert!(SPEC.section("Packers").contains(&row), "{row:?}");
    }
    SPEC.check_numbers(
        "Versions",
        &[
            ("corrections", versions::PREFLATE.into()),
            ("parses", versions::PARSE.into()),
            ("liblzma", versions::LIBLZMA.into()),
            ("libzstd", versions::LIBZSTD.into()),
            ("liblz4", versions::LZ4.into()),
        ],
    );
    SPEC.check_numbers(
        "Limits",
        &[
            ("corrections, bytes", MAX_CORRECTIONS as u64),
            ("xz dictionary", MAX_XZ_DICT.into()),
            ("members of a list", MAX_MEMBERS),
            ("parses of a base", MAX_PARSES as u64),
            ("content of a member with a parse, bytes", MAX_PARSED),
            ("shortest block of a parse, bytes", LEAST_PARSED_BLOCK),
            ("recipes of a segment", MAX_MEMBERS),
            ("gap and lengths of a member", MAX_LENGTH),
            ("xz block, bytes", MAX_XZ_BLOCK),
            ("zstd window, as a power of two", MAX_ZSTD_WINDOW.into()),
        ],
    );
    // The block size of xz follows its layout.
    for (title, recipe, rest) in [("Xz", &samples()[2], 4), ("Zstd", &samples()[3], 0)] {
        let end: usize = SPEC.layout(title).iter().map(|(_, size, _)| size).sum();
        assert_eq!(recipe.to_bytes().len(), 2 + end + rest, "{title}");
    }
}

#[test]
fn a_recipe_that_is_cut_short_is_refused() {
    for sample in samples() {
        let bytes = sample.to_bytes();
        for end in 0..bytes.len() {
            let read = Recipe::from_bytes(&bytes[..end]);
            assert!(matches!(read, Err(FormatError::Truncated { .. })), "{sample} {end}: {read:?}");
        }
    }
}

#[test]
fn what_is_no_recipe_is_refused() {
    for bytes in [
        "06",
        "ff",
        "00 00 08",
        "00 0a 08",
        "00 36 08",
        "00 06 00",
        "00 06 0a",
        "00 06 58",
        "01 10",
        "01 40",
        "02 02 01 00",
        "02 01 00",
        "02 01 81 80 40",
        "03 02 11 06 10 5d 00",
        "03 01 12 06 10 5d 00",
        "03 01 31 06 10 5d 00",
        "03 01 11 07 10 5d 00",
        "03 01 11 10 10 5d 00",
        "03 01 11 86 10 5d 00",
        "03 01 11 06 23 5d 00",
        "03 01 11 06 10 e1 00",
        "03 01 11 06 10 08 00",
        "03 01 11 06 10 5d 06",
        "03 01 21 06 10 5d 00 00",
        "03 01 21 06 10 5d 00 81 80 80 80 04",
        "03 01 11 06 10 5d 00 00",
        "04 02 07 12 00",
        "04 01 08 12 00",
        "04 01 07 00 00",
        "04 01 07 2e 00",
        "04 01 07 0f 00",
        "04 01 07 12 09",
        "04 01 07 12 1c",
        "05 02 09",
        "05 01 02",
        "05 01 0d",
    ] {
        let read = Recipe::from_bytes(&hex(bytes));
        // lc 8 with lp 0 is more than four.
        assert!(read.is_err(), "{bytes}: {read:?}");
    }
}

#[test]
fn each_flipped_bit_gives_another_recipe_or_none() {
    for sample in samples() {
        let bytes = sample.to_bytes();
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = Recipe::from_bytes(&flipped) {
                assert_ne!(other, sample);
                assert_eq!(Hex(&other.to_bytes()), Hex(&flipped));
            }
        }
    }
}

fn recipes() -> impl Strategy<Value = Recipe> {
    let levels = || (1..=9u8).prop_map(level);
    let trailers = || prop::sample::select(vec![Trailer::None, Trailer::Gzip, Trailer::Zlib]);
    let zlib = (trailers(), levels(), levels(), prop::sample::select(Search::ALL.to_vec()))
        .prop_map(|(trailer, level, mem_level, strategy)| {
            let maker = Maker::Known(Packer::Zlib { level, mem_level, strategy });
            Recipe::Deflate(Deflate { trailer, maker })
        });
    let gnu = (trailers(), levels()).prop_map(|(trailer, level)| {
        Recipe::Deflate(Deflate { trailer, maker: Maker::Known(Packer::Gnu { level }) })
    });
    let corrected =
        (trailers(), prop::collection::vec(any::<u8>(), 1..300)).prop_map(|(trailer, bytes)| {
            let maker = Maker::Corrected(Corrections::new(&bytes).unwrap());
            Recipe::Deflate(Deflate { trailer, maker })
        });
    let checks = prop::sample::select(XzCheck::ALL.to_vec());
    let filters = prop::sample::select(XzFilter::ALL.to_vec());
    let presets = prop::sample::select(XzPreset::ALL.to_vec());
    let bits = (0..225u8).prop_filter_map("lc + lp", XzBits::new);
    let blocks = prop_oneof![
        Just(XzBlocks::Unsized),
        Just(XzBlocks::One),
        (1..=MAX_XZ_BLOCK).prop_map(XzBlocks::Of)
    ];
    let xz = (checks, presets, 0..=MAX_XZ_DICT, bits, filters, blocks).prop_map(
        |((_, check), preset, dict, bits, (_, filter), blocks)| {
            let dict = XzDict::new(dict).unwrap();
            Recipe::Xz(Xz { check, preset, dict, bits, filter, blocks })
        },
    );
    let parse = (xz.clone(), any::<u32>(), prop::option::of(0..1000u32), 10..=22u8)
        .prop_filter_map("a filter of parses", |(xz, parse, base, places)| {
            let Recipe::Xz(xz) = xz else { return None };
            let mut stream = Some(xz.stream()).filter(|s| s.filter != XzFilter::RiscV)?;
            if let XzBlocks::Of(size) = &mut stream.blocks {
                *size = (*size).max(LEAST_PARSED_BLOCK);
            }
            Some(Recipe::Parse(XzParse { stream, parse: parse.into(), base, places }))
        });
    let levels = (-7..=22i8).prop_filter_map("not 0", ZstdLevel::new);
    let long = prop::option::of((10..=27u8).prop_filter_map("window", ZstdWindow::new));
    let zstd = (levels, any::<[bool; 3]>(), long).prop_map(
        |(level, [has_workers, is_sized, has_checksum], long)| {
            Recipe::Zstd(Zstd { level, has_workers, is_sized, has_checksum, long })
        },
    );
    let lz4 =
        (3..=12u8).prop_map(|level| Recipe::Lz4(Lz4 { level: Lz4Level::new(level).unwrap() }));
    prop_oneof![zlib, gnu, corrected, xz, parse, zstd, lz4]
}

proptest! {
    #[test]
    fn what_is_written_is_read(recipe in recipes()) {
        prop_assert_eq!(Recipe::from_bytes(&recipe.to_bytes()), Ok(recipe));
    }

    #[test]
    fn what_is_read_is_written(bytes in prop::collection::vec(any::<u8>(), 0..12), code in 0..7u8) {
        let bytes = [&[code][..], &bytes[..]].concat();
        let mut input = Reader::new(&bytes[..]);
        if let Ok(recipe) = Recipe::read(&mut input) {
            let read = input.offset() as usize;
            prop_assert_eq!(Hex(&recipe.to_bytes()), Hex(&bytes[..read]));
        }
    }
}

#[test]
fn codecs_of_the_specification() {
    let rows = SPEC.rows("Codecs");
    assert_eq!(rows.len(), Codec::ALL.len());
    for (codec, row) in Codec::ALL.into_iter().zip(rows) {
        assert_eq!((codec.word(), (codec as u8).to_string()), (row[0].as_str(), row[1].clone()));
        assert_eq!(Codecs::from_iter([codec]).bits(), 1 << codec as u64);
        assert!(Codecs::ALL.contains(codec));
        // Its packers are named where their numbers are.
        for packer in row[2].split(", ") {
            assert!(SPEC.rows("Packers").iter().any(|known| known[0] == packer), "{packer}");
        }
    }
}

#[test]
fn sets_of_codecs_keep_what_they_do_not_know() {
    let set = Codecs::from_bits(0b1000_0101);
    assert_eq!(set.to_string(), "deflate, xz, codec 7");
    assert_eq!(set.without(Codecs::ALL).to_string(), "codec 7");
    assert_eq!(Codecs::NONE.to_string(), "none");
    assert!(Codecs::included().without(Codecs::ALL).is_empty());
}
