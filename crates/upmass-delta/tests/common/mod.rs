//! What the tests of this crate share.

#![allow(dead_code, reason = "each test uses a part of it")]

#[path = "../../../upmass-format/tests/common/markdown.rs"]
pub mod markdown;
#[path = "../../../upmass-format/tests/common/vectors.rs"]
pub mod vectors;

use std::cell::RefCell;
use std::io::Read;
use std::rc::Rc;

use proptest::prelude::*;
use upmass_delta::find::find_copies;
use upmass_delta::patch::{Copied, Decoder, Encoder, RawStreams};
use upmass_delta::stream::{EncodedStream, SLACK, StreamDecoder, encode};
use upmass_delta::{CODER_LZMA, DeltaError};
use upmass_format::FormatError;
use upmass_format::payload::{Demux, READ_AHEAD, STREAMS, Step, Stream, StreamInput, put_segment};
use upmass_format::wire::Reader;

/// A reproducible source of noise.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        self.0 >> 33
    }

    /// Content that cannot be compressed.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 7) as u8).collect()
    }

    /// Content that can, like a program or a text.
    pub fn words(&mut self, len: usize) -> Vec<u8> {
        let mut content = Vec::with_capacity(len + 8);
        while content.len() < len {
            let word = self.next() % 500;
            content
                .extend_from_slice(&(word * word * 77_777).to_le_bytes()[..1 + word as usize % 7]);
        }
        content.truncate(len);
        content
    }
}

/// The streams of one object.
pub fn streams(old: &[u8], new: &[u8], copies: &[Copied]) -> RawStreams {
    let mut encoder = Encoder::new();
    encoder.window(new, old, 0, copies);
    encoder.finish()
}

/// A decoder of raw streams, each compressed.
pub fn decoder(raw: &RawStreams) -> Decoder<std::io::Cursor<Vec<u8>>> {
    let input = |stream, content: &[u8]| std::io::Cursor::new(encode(stream, content).bytes);
    Decoder::new(
        input(Stream::Copy, &raw.copy),
        input(Stream::Residue, &raw.residue),
        input(Stream::Literal, &raw.literal),
    )
}

/// `new` as a decoder makes it from `old`.
pub fn patched(old: &[u8], new: &[u8], copies: &[Copied]) -> Vec<u8> {
    let raw = streams(old, new, copies);
    let mut decoder = decoder(&raw);
    let mut made = Vec::new();
    decoder.patch(&old, new.len() as u64, &mut made).unwrap();
    assert_eq!(decoder.consumed(), raw.lengths(), "all of the streams is used up");
    made
}

/// Checks what everyone may rely on: copies ascend, do not overlap, and are inside both.
pub fn check_copies(old: &[u8], new: &[u8], copies: &[Copied]) {
    let mut end = 0;
    for copy in copies {
        assert!(copy.len > 0, "{copy:?}");
        assert!(copy.new >= end, "{copy:?} after {end}");
        end = copy.new + copy.len;
        assert!(copy.old + copy.len <= old.len() as u64, "{copy:?} of {}", old.len());
    }
    assert!(end <= new.len() as u64, "{end} of {}", new.len());
}

/// Checks that the found copies are sound and make the new content.
pub fn check_find(old: &[u8], new: &[u8]) -> Vec<Copied> {
    let copies = find_copies(old, new);
    check_copies(old, new, &copies);
    assert!(patched(old, new, &copies) == new);
    copies
}

/// One object of a segment: the base it is made from, and itself.
pub type Object = (Vec<u8>, Vec<u8>);

/// A segment that makes these objects, without prelude, built as `upmass-build` builds it; and the
/// length of its compressed streams.
pub fn segment(objects: &[Object]) -> (Vec<u8>, [usize; STREAMS]) {
    let raw: Vec<RawStreams> =
        objects.iter().map(|(old, new)| streams(old, new, &find_copies(old, new))).collect();
    segment_of(objects, &raw)
}

/// As [`segment`], from streams that were made some other way.
pub fn segment_of(objects: &[Object], raw: &[RawStreams]) -> (Vec<u8>, [usize; STREAMS]) {
    let mut program = Vec::new();
    let mut patches = RawStreams::default();
    let mut demand = Vec::new();
    for ((old, new), raw) in objects.iter().zip(raw) {
        match old.is_empty() {
            true => Step::Whole(new.len() as u64).put(&mut program),
            false => Step::PatchHere(new.len() as i64 - old.len() as i64).put(&mut program),
        }
        let [copy, residue, literal] = patches.lengths();
        let used = program.len() as u64;
        demand.extend(
            raw.marks.iter().map(|m| [used, 0, copy + m[0], residue + m[1], literal + m[2], 0]),
        );
        patches.append(raw);
    }
    Step::End.put(&mut program);
    let none = Vec::new;
    let contents = [program, none(), patches.copy, patches.residue, patches.literal, none()];
    let encoded: [EncodedStream; STREAMS] =
        std::array::from_fn(|index| encode(Stream::ALL[index], &contents[index]));
    let needed = |point: &[u64; STREAMS]| {
        std::array::from_fn(|index| match point[index] {
            0 => 0,
            needed => encoded[index].needed_for(needed + READ_AHEAD),
        })
    };
    let demand: Vec<[u64; STREAMS]> = demand.iter().map(needed).collect();
    let streams = encoded.map(|stream| stream.bytes);
    let mut bytes = Vec::new();
    put_segment(CODER_LZMA, &streams, &demand, &mut bytes);
    (bytes, streams.map(|stream| stream.len()))
}

