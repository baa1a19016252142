//! Streams and patches that are cut short or have flipped bits: nothing panics, nothing is made
//! that is longer than it should be, and a cut is always noticed.

mod common;

use std::io::{Cursor, ErrorKind, Read};

use common::{Failure, Noise, Object, execute, segment, streams, vectors};
use proptest::prelude::*;
use upmass_delta::DeltaError;
use upmass_delta::find::find_copies;
use upmass_delta::patch::{Decoder, RawStreams, Sink};
use upmass_delta::stream::{MIN_DICTIONARY_LOG2, StreamDecoder, encode, max_dictionary_log2};
use upmass_format::FormatError;
use upmass_format::payload::Stream;
use upmass_format::wire::put_varint;

/// A stream as it is stored without compression.
fn stored(content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if !content.is_empty() {
        put_varint(&mut bytes, (content.len() as u64) << 1);
        bytes.extend_from_slice(content);
    }
    bytes
}

/// Reads a stream to its end, `len` bytes at most.
fn read(stream: Stream, bytes: &[u8], len: usize) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    StreamDecoder::new(stream, bytes).take(len as u64).read_to_end(&mut content)?;
    Ok(content)
}

/// Calls `check` with each copy that has one bit flipped.
fn each_flipped_bit(valid: &[u8], mut check: impl FnMut(&[u8])) {
    let mut damaged = valid.to_vec();
    for at in 0..valid.len() {
        for bit in 0..8 {
            damaged[at] ^= 1 << bit;
            check(&damaged);
            damaged[at] ^= 1 << bit;
        }
    }
}

/// The format's own reason inside an I/O error.
fn reason(error: &std::io::Error) -> Option<&FormatError> {
    error.get_ref()?.downcast_ref()
}

#[test]
fn a_stream_that_was_cut_is_refused() {
    let mut noise = Noise::new(5);
    for content in [noise.words(3000), noise.bytes(500)] {
        for bytes in [encode(Stream::Copy, &content).bytes, stored(&content)] {
            assert_eq!(read(Stream::Copy, &bytes, usize::MAX).unwrap(), content);
            assert_eq!(read(Stream::Copy, b"", usize::MAX).unwrap(), b"", "a stream may be absent");
            for end in 1..bytes.len() {
                let Err(error) = read(Stream::Copy, &bytes[..end], usize::MAX) else {
                    panic!("cut at {end} of {}, and accepted", bytes.len());
                };
                let is_cut = error.kind() == ErrorKind::UnexpectedEof
                    || matches!(reason(&error), Some(FormatError::Truncated { .. }));
                assert!(is_cut, "cut at {end}: {error:?}");
            }
        }
    }
}

#[test]
fn a_stream_with_a_flipped_bit_is_refused_or_another_content() {
    let content = Noise::new(6).words(2000);
    for bytes in [encode(Stream::Residue, &content).bytes, stored(&content)] {
        each_flipped_bit(&bytes, |damaged| {
            if let Ok(content) = read(Stream::Residue, damaged, 1 << 20) {
                assert!(content.len() <= 1 << 20);
            }
        });
    }
}

#[test]
fn the_head_of_a_stream_is_checked() {
    let refused = |bytes: &[u8]| {
        let error = read(Stream::Program, bytes, usize::MAX).unwrap_err();
        reason(&error).unwrap_or_else(|| panic!("{error:?}")).clone()
    };
    let limit = max_dictionary_log2(Stream::Program);
    // Lengths of 0, stored and compressed.
    for head in [&[0][..], &[1, 0x5d, 12]] {
        assert!(matches!(refused(head), FormatError::NotCanonical { what: "stream length", .. }));
    }
    for properties in [225, 255, 8] {
        let error = refused(&[3, properties, 12]);
        assert!(matches!(error, FormatError::Unknown { what: "LZMA properties", .. }));
    }
    for log2 in [limit + 1, 64, 255] {
        let error = refused(&[3, 0x5d, log2]);
        assert!(matches!(error, FormatError::TooLarge { what: "LZMA dictionary", .. }), "{error}");
    }
    for log2 in [0, MIN_DICTIONARY_LOG2 - 1] {
        let error = refused(&[3, 0x5d, log2]);
        assert!(matches!(error, FormatError::Unknown { what: "LZMA dictionary", .. }), "{error}");
    }
    // LZMA begins with a zero byte.
    let error = refused(&[3, 0x5d, limit, 1, 2, 3, 4, 5]);
    assert!(matches!(error, FormatError::Invalid { what: "LZMA stream", .. }), "{error}");
    let error = refused(&[3, 0x5d, limit, 0, 0, 0]);
    assert!(matches!(error, FormatError::Truncated { what: "LZMA stream", .. }), "{error}");
}

