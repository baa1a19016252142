//! Collects the streams of a segment and writes it.

use rayon::prelude::*;
use upmass_delta::align::ways;
use upmass_delta::modelled::{Encoder, Sizes};
use upmass_delta::patch::{Base, Copied, RawStreams};
use upmass_delta::stream::{self, EncodedStream};
use upmass_delta::{CODER_LZMA, CODER_MODEL, DeltaError, Section};
use upmass_format::ObjectId;
use upmass_format::payload::{READ_AHEAD, STREAMS, Step, Stream, put_segment};
use upmass_member::expanded::{Member, put_members};
use upmass_member::{Codecs, Recipe};

use crate::members::{MAX_FILE, Members, expand};
use crate::object::{Found, content, read_start};
use crate::renamed::OldObjects;
use crate::room::Room;
use crate::{BuildError, Result};

/// A segment before compression.
pub(crate) struct Segment {
    pub(crate) program: Vec<u8>,
    pub(crate) tree: Vec<u8>,
    pub(crate) hashes: Vec<u8>,
    /// For coder 1, where that may be taken.
    streams: Option<RawStreams>,
    /// For coder 2: what to encode, one after the other.
    objects: Vec<Object>,
    /// The room that the device has for a decoder of coder 2 and for packers.
    room: Room,
    /// Recipes of members that the program has named.
    recipes: Vec<Recipe>,
    /// Most that packing members takes of memory, and their plain content of space, in bytes.
    packer: u64,
    scratch: u64,
    /// What packing and unpacking them needs.
    codecs: Codecs,
    /// Lengths of all streams that a decoder of coder 1 has used up at growing points of its work.
    demand: Vec<[u64; STREAMS]>,
    /// The same of coder 2, where the number of objects stands for the copy stream.
    demand_by_object: Vec<[u64; STREAMS]>,
}

/// What coder 2 encodes.
pub(crate) struct Object {
    base: Source,
    new: Source,
    copies: Vec<Copied>,
}

/// Where content is.
pub(crate) enum Source {
    Bytes(Vec<u8>),
    Object(ObjectId),
    /// With members unpacked.
    Expanded(ObjectId, Vec<Member>),
    /// With members unpacked, and with parses.
    Made(ObjectId, Vec<u8>),
    /// Of the old release, with members unpacked, if any, and renamed.
    Old(ObjectId, Vec<Member>),
    /// Several, one after the other, with members unpacked, if any, and renamed.
    Joined(Vec<ObjectId>, Vec<Member>),
}

/// A segment as the payload has it.
pub(crate) struct EncodedSegment {
    pub(crate) bytes: Vec<u8>,
    /// Length of each stream, compressed.
    pub(crate) streams: [u64; STREAMS],
    /// Memory of its decoders, in bytes.
    pub(crate) memory: u64,
    /// Space for plain content of members, in bytes.
    pub(crate) scratch: u64,
    /// What the device must have for its members.
    pub(crate) codecs: Codecs,
    /// Coder 2: what the bytes of the copy stream are spent on.
    pub(crate) spent: Vec<(Section, f64)>,
}

impl Segment {
    /// An empty segment, for coder 2 or for either.
    pub(crate) fn new(room: Room, may_be_coder_1: bool) -> Self {
        Self {
            program: Vec::new(),
            tree: Vec::new(),
            hashes: Vec::new(),
            streams: may_be_coder_1.then(RawStreams::default),
            objects: Vec::new(),
            room,
            recipes: Vec::new(),
            packer: 0,
            scratch: 0,
            codecs: Codecs::NONE,
            demand: Vec::new(),
            demand_by_object: Vec::new(),
        }
    }

    /// Says in the program which members of the next object and its base are unpacked.
    pub(crate) fn members(&mut self, members: &Members) {
        if members.new.is_empty() {
            return;
        }
        Step::Members.put(&mut self.program);
        put_members(&members.old, &mut self.recipes, &mut self.program);
        put_members(&members.new, &mut self.recipes, &mut self.program);
        self.packer = self.packer.max(members.memory());
        self.codecs = self.codecs.union(members.codecs());
        self.scratch = self.scratch.max(members.space());
    }

