//! `spec/coder-lzma.md` and `spec/coder-model.md` of upmass-format against the code: tables of
//! numbers and every worked example.

mod common;

use std::io::Read;

use common::markdown::Spec;
use common::{Noise, execute, segment_of, streams};
use upmass_delta::modelled::{self, Contexts, Kind, Operation, SIZES_LOG2, Sizes};
use upmass_delta::patch::Copied;
use upmass_delta::stream::{
    MIN_DICTIONARY_LOG2, SLACK, StreamDecoder, encode, max_dictionary_log2,
};
use upmass_delta::{CODER_LZMA, CODER_MODEL};
use upmass_format::payload::Stream;
use upmass_format::wire::{Reader, put_varint};

const SPEC: Spec = Spec(include_str!("../../upmass-format/spec/coder-lzma.md"));
const MODEL: Spec = Spec(include_str!("../../upmass-format/spec/coder-model.md"));

#[test]
fn limits() {
    SPEC.check_numbers(
        "Limits",
        &[
            ("coder", CODER_LZMA.into()),
            ("dictionary, at least, as a power of two", MIN_DICTIONARY_LOG2.into()),
            ("bytes of a stream that may be left at the end of a segment", SLACK as u64),
        ],
    );
    let dictionaries =
        Stream::ALL.map(|stream| (stream.word(), max_dictionary_log2(stream).into()));
    SPEC.check_numbers("Dictionaries", &dictionaries);
}

#[test]
fn methods() {
    let methods = SPEC.numbers("Streams");
    let content = Noise::new(1).words(500);
    for (method, content) in [("stored", &b"short"[..]), ("lzma", &content)] {
        let bytes = encode(Stream::Copy, content).bytes;
        let word = Reader::new(&bytes[..]).varint("stream length").unwrap();
        assert_eq!(word, 2 * content.len() as u64 + methods[method], "{method}");
    }
    assert_eq!(methods.len(), 2);
}

#[test]
fn head_of_lzma() {
    let layout = SPEC.layout("LZMA head");
    assert_eq!(layout[0], (0, 1, "properties".to_owned()));
    assert_eq!(layout[1], (1, 1, "dictionary".to_owned()));
    let content = Noise::new(2).words(5000);
    let encoded = encode(Stream::Copy, &content);
    let [properties, dictionary] = encoded.bytes[2..4].try_into().unwrap();
    assert_eq!(encoded.memory, 1 << dictionary);
    assert_eq!(dictionary, 13, "the smallest that holds 5000 bytes");
    // By the formula, another pb changes the first byte by 45, and what is read becomes nonsense.
    let mut other = encoded.bytes.clone();
    other[2] = (properties + 45) % 225;
    let mut read = Vec::new();
    let is_read = StreamDecoder::new(Stream::Copy, &other[..]).read_to_end(&mut read).is_ok();
    assert!(!is_read || read != content);
    // 224 is the largest, but has lc + lp = 12.
    for properties in 0..=255_u8 {
        let (lc, lp) = (properties % 9, properties / 9 % 5);
        let is_valid = properties <= 224 && lc + lp <= 4;
        let mut head = Vec::new();
        put_varint(&mut head, 2 + 1);
        head.extend_from_slice(&[properties, 12, 0, 0, 0, 0, 0, 0]);
        let read = StreamDecoder::new(Stream::Copy, &head[..]).read(&mut [0]);
        assert_eq!(read.is_ok(), is_valid, "{properties}: {read:?}");
    }
}

#[test]
fn worked_examples() {
    let base = b"the tide is low, the sea is calm";
    let new = [&b"the tide is low; the sea is calm."[..], &[0; 5000], b"the sea!"].concat();
    let copies = [Copied { new: 0, old: 0, len: 32 }, Copied { new: 5033, old: 17, len: 7 }];
    let raw = streams(base, &new, &copies);
    SPEC.check_example("Worked example", &raw.copy);
    let example = SPEC.example("Worked example of a segment");
    let (bytes, _) = segment_of(&[(base.to_vec(), new.clone())], &[raw]);
    SPEC.check_example("Worked example of a segment", &bytes);
    assert!(execute(&example, &[base], 10_000).unwrap().objects == [new]);
}