#[test]
fn a_stream_that_was_refused_stays_refused() {
    let mut decoder = StreamDecoder::new(Stream::Copy, &[3, 255, 12][..]);
    for _ in 0..3 {
        assert!(decoder.read(&mut [0; 10]).is_err());
    }
}

#[test]
fn a_dictionary_may_be_smaller_than_the_content() {
    let content = Noise::new(7).words(100_000);
    let mut bytes = encode(Stream::Literal, &content).bytes;
    let head = 3;
    assert_eq!(bytes[head + 1], 17, "the head is length, properties, dictionary");
    for log2 in MIN_DICTIONARY_LOG2..=max_dictionary_log2(Stream::Literal) {
        bytes[head + 1] = log2;
        // Matches that reach behind the dictionary are refused.
        if let Ok(made) = read(Stream::Literal, &bytes, usize::MAX) {
            assert!(made == content);
        }
    }
}

fn sample() -> (Object, RawStreams) {
    let mut noise = Noise::new(8);
    let old = noise.words(700);
    let mut new = [&old[300..650], &noise.bytes(60), &vec![0; 5000], &old[..400]].concat();
    new[100] ^= 1;
    let raw = streams(&old, &new, &find_copies(&old, &new));
    ((old, new), raw)
}

/// Takes no more than an object may have, and counts.
struct Limited {
    left: u64,
}

impl Sink for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.write_zeros(bytes.len() as u64)
    }

    fn write_zeros(&mut self, len: u64) -> std::io::Result<()> {
        self.left = self.left.checked_sub(len).expect("no more than the object has");
        Ok(())
    }
}

fn execute_raw(raw: [&[u8]; 3], base: &[u8], len: u64) -> Result<(), DeltaError> {
    let [copy, residue, literal] = raw.map(|content| Cursor::new(stored(content)));
    let mut sink = Limited { left: len };
    Decoder::new(copy, residue, literal).patch(&base, len, &mut sink)?;
    assert_eq!(sink.left, 0, "an object is made whole");
    Ok(())
}

#[test]
fn a_patch_that_was_cut_is_refused() {
    let ((old, new), raw) = sample();
    let whole = [&raw.copy[..], &raw.residue, &raw.literal];
    assert!(whole.iter().all(|stream| !stream.is_empty()), "{:?}", raw.lengths());
    execute_raw(whole, &old, new.len() as u64).unwrap();
    for index in 0..3 {
        for end in 0..whole[index].len() {
            let mut cut = whole;
            cut[index] = &cut[index][..end];
            let error = execute_raw(cut, &old, new.len() as u64).unwrap_err();
            let is_cut = matches!(error, DeltaError::Format(FormatError::Truncated { .. }));
            assert!(is_cut, "stream {index} cut at {end}: {error:?}");
        }
    }
}

#[test]
fn a_patch_with_a_flipped_bit_is_refused_or_makes_as_many_bytes() {
    let ((old, new), raw) = sample();
    each_flipped_bit(&raw.copy, |copy| {
        let _ = execute_raw([copy, &raw.residue, &raw.literal], &old, new.len() as u64);
    });
    for len in [0, 1, new.len() as u64 - 1, new.len() as u64 + 1, u64::MAX] {
        let _ = execute_raw([&raw.copy, &raw.residue, &raw.literal], &old, len);
    }
}