    /// Appends an object for which the program was written already.
    pub(crate) fn object(&mut self, base: Source, new: Source, found: Found) {
        let (program, tree) = (self.program.len() as u64, self.tree.len() as u64);
        let hashes = self.hashes.len() as u64;
        self.scratch = self.scratch.max(found.scratch);
        if let Some(streams) = &mut self.streams {
            let next = found.streams.expect("streams are made where coder 1 may be taken");
            let before = streams.lengths();
            self.demand.extend(next.marks.iter().map(|mark| {
                let [copy, residue, literal] = std::array::from_fn(|i| before[i] + mark[i]);
                [program, tree, copy, residue, literal, hashes]
            }));
            streams.append(&next);
        }
        self.objects.push(Object { base, new, copies: found.copies });
        self.demand_by_object.push([program, tree, self.objects.len() as u64, 0, 0, hashes]);
    }

    /// Says that a decoder uses all of the tree stream now.
    pub(crate) fn use_trees(&mut self) {
        let (program, tree) = (self.program.len() as u64, self.tree.len() as u64);
        let hashes = self.hashes.len() as u64;
        if let Some(streams) = &self.streams {
            let [copy, residue, literal] = streams.lengths();
            self.demand.push([program, tree, copy, residue, literal, hashes]);
        }
        self.demand_by_object.push([program, tree, self.objects.len() as u64, 0, 0, hashes]);
    }

    /// Ends the segment and compresses its streams. Objects are read from the store.
    pub(crate) fn finish(mut self, old: OldObjects<'_>) -> Result<EncodedSegment> {
        Step::End.put(&mut self.program);
        let front = [(Stream::Program, &self.program), (Stream::Tree, &self.tree)];
        let mut encoded: Vec<EncodedStream> =
            front.par_iter().map(|(stream, bytes)| stream::encode(*stream, bytes)).collect();
        let (coder, demand, rest, spent) = self.cheapest(old)?;
        encoded.extend(rest);
        encoded.resize_with(Stream::Hash as usize, || stream::encode(Stream::Literal, &[]));
        encoded.push(stream::encode(Stream::Hash, &self.hashes));
        let demand: Vec<[u64; STREAMS]> = demand
            .iter()
            .map(|point| {
                std::array::from_fn(|i| match (point[i], encoded.get(i)) {
                    (0, _) | (_, None) => 0,
                    // The marks of coder 2 stand for numbers of objects.
                    (needed, Some(stream))
                        if coder == CODER_MODEL && i == Stream::Copy as usize =>
                    {
                        stream.needed_for(needed)
                    }
                    (needed, Some(stream)) => stream.needed_for(needed + READ_AHEAD),
                })
            })
            .collect();
        let memory = encoded.iter().map(|stream| stream.memory).sum::<u64>() + self.packer;
        let mut streams: [Vec<u8>; STREAMS] = Default::default();
        for (stream, encoded) in streams.iter_mut().zip(encoded) {
            *stream = encoded.bytes;
        }
        let mut bytes = Vec::new();
        put_segment(coder, &streams, &demand, &mut bytes);
        let streams = streams.map(|stream| stream.len() as u64);
        let Self { scratch, codecs, .. } = self;
        Ok(EncodedSegment { bytes, streams, memory, scratch, codecs, spent })
    }