#[test]
fn kinds_of_operations() {
    let kinds = SPEC.numbers("Objects");
    // Zeros come first in one object, a copy in the other.
    let zeros = streams(b"", &[0; 4096], &[]);
    assert_eq!(u64::from(zeros.copy[1] & 1), kinds["zeros"]);
    let copied = streams(b"abc", b"abc", &[Copied { new: 0, old: 0, len: 3 }]);
    assert_eq!(u64::from(copied.copy[1] & 1), kinds["copy"]);
    assert_eq!(copied.copy[1] >> 1, 3);
}

/// The code of coder 2, whose constants nobody else needs.
const SOURCES: [(&str, &str); 16] = [
    ("modelled", include_str!("../src/modelled/mod.rs")),
    ("content", include_str!("../src/modelled/content.rs")),
    ("models", include_str!("../src/modelled/models.rs")),
    ("learned", include_str!("../src/modelled/learned.rs")),
    ("history", include_str!("../src/history.rs")),
    ("elf", include_str!("../src/machine/elf.rs")),
    ("images", include_str!("../src/machine/images.rs")),
    ("made", include_str!("../src/machine/made.rs")),
    ("regions", include_str!("../src/machine/regions.rs")),
    ("field", include_str!("../src/machine/field.rs")),
    ("scan", include_str!("../src/machine/scan/mod.rs")),
    ("bits", include_str!("../src/model/bits.rs")),
    ("bytes", include_str!("../src/model/bytes.rs")),
    ("range", include_str!("../src/model/range.rs")),
    ("light", include_str!("../src/model/light.rs")),
    ("decoder", include_str!("../src/modelled/decoder.rs")),
];

/// The value of a constant that is a number, or a number shifted by another.
fn constant(name: &str) -> u64 {
    let (module, name) = name.split_once("::").unwrap();
    let (_, source) = SOURCES.iter().find(|source| source.0 == module).unwrap();
    let start = format!("const {name}: ");
    let line = source.lines().find_map(|line| line.split_once(&start)).unwrap().1;
    let value = line.split_once(" = ").unwrap().1.trim_end_matches(';');
    let (number, shift) = value.split_once(" << ").unwrap_or((value, "0"));
    number.parse::<u64>().unwrap() << shift.parse::<u32>().unwrap()
}

#[test]
fn limits_of_coder_2() {
    MODEL.check_numbers(
        "Limits",
        &[
            ("coder", CODER_MODEL.into()),
            ("table and history, at least, as a power of two", SIZES_LOG2.0.into()),
            ("table and history, at most, as a power of two", SIZES_LOG2.1.into()),
            ("bytes that may be read behind the end", constant("range::MAX_BEYOND")),
            ("bytes of a stream that may be left at the end of a segment", SLACK as u64),
        ],
    );
}

