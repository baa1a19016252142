//! Collects the streams of a segment and writes it.

use rayon::prelude::*;
use upmass_delta::CODER_LZMA;
use upmass_delta::patch::RawStreams;
use upmass_delta::stream::{self, EncodedStream};
use upmass_format::payload::{READ_AHEAD, STREAMS, Step, Stream, put_segment};

/// A segment before compression.
#[derive(Default)]
pub(crate) struct Segment {
    pub(crate) program: Vec<u8>,
    pub(crate) tree: Vec<u8>,
    patches: RawStreams,
    /// Lengths of all streams that a decoder has used up at growing points of its work.
    demand: Vec<[u64; STREAMS]>,
}

/// A segment as the payload has it.
pub(crate) struct EncodedSegment {
    pub(crate) bytes: Vec<u8>,
    /// Length of each stream, compressed.
    pub(crate) streams: [u64; STREAMS],
    /// Memory of its decoders, in bytes.
    pub(crate) memory: u64,
}

impl Segment {
    /// Appends streams for which the program was written already.
    pub(crate) fn patch(&mut self, patch: &RawStreams) {
        let before = self.patches.lengths();
        let (program, tree) = (self.program.len() as u64, self.tree.len() as u64);
        self.demand.extend(patch.marks.iter().map(|mark| {
            [program, tree, before[0] + mark[0], before[1] + mark[1], before[2] + mark[2]]
        }));
        self.patches.append(patch);
    }

    /// Says that a decoder uses all of the tree stream now.
    pub(crate) fn use_trees(&mut self) {
        let [copy, residue, literal] = self.patches.lengths();
        let (program, tree) = (self.program.len() as u64, self.tree.len() as u64);
        self.demand.push([program, tree, copy, residue, literal]);
    }

    /// Ends the segment and compresses its streams.
    pub(crate) fn finish(mut self) -> EncodedSegment {
        Step::End.put(&mut self.program);
        let RawStreams { copy, residue, literal, .. } = self.patches;
        let contents = [self.program, self.tree, copy, residue, literal];
        let encoded: Vec<EncodedStream> = Stream::ALL
            .par_iter()
            .map(|stream| stream::encode(*stream, &contents[*stream as usize]))
            .collect();
        let demand: Vec<[u64; STREAMS]> = self
            .demand
            .iter()
            .map(|point| {
                std::array::from_fn(|i| match point[i] {
                    0 => 0,
                    needed => encoded[i].needed_for(needed + READ_AHEAD),
                })
            })
            .collect();
        let memory = encoded.iter().map(|stream| stream.memory).sum();
        let streams: Vec<Vec<u8>> = encoded.into_iter().map(|stream| stream.bytes).collect();
        let streams: [Vec<u8>; STREAMS] = streams.try_into().expect("as many as there are");
        let mut bytes = Vec::new();
        put_segment(CODER_LZMA, &streams, &demand, &mut bytes);
        EncodedSegment { bytes, streams: streams.map(|stream| stream.len() as u64), memory }
    }
}
