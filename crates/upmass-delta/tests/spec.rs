//! `spec/coder-lzma.md` of upmass-format against the code: every table and every worked example.

mod common;

use std::io::Read;

use common::markdown::Spec;
use common::{Noise, execute, segment_of, streams};
use upmass_delta::CODER_LZMA;
use upmass_delta::patch::Copied;
use upmass_delta::stream::{
    MIN_DICTIONARY_LOG2, SLACK, StreamDecoder, encode, max_dictionary_log2,
};
use upmass_format::payload::Stream;
use upmass_format::wire::{Reader, put_varint};

const SPEC: Spec = Spec(include_str!("../../upmass-format/spec/coder-lzma.md"));

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