#[test]
fn constants_of_coder_2() {
    let names = [
        ("content of a window, bytes", "modelled::WINDOW"),
        ("chunk, bytes", "modelled::CHUNK"),
        ("block, bytes", "content::BLOCK"),
        ("longest front, bytes", "made::LONGEST_FRONT"),
        (
            "operations of a window and learned targets, at most, as a power of two",
            "decoder::MOST_LOG2",
        ),
        ("by so much less than the table, as a power of two", "decoder::BELOW_LOG2"),
        ("kinds of fields", "field::KINDS"),
        ("tokens of a lot, as a power of two", "learned::NEAR_LOG2"),
        ("lots", "learned::LOTS"),
        ("program headers, section headers", "elf::MAX_HEADERS"),
        ("ELF segments", "elf::MAX_SEGMENTS"),
        ("symbols of sections", "elf::MAX_SYMBOLS"),
        ("headers that are looked at", "images::MAX_PROGRAMS"),
        ("bytes searched for each of the object", "images::SEARCHED_EACH"),
        ("bytes searched", "images::SEARCHED"),
        ("names of sections, bytes", "regions::MAX_NAMES"),
        ("x86 before", "scan::X86_BEFORE"),
        ("a64 around", "scan::A64_AROUND"),
        ("arm before", "scan::ARM_BEFORE"),
        ("arm behind", "scan::ARM_AFTER"),
        ("arm instructions ahead", "scan::ARM_AHEAD"),
        ("record of unwind information, bytes", "scan::RECORD"),
        ("between known starts", "scan::STEP"),
        ("contexts of a byte", "bytes::CONTEXTS"),
        ("contexts of a byte, few", "light::LIGHT_CONTEXTS"),
        ("cells in a group", "bytes::GROUP"),
        ("cells of worth", "bytes::WORTH"),
        ("modelled bits of a number", "bits::MODELLED"),
        ("places for a hash", "history::WAYS"),
        ("bytes of history for a hash, as a power of two", "history::PER_HASH_LOG2"),
        ("bytes of a hash", "history::LEAST"),
        ("bytes compared of a candidate", "history::COMPARED"),
        ("distance of places in copies", "history::SPARSE"),
        ("latest bytes of copies", "history::LATEST"),
        ("length worth keeping", "history::WORTH_KEEPING"),
        ("a fault", "history::FAULT"),
        ("most faults", "history::MOST_FAULTS"),
        ("length that is followed first", "models::FOLLOWED"),
    ];
    let expected = names.map(|(name, constant_name)| (name, constant(constant_name)));
    MODEL.check_numbers("Constants", &expected);
}

#[test]
fn meanings_of_coder_2() {
    let source = include_str!("../src/machine/regions.rs");
    let variants = source.split_once("enum Meaning {").unwrap().1.split_once('}').unwrap().0;
    let variants = variants.lines().map(str::trim).filter(|line| line.ends_with(','));
    let names = [
        ("plain", "Plain"),
        ("x86", "X86"),
        ("a64", "A64"),
        ("arm", "Arm"),
        ("rela", "Rela64"),
        ("rel", "Rel32"),
        ("symbols, 64 bits", "Symbols64"),
        ("symbols, 32 bits", "Symbols32"),
        ("unwind", "Unwind"),
        ("unwind index", "UnwindIndex"),
        ("ARM index", "ArmIndex"),
        ("data, 64 bits", "Data64"),
        ("data, 32 bits", "Data32"),
        ("constants", "Constants"),
        ("headers", "Headers"),
        ("types", "Types"),
    ];
    assert!(variants.eq(names.map(|(_, variant)| format!("{variant},"))));
    let numbers: Vec<_> =
        names.iter().zip(0..).map(|((name, _), number)| (*name, number)).collect();
    MODEL.check_numbers("Meanings", &numbers);
}

#[test]
fn the_table_of_probabilities_follows_its_formula() {
    let source = include_str!("../src/model/logistic.rs");
    let table = source.split_once("= [").unwrap().1.split_once(']').unwrap().0;
    let table: Vec<f64> =
        table.split(',').filter_map(|number| number.trim().parse().ok()).collect();
    let formula = (0..193).map(|i| {
        let logit = f64::from(32 * i - 3072) / 256.0;
        (65536.0 / (1.0 + (-logit).exp())).round().clamp(1.0, 65535.0)
    });
    assert!(formula.eq(table));
}

#[test]
fn worked_example_of_coder_2() {
    let base = &b"the tide is low, the sea is calm"[..];
    let new = &b"the tide is low; the sea is calm."[..];
    let operations =
        [Operation { kind: Kind::Copy(0), len: 32 }, Operation { kind: Kind::Literal, len: 1 }];
    let mut encoder = modelled::Encoder::with_sizes(Sizes {
        table_log2: SIZES_LOG2.0,
        history_log2: SIZES_LOG2.0,
        contexts: Contexts::Many,
    });
    encoder.object(&base, &new, &operations).unwrap();
    MODEL.check_example("Worked example", &encoder.finish());
    let mut made = Vec::new();
    let example = MODEL.example("Worked example");
    modelled::Decoder::new(&example[..]).patch(&base, new.len() as u64, &mut made).unwrap();
    assert_eq!(made, new);
}
