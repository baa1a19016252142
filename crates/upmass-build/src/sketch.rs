//! Finding old objects with similar content, whatever their names.
//!
//! Content is cut where a rolling hash says so, so that equal parts give equal chunks wherever
//! they are. The smallest chunk hashes of an object are its sketch; two objects with much in
//! common share some of them (Broder, *On the resemblance and containment of documents*, 1997).

use std::collections::{HashMap, HashSet};
use std::io::Read;

use upmass_format::ObjectId;
use upmass_store::Store;

use crate::{BuildError, Result};

/// Objects smaller than this are not worth a sketch.
pub(crate) const MIN_SIZE: u64 = 4096;
/// How many chunk hashes make a sketch.
const SKETCH: usize = 24;
/// One in so many positions ends a chunk.
const CHUNK_BITS: u32 = 9;
/// Content behind this is not looked at.
const MAX_READ: u64 = 64 << 20;

/// The smallest chunk hashes of a content, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sketch(Vec<u64>);

impl Sketch {
    /// The chunk hashes, ascending.
    pub(crate) fn hashes(&self) -> &[u64] {
        &self.0
    }
}

/// The hashes of all chunks of a content, which is that of this object.
pub(crate) fn chunks_of(content: impl Read, id: ObjectId) -> Result<HashSet<u64>> {
    let mut sketcher = Sketcher { keeps_all: true, ..Sketcher::default() };
    sketcher.read(content, id)?;
    sketcher.end_chunk();
    Ok(sketcher.hashes.into_iter().collect())
}

/// Old objects by their chunk hashes.
#[derive(Default)]
pub(crate) struct SketchIndex {
    objects: HashMap<u64, Vec<usize>>,
    ids: Vec<(ObjectId, u64)>,
}

impl Sketch {
    /// The sketch of an object of the store.
    pub(crate) fn of(store: &Store, id: ObjectId) -> Result<Self> {
        let mut sketcher = Sketcher::default();
        sketcher.read(store.object_reader(id)?.take(MAX_READ), id)?;
        Ok(sketcher.finish())
    }
}

impl SketchIndex {
    /// Adds an object.
    pub(crate) fn add(&mut self, id: ObjectId, size: u64, sketch: &Sketch) {
        let index = self.ids.len();
        self.ids.push((id, size));
        for hash in &sketch.0 {
            self.objects.entry(*hash).or_default().push(index);
        }
    }

    /// The objects that share most with a sketch, best first.
    pub(crate) fn most_like(&self, sketch: &Sketch, count: usize) -> Vec<(ObjectId, u64)> {
        let mut shared: HashMap<usize, usize> = HashMap::new();
        for hash in &sketch.0 {
            for index in self.objects.get(hash).map_or(&[][..], Vec::as_slice) {
                *shared.entry(*index).or_default() += 1;
            }
        }
        let mut ranked: Vec<(usize, usize)> = shared.into_iter().collect();
        ranked.sort_unstable_by_key(|(index, shared)| (std::cmp::Reverse(*shared), *index));
        ranked.into_iter().take(count).map(|(index, _)| self.ids[index]).collect()
    }
}

#[derive(Default)]
struct Sketcher {
    rolling: u64,
    chunk: u64,
    hashes: Vec<u64>,
    /// More is wanted than a sketch.
    keeps_all: bool,
}

impl Sketcher {
    fn read(&mut self, mut content: impl Read, id: ObjectId) -> Result<()> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = content.read(&mut buffer).map_err(|source| BuildError::Read { id, source })?;
            if n == 0 {
                return Ok(());
            }
            self.update(&buffer[..n]);
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // A gear hash: each byte leaves it after 64 shifts.
            self.rolling = (self.rolling << 1).wrapping_add(mix(u64::from(*byte)));
            self.chunk = (self.chunk ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            if self.rolling >> (64 - CHUNK_BITS) == 0 {
                self.end_chunk();
            }
        }
    }

    fn end_chunk(&mut self) {
        self.hashes.push(mix(self.chunk));
        self.chunk = 0xcbf2_9ce4_8422_2325;
        if self.hashes.len() >= 1 << 16 && !self.keeps_all {
            self.compact();
        }
    }

    fn compact(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        self.hashes.truncate(SKETCH);
    }

    fn finish(mut self) -> Sketch {
        self.end_chunk();
        self.compact();
        Sketch(self.hashes)
    }
}

fn mix(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}
