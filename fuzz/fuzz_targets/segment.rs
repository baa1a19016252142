//! Segments of any coder: demultiplexer, decompression of each stream, edits, steps, and patches
//! of a small base.

#![no_main]

use std::cell::RefCell;
use std::io::{self, BufReader};
use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use upmass_delta::DeltaError;
use upmass_delta::coder::Decoder;
use upmass_delta::patch::Sink;
use upmass_delta::stream::{SLACK, StreamDecoder};
use upmass_format::payload::{Demux, MAX_QUEUED, Step, Stream, StreamInput};
use upmass_format::tree_edit::{Edit, EditHead};
use upmass_format::wire::Reader;

const BASE: &[u8] = include_bytes!("../../crates/upmass-format/tests/vectors/segment/patch.base");
/// Longest new object: what makes a run slow, and finds nothing more.
const MAX_OBJECT: u64 = 1 << 18;
/// Most edits of one segment, for the same reason.
const MAX_EDITS: usize = 2000;

fuzz_target!(|data: &[u8]| {
    let (mut input, mut position) = (data, 0);
    while let Some((rest, end)) = execute(input, position) {
        assert!(end > position, "a segment takes some bytes");
        (input, position) = (rest, end);
    }
});

/// Executes one segment. `None` when it is refused, or there is none.
fn execute(input: &[u8], position: u64) -> Option<(&[u8], u64)> {
    let (demux, coder) = Demux::start(input, position).ok()??;
    let demux = Rc::new(RefCell::new(demux));
    let input = |stream| StreamInput::new(&demux, stream);
    let text = |stream| {
        let decoder = StreamDecoder::new(stream, input(stream));
        Reader::new(BufReader::with_capacity(4096, decoder))
    };
    let (mut program, mut edits) = (text(Stream::Program), text(Stream::Tree));
    let streams = [Stream::Copy, Stream::Residue, Stream::Literal];
    let mut patches = Decoder::new(coder, streams.map(input))?;
    let is_done = (|| {
        let has_edits = demux.borrow_mut().has(Stream::Tree).ok()?;
        if has_edits {
            let head = EditHead::read(&mut edits).ok()?;
            for _ in 0..MAX_EDITS {
                Edit::read(&mut edits, head.policy).ok()?;
            }
        }
        loop {
            let (base, len) = match Step::read(&mut program).ok()? {
                Step::End => break,
                // Members and parts are the business of who applies.
                Step::Members | Step::Parts | Step::Derivations => return None,
                Step::Whole(len) => (&[][..], len),
                Step::PatchHere(growth) | Step::Patch(_, growth) => {
                    (BASE, (BASE.len() as u64).checked_add_signed(growth)?)
                }
            };
            let mut sink = Counted { left: len.min(MAX_OBJECT) };
            let made = patches.patch(&base, len, &mut sink);
            assert!(demux.borrow().waiting() <= MAX_QUEUED);
            match made {
                Ok(()) => assert_eq!(sink.left, 0, "an object is made whole"),
                Err(DeltaError::Base(error)) => panic!("read outside the base: {error}"),
                Err(_) => return None,
            }
        }
        program.expect_end("program stream").ok()
    })();
    drop((program, edits, patches));
    is_done?;
    let demux = Rc::into_inner(demux).expect("all readers are gone").into_inner();
    demux.finish(SLACK).ok()
}

struct Counted {
    left: u64,
}

impl Sink for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_zeros(bytes.len() as u64)
    }

    fn write_zeros(&mut self, len: u64) -> io::Result<()> {
        let left = self.left.checked_sub(len);
        self.left = left.ok_or_else(|| io::Error::other("longer than this test looks at"))?;
        Ok(())
    }
}