/// Why a segment cannot be executed.
#[derive(Debug)]
pub enum Failure {
    Format(FormatError),
    Delta(DeltaError),
    /// It makes more or less than the test has bases and room for.
    Program,
}

impl From<FormatError> for Failure {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl From<DeltaError> for Failure {
    fn from(error: DeltaError) -> Self {
        Self::Delta(error)
    }
}

/// What executing a segment gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Executed {
    /// The new objects.
    pub objects: Vec<Vec<u8>>,
    /// The most bytes that waited in queues.
    pub most_waiting: usize,
}

/// Executes a segment without prelude as a device does. Each object that is a patch takes the
/// next of `bases`. No object may be longer than `limit`.
pub fn execute(segment: &[u8], bases: &[&[u8]], limit: u64) -> Result<Executed, Failure> {
    let (demux, coder) = Demux::start(segment, 0)?.ok_or(Failure::Program)?;
    if coder != CODER_LZMA {
        return Err(Failure::Program);
    }
    let demux = Rc::new(RefCell::new(demux));
    let most = Rc::new(RefCell::new(0));
    let input = |stream| Watched {
        input: StreamInput::new(&demux, stream),
        demux: demux.clone(),
        most: most.clone(),
    };
    let program = StreamDecoder::new(Stream::Program, input(Stream::Program));
    let mut program = Reader::new(std::io::BufReader::with_capacity(4096, program));
    let mut patches =
        Decoder::new(input(Stream::Copy), input(Stream::Residue), input(Stream::Literal));
    let mut executed = Executed::default();
    let mut bases = bases.iter();
    loop {
        let (base, len): (&[u8], Option<u64>) = match Step::read(&mut program)? {
            Step::End => break,
            // Members, parts and derivations are the business of who applies.
            Step::Members | Step::Parts | Step::Derivations => continue,
            Step::Whole(len) => (&[], Some(len)),
            Step::PatchHere(growth) | Step::Patch(_, growth) => {
                let base: &[u8] = bases.next().ok_or(Failure::Program)?;
                (base, (base.len() as u64).checked_add_signed(growth))
            }
        };
        let len = len.filter(|len| *len <= limit).ok_or(Failure::Program)?;
        let mut made = Vec::new();
        patches.patch(&base, len, &mut made)?;
        executed.objects.push(made);
    }
    program.expect_end("program stream")?;
    executed.most_waiting = *most.borrow();
    drop((program, patches));
    let demux = Rc::into_inner(demux).expect("all readers are gone").into_inner();
    demux.finish(SLACK)?;
    Ok(executed)
}

/// Notes how much waits.
struct Watched<'a> {
    input: StreamInput<&'a [u8]>,
    demux: Rc<RefCell<Demux<&'a [u8]>>>,
    most: Rc<RefCell<usize>>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer);
        let mut most = self.most.borrow_mut();
        *most = self.demux.borrow().waiting().max(*most);
        read
    }
}

/// Old content and new content that has something to do with it: pieces of the old one in any
/// order, changed here and there, among new bytes and zeros.
pub fn any_pair(most: usize) -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let old = (0..most, any::<u64>(), 0..4).prop_map(|(len, seed, kind)| {
        let mut noise = Noise::new(seed);
        match kind {
            0 => noise.bytes(len),
            1 => noise.bytes(len).into_iter().map(|byte| byte % 3).collect(),
            2 => (0..len).map(|at| (at % (1 + seed as usize % 40)) as u8).collect(),
            _ => noise.words(len),
        }
    });
    let piece = (0..5, any::<(u32, u32)>(), any::<u64>());
    (old, prop::collection::vec(piece, 0..12)).prop_map(move |(old, pieces)| {
        let mut new = Vec::new();
        for (kind, (start, len), seed) in pieces {
            let start = start as usize % (old.len() + 1);
            let len = len as usize % (1 + most / 8);
            let mut piece = old[start..old.len().min(start + len)].to_vec();
            let mut noise = Noise::new(seed);
            match kind {
                0 => {}
                1 => {
                    for _ in 0..piece.len() / 30 {
                        let at = noise.next() as usize % piece.len();
                        piece[at] = piece[at].wrapping_add(1 + noise.next() as u8 % 3);
                    }
                }
                2 => piece = noise.bytes(len),
                3 => piece = vec![0; len * 4],
                _ => piece.iter_mut().step_by(9).for_each(|byte| *byte ^= 0x10),
            }
            new.extend_from_slice(&piece);
        }
        (old, new)
    })
}