    /// All content by the coder that is to be taken, with its demand.
    #[allow(clippy::type_complexity, reason = "what a coder makes, for one caller")]
    fn cheapest(
        &self,
        old: OldObjects<'_>,
    ) -> Result<(u8, &[[u64; STREAMS]], Vec<EncodedStream>, Vec<(Section, f64)>)> {
        let by_model = || -> Result<_> {
            let (stream, spent) = encode_objects(old, &self.objects, self.room.sizes(self.packer))?;
            Ok((CODER_MODEL, &self.demand_by_object[..], vec![stream], spent))
        };
        let Some(RawStreams { copy, residue, literal, .. }) = &self.streams else {
            return by_model();
        };
        let parts = [(Stream::Copy, copy), (Stream::Residue, residue), (Stream::Literal, literal)];
        let parts: Vec<EncodedStream> =
            parts.par_iter().map(|(stream, bytes)| stream::encode(*stream, bytes)).collect();
        let len = |streams: &[EncodedStream]| streams.iter().map(|s| s.bytes.len()).sum::<usize>();
        let streams_len = len(&parts);
        let copies = self.objects.iter().flat_map(|object| &object.copies);
        let made = copies.map(|copy| copy.len).sum::<u64>() + literal.len() as u64;
        let is_quick = streams_len <= FEW_BYTES && made <= LITTLE;
        if is_quick || copy.len() * FRAGMENTED > streams_len {
            let modelled = by_model()?;
            let most = if is_quick { 10 } else { WORTH_TENTHS };
            if len(&modelled.2) * 10 < streams_len * most {
                return Ok(modelled);
            }
        }
        Ok((CODER_LZMA, &self.demand, parts, Vec::new()))
    }
}

/// With so few bytes, which make no more than so much, it does not matter which decoder is faster.
const FEW_BYTES: usize = 4096;
const LITTLE: u64 = 4 << 20;
/// Content is in very many pieces, as text that was written anew, when the copy stream before
/// compression times this is more than all streams compressed.
const FRAGMENTED: usize = 2;
/// Coder 2 is taken in place of coder 1, which is faster, where it needs at most so many tenths.
const WORTH_TENTHS: usize = 8;

/// Encodes all objects of a segment with coder 2. Marks of the stream count objects.
fn encode_objects(
    old: OldObjects<'_>,
    objects: &[Object],
    sizes: Sizes,
) -> Result<(EncodedStream, Vec<(Section, f64)>)> {
    let mut encoder = Encoder::with_sizes(sizes);
    let mut marks = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        let base = object.base.open(old)?;
        let new = object.new.open(old)?;
        let failed = |error: DeltaError| match &object.new {
            Source::Object(id)
            | Source::Expanded(id, _)
            | Source::Made(id, _)
            | Source::Old(id, _) => BuildError::Encode { id: *id, message: error.to_string() },
            Source::Bytes(_) | Source::Joined(..) => {
                unreachable!("bytes in memory can be read: {error}")
            }
        };
        let ways =
            ways(&object.copies, &*base, &*new).map_err(|error| failed(DeltaError::Base(error)))?;
        encoder.cheapest(&*base, &*new, &ways).map_err(failed)?;
        marks.push((index as u64 + 1, encoder.needed()));
    }
    let memory = encoder.decoder_memory();
    let spent = encoder.spent();
    Ok((EncodedStream { bytes: encoder.finish(), marks, memory }, spent))
}

impl Source {
    /// An object, with these of its members unpacked.
    pub(crate) fn of(id: ObjectId, members: &[Member]) -> Self {
        match members.is_empty() {
            true => Source::Object(id),
            false => Source::Expanded(id, members.to_vec()),
        }
    }

    fn open<'a>(&'a self, old: OldObjects<'a>) -> Result<Box<dyn Base + 'a>> {
        Ok(match self {
            Source::Bytes(bytes) | Source::Made(_, bytes) => Box::new(&bytes[..]),
            Source::Object(id) => Box::new(content(old.store.open_object(*id)?)),
            Source::Old(id, members) => match members.is_empty() {
                true => Box::new(content(old.open(*id)?)),
                false => Box::new(Owned(old.expanded(*id, members)?)),
            },
            Source::Joined(ids, members) => {
                Box::new(Owned(old.renamed(expand(&old.joined(ids)?, members))))
            }
            Source::Expanded(id, members) => {
                let packed = read_start(old.store, *id, MAX_FILE as usize)?;
                Box::new(Owned(expand(&packed, members)))
            }
        })
    }
}

/// Content in memory.
struct Owned(Vec<u8>);

impl Base for Owned {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        (&self.0[..]).read_exact_at(buffer, offset)
    }
}