#[test]
fn a_copy_outside_its_base_is_refused() {
    // Literal of 0, copy of 3 bytes from the given place, all exact.
    let copy_from = |position: i64, base: &[u8]| {
        let mut copy = vec![0, 3 << 1];
        put_varint(&mut copy, upmass_format::wire::zigzag(position));
        copy.push(3);
        execute_raw([&copy, &[], &[]], base, 3)
    };
    copy_from(0, b"abc").unwrap();
    copy_from(1, b"abcd").unwrap();
    for (position, base) in [
        (-1, &b"abc"[..]),
        (1, b"abc"),
        (0, b"ab"),
        (0, b""),
        (i64::MIN, b"abc"),
        (i64::MAX, b"abc"),
    ] {
        let error = copy_from(position, base).unwrap_err();
        assert!(matches!(error, DeltaError::OutsideBase { len: 3, .. }), "{error:?}");
    }
}

#[test]
fn an_operation_that_makes_too_much_or_nothing_is_refused() {
    let refused = |copy: &[u8]| execute_raw([copy, &[], &[1; 10]], b"abc", 3).unwrap_err();
    // A literal, zeros, a copy and a run of 4 bytes where 3 are left.
    for copy in [&[4][..], &[0, 4 << 1 | 1], &[0, 4 << 1, 0], &[0, 3 << 1, 0, 4]] {
        let error = refused(copy);
        assert!(matches!(error, DeltaError::OutsideObject { len: 4, left: 3 }), "{error:?}");
    }
    for copy in [[0, 0], [0, 1]] {
        let error = refused(&copy);
        let is_nothing = matches!(error, DeltaError::Format(FormatError::NotCanonical { .. }));
        assert!(is_nothing, "{error:?}");
    }
}

#[test]
fn a_segment_that_was_cut_is_refused() {
    let (object, _) = sample();
    let (bytes, _) = segment(std::slice::from_ref(&object));
    let bases = [&object.0[..]];
    assert_eq!(execute(&bytes, &bases, 1 << 20).unwrap().objects, [&object.1[..]]);
    for end in 0..bytes.len() {
        assert!(execute(&bytes[..end], &bases, 1 << 20).is_err(), "cut at {end}");
    }
}

#[test]
fn a_segment_with_a_flipped_bit_is_refused_or_makes_something_else() {
    let (object, _) = sample();
    let (bytes, _) = segment(std::slice::from_ref(&object));
    let base = &object.0[..];
    each_flipped_bit(&bytes, |damaged| {
        if let Ok(executed) = execute(damaged, &[base; 8], 1 << 20) {
            assert!(executed.objects.iter().all(|object| object.len() <= 1 << 20));
        }
    });
}

#[test]
fn the_segments_among_the_vectors_make_their_objects() {
    let base = vectors::vector("segment/patch.base");
    let new = vectors::vector("segment/patch.new");
    let made = |name: &str| execute(&vectors::vector(name), &[&base], 1 << 20).unwrap().objects;
    let object = (base.clone(), new.clone());
    vectors::golden("segment/patch.bin", || segment(&[object]).0);
    assert!(made("segment/patch.bin") == [new.clone()]);
    // Another encoder made this one, with an end mark of LZMA that is not needed.
    assert!(made("segment/liblzma.bin") == [new]);
}

proptest! {
    #[test]
    fn no_segment_makes_its_decoder_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let (object, _) = sample();
        let (mut bytes, _) = segment(std::slice::from_ref(&object));
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        match execute(&bytes, &[&object.0[..]; 3], 1 << 20) {
            Ok(_) | Err(Failure::Program | Failure::Format(_) | Failure::Delta(_)) => {}
        }
    }

    #[test]
    fn no_streams_make_a_patch_panic(copy in prop::collection::vec(prop_oneof![0..8_u8, any::<u8>()], 0..40), len in 0..2000_u64) {
        let base = Noise::new(1).bytes(300);
        let _ = execute_raw([&copy, &[5; 200], &[6; 200]], &base, len);
    }
}
