//! The payload of an update: segments of interleaved streams (`spec/payload.md`).
//!
//! A payload is a sequence of segments; a device that was interrupted goes on at the start of
//! a segment. A segment holds up to six streams, each a separate run of compressed bytes, cut
//! into chunks which come in the order in which a decoder asks for them. So every stream can be
//! as long as it likes, and the decoder still reads the file once from front to back.

use std::collections::VecDeque;
use std::io::{self, Read};

use crate::wire::{Reader, put_varint, unzigzag, zigzag};
use crate::{FormatError, Result};

/// How many streams a segment may have.
pub const STREAMS: usize = 6;
/// Longest chunk in bytes.
pub const MAX_CHUNK: u64 = 1 << 16;
/// By how many bytes a decoder may be ahead of its work in the content of each stream.
pub const READ_AHEAD: u64 = 1 << 13;
/// Most bytes that may wait in a decoder because another stream was asked for.
pub const MAX_QUEUED: usize = 2 << 20;
/// Most objects that are made later than all others.
pub const MAX_LATER: u64 = 1 << 12;
/// Most parts of a base.
pub const MAX_PARTS: u64 = 1 << 10;

/// The streams of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// What to make, and from what: see [`Step`].
    Program = 0,
    /// Edits of trees: see [`crate::tree_edit`].
    Tree = 1,
    /// Where content is copied from, and how long.
    Copy = 2,
    /// Differences between copied and new content.
    Residue = 3,
    /// Content that no base has.
    Literal = 4,
    /// Hashes of the table of names: see [`crate::rename`].
    Hash = 5,
}

impl Stream {
    /// All streams, in the order of their numbers.
    pub const ALL: [Stream; STREAMS] = [
        Stream::Program,
        Stream::Tree,
        Stream::Copy,
        Stream::Residue,
        Stream::Literal,
        Stream::Hash,
    ];

    /// The word for it in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Stream::Program => "program",
            Stream::Tree => "tree",
            Stream::Copy => "copy",
            Stream::Residue => "residue",
            Stream::Literal => "literal",
            Stream::Hash => "hash",
        }
    }
}

/// How the device gets the tree of a component of the new release. In the program of the first
/// segment these stand for each component that is not [`TreeSource::Same`], with its distance
/// from the one before. "Of the same name" is the old component that has this name when the table
/// of names was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeSource {
    /// The tree of the old component of the same name: as it is if the name is the old one,
    /// renamed if the table has changed it.
    Same,
    /// The tree of the old component of the same name, edited.
    Edit,
    /// All entries are sent.
    New,
    /// The tree of another old component.
    SameAs(u64),
    /// The tree of another old component, edited.
    EditOf(u64),
}

/// How the device makes the next new object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// From nothing but the literal stream. Length in bytes.
    Whole(u64),
    /// From the object at the same place in the tree that was edited. Growth in bytes.
    PatchHere(i64),
    /// From an object elsewhere in the old release. Growth in bytes.
    Patch(OldPlace, i64),
    /// As the next step says, with members unpacked: of the base, and of the new object. Two
    /// lists of members follow (`spec/member.md`), then another step, which speaks of contents
    /// with members unpacked.
    Members,
    /// The base of the next step, which is [`Step::PatchHere`], is several contents, one after the
    /// other. A list of parts follows ([`Part`]), then perhaps members, then the step. Only what is
    /// made later has parts ([`Later`]).
    Parts,
    /// The derivations that came before the table of names (`spec/derivations.md`).
    Derivations,
    /// The segment ends; more objects follow in the next one, or none.
    End,
}

/// An entry of an old tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OldPlace {
    /// Index into the components of the old release.
    pub component: u64,
    /// Where its tag is in the encoding of that component's tree.
    pub offset: u64,
}

impl OldPlace {
    /// Appends the encoding.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.component);
        put_varint(out, self.offset);
    }

    /// Reads it.
    pub fn read<R: Read>(input: &mut Reader<R>) -> Result<Self> {
        let component = input.varint("old component")?;
        let offset = input.varint("old offset")?;
        Ok(Self { component, offset })
    }
}

impl TreeSource {
    /// Appends the sources of all components of the new release.
    pub fn put_all(sources: &[TreeSource], out: &mut Vec<u8>) {
        let exceptions = sources.iter().enumerate().filter(|(_, s)| **s != TreeSource::Same);
        put_varint(out, exceptions.clone().count() as u64);
        let mut next = 0;
        for (index, source) in exceptions {
            put_varint(out, (index - next) as u64);
            next = index + 1;
            let code = match source {
                TreeSource::Same => unreachable!("filtered out above"),
                TreeSource::Edit => 0,
                TreeSource::New => 1,
                TreeSource::SameAs(component) => 2 + 2 * component,
                TreeSource::EditOf(component) => 3 + 2 * component,
            };
            put_varint(out, code);
        }
    }

    /// Reads the sources of `count` components.
    pub fn read_all<R: Read>(input: &mut Reader<R>, count: usize) -> Result<Vec<TreeSource>> {
        let mut sources = vec![TreeSource::Same; count];
        let mut next = 0u64;
        for _ in 0..input.number(count as u64, "number of changed trees")? {
            let offset = input.offset();
            let index = next.saturating_add(input.varint("changed tree")?);
            let Some(source) = usize::try_from(index).ok().and_then(|i| sources.get_mut(i)) else {
                return Err(FormatError::Invalid {
                    what: "changed tree",
                    offset,
                    expected: "a component of the new release",
                    found: format!("{index} of {count}"),
                });
            };
            next = index + 1;
            *source = match input.varint("tree source")? {
                0 => TreeSource::Edit,
                1 => TreeSource::New,
                even if even % 2 == 0 => TreeSource::SameAs((even - 2) / 2),
                odd => TreeSource::EditOf((odd - 3) / 2),
            };
        }
        Ok(sources)
    }
}

impl Step {
    /// Appends the encoding.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Step::End => put_varint(out, 0),
            Step::Members => put_varint(out, 4),
            Step::Derivations => put_varint(out, 16),
            Step::Parts => put_varint(out, 12),
            Step::Whole(len) => put_varint(out, len << 2 | 1),
            Step::PatchHere(growth) => put_varint(out, zigzag(*growth) << 2 | 2),
            Step::Patch(place, growth) => {
                put_varint(out, zigzag(*growth) << 2 | 3);
                place.put(out);
            }
        }
    }

    /// Reads one step.
    pub fn read<R: Read>(input: &mut Reader<R>) -> Result<Self> {
        let offset = input.offset();
        let word = input.varint("step")?;
        Ok(match word & 3 {
            1 => Step::Whole(word >> 2),
            2 => Step::PatchHere(unzigzag(word >> 2)),
            3 => {
                let growth = unzigzag(word >> 2);
                Step::Patch(OldPlace::read(input)?, growth)
            }
            _ if word == 0 => Step::End,
            _ if word == 4 => Step::Members,
            _ if word == 16 => Step::Derivations,
            _ if word == 12 => Step::Parts,
            _ => {
                return Err(FormatError::Unknown { what: "step", offset, found: word });
            }
        })
    }
}

/// A content that a base has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The object that was at the same place in the tree that was edited.
    Here,
    /// An object elsewhere in the old release.
    Old(OldPlace),
    /// A new object, by its number in the order in which trees mention them.
    New(u64),
}

impl Part {
    /// Appends a list of parts.
    pub fn put_all(parts: &[Part], out: &mut Vec<u8>) {
        put_varint(out, parts.len() as u64);
        let mut next = 0u64;
        for part in parts {
            match part {
                Part::Here => put_varint(out, 0),
                Part::Old(place) => {
                    put_varint(out, 1);
                    place.put(out);
                }
                Part::New(number) => {
                    put_varint(out, 2 + zigzag(number.wrapping_sub(next) as i64));
                    next = number + 1;
                }
            }
        }
    }

    /// Reads a list of one to [`MAX_PARTS`] parts.
    pub fn read_all<R: Read>(input: &mut Reader<R>) -> Result<Vec<Part>> {
        let offset = input.offset();
        let count = input.number(MAX_PARTS, "number of parts")?;
        let invalid = |what, offset, found: u64| FormatError::Invalid {
            what,
            offset,
            expected: "a base of one part or more, and numbers of new objects",
            found: found.to_string(),
        };
        if count == 0 {
            return Err(invalid("number of parts", offset, count));
        }
        let mut next = 0u64;
        let mut parts = Vec::new();
        for _ in 0..count {
            let offset = input.offset();
            parts.push(match input.varint("part of a base")? {
                0 => Part::Here,
                1 => Part::Old(OldPlace::read(input)?),
                word => {
                    let number = next
                        .checked_add_signed(unzigzag(word - 2))
                        .filter(|number| *number < 1 << 62)
                        .ok_or_else(|| invalid("part of a base", offset, word))?;
                    next = number + 1;
                    Part::New(number)
                }
            });
        }
        Ok(parts)
    }
}

/// The new objects that are made when all others are there, since they are made from some of them.
/// They are given by their numbers in the order in which trees mention them, and are made in this
/// order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Later(Vec<u64>);

impl Later {
    /// Takes numbers, which ascend; at most [`MAX_LATER`].
    pub fn new(numbers: Vec<u64>) -> Self {
        debug_assert!(numbers.is_sorted_by(|a, b| a < b) && numbers.len() as u64 <= MAX_LATER);
        Self(numbers)
    }

    /// The numbers, ascending.
    pub fn numbers(&self) -> &[u64] {
        &self.0
    }

    /// Whether this object is one of them.
    pub fn has(&self, number: u64) -> bool {
        self.0.binary_search(&number).is_ok()
    }

    /// The number of the object that is made as the so many-th, of `total` objects from 0 on.
    pub fn number_at(&self, position: u64, total: u64) -> u64 {
        let others = total - self.0.len() as u64;
        if position >= others {
            return self.0[(position - others) as usize];
        }
        // How many are passed over: those whose number without the passed ones is not above.
        let (mut low, mut high) = (0, self.0.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.0[middle] - middle as u64 <= position {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        position + low as u64
    }

    /// When an object is made: as the so many-th of `total`, from 0 on.
    pub fn position_of(&self, number: u64, total: u64) -> u64 {
        let before = self.0.partition_point(|later| *later < number) as u64;
        match self.has(number) {
            true => total - self.0.len() as u64 + before,
            false => number - before,
        }
    }

    /// Appends the list.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0.len() as u64);
        let mut next = 0;
        for number in &self.0 {
            put_varint(out, number - next);
            next = number + 1;
        }
    }

    /// Reads a list.
    pub fn read<R: Read>(input: &mut Reader<R>) -> Result<Self> {
        let mut numbers = Vec::new();
        let mut next = 0u64;
        for _ in 0..input.number(MAX_LATER, "number of objects that are made later")? {
            let offset = input.offset();
            let gap = input.number(1 << 62, "object that is made later")?;
            let number = next.saturating_add(gap);
            if number >= 1 << 62 {
                return Err(FormatError::TooLarge {
                    what: "number of a new object",
                    offset,
                    found: number,
                    limit: 1 << 62,
                });
            }
            numbers.push(number);
            next = number + 1;
        }
        Ok(Self(numbers))
    }
}

/// Writes the chunks of one segment: the coder, then pieces of the streams in the order of
/// `demand`, then the end mark. `demand` says how many bytes of each stream a decoder has used
/// up at growing points of its work; what it leaves out comes last.
pub fn put_segment(
    coder: u8,
    streams: &[Vec<u8>; STREAMS],
    demand: &[[u64; STREAMS]],
    out: &mut Vec<u8>,
) {
    out.push(coder);
    let mut sent = [0usize; STREAMS];
    let all = streams.each_ref().map(|stream| stream.len() as u64);
    for point in demand.iter().chain([&all]) {
        for (index, stream) in streams.iter().enumerate() {
            let needed = (point[index] as usize).min(stream.len());
            while sent[index] < needed {
                // A whole chunk, even if only its first bytes are needed now: small chunks
                // would cost more than the wait.
                let end = stream.len().min(sent[index] + MAX_CHUNK as usize);
                put_varint(out, ((end - sent[index]) as u64) << 3 | index as u64);
                out.extend_from_slice(&stream[sent[index]..end]);
                sent[index] = end;
            }
        }
    }
    put_varint(out, 0);
}

/// Splits one segment into its streams again, on demand.
pub struct Demux<R> {
    input: Reader<R>,
    queued: [VecDeque<u8>; STREAMS],
    total: usize,
    sizes: [u64; STREAMS],
    ended: bool,
}

impl<R: Read> Demux<R> {
    /// Starts at the first byte of a segment, which is `offset` in the payload, and reads its
    /// coder. `None` where the payload ends.
    pub fn start(input: R, offset: u64) -> Result<Option<(Self, u8)>> {
        let mut input = Reader::at(input, offset);
        let Some(coder) = input.byte_or_end("segment coder")? else {
            return Ok(None);
        };
        let queued = Default::default();
        Ok(Some((Self { input, queued, total: 0, sizes: [0; STREAMS], ended: false }, coder)))
    }

    /// Reads bytes of a stream; 0 where the stream ends. Bytes of other streams that come
    /// before are kept.
    pub fn read(&mut self, stream: Stream, buffer: &mut [u8]) -> Result<usize> {
        while self.queued[stream as usize].is_empty() && !self.ended && !buffer.is_empty() {
            self.read_chunk()?;
        }
        let n = self.queued[stream as usize].read(buffer).expect("reading a queue cannot fail");
        self.total -= n;
        Ok(n)
    }

    /// Whether any byte of the stream is left. A segment without edits has no tree stream.
    pub fn has(&mut self, stream: Stream) -> Result<bool> {
        while self.queued[stream as usize].is_empty() && !self.ended {
            self.read_chunk()?;
        }
        Ok(!self.queued[stream as usize].is_empty())
    }

    /// Reads all that is left of the segment and forgets it. Gives the input and its position,
    /// at the start of the next segment, and the compressed length of each stream.
    pub fn skip(mut self) -> Result<(R, u64, [u64; STREAMS])> {
        while !self.ended {
            self.read_chunk()?;
            self.queued.iter_mut().for_each(VecDeque::clear);
            self.total = 0;
        }
        let offset = self.input.offset();
        Ok((self.input.into_inner(), offset, self.sizes))
    }

    /// Compressed bytes of each stream that were read so far.
    pub fn sizes(&self) -> [u64; STREAMS] {
        self.sizes
    }

    /// How many bytes wait because another stream was asked for; [`MAX_QUEUED`] at most.
    pub fn waiting(&self) -> usize {
        self.total
    }

    /// Checks that the segment ends here and gives back the input and its position, at the
    /// start of the next segment. `slack` bytes of each stream may be left: what a decoder of
    /// known length need not look at.
    pub fn finish(mut self, slack: usize) -> Result<(R, u64)> {
        while !self.ended {
            self.read_chunk()?;
        }
        for (stream, queue) in Stream::ALL.iter().zip(&self.queued) {
            if queue.len() > slack {
                return Err(FormatError::Invalid {
                    what: "segment",
                    offset: self.input.offset(),
                    expected: "an end where the program ends",
                    found: format!("{} more bytes of the {} stream", queue.len(), stream.word()),
                });
            }
        }
        let offset = self.input.offset();
        Ok((self.input.into_inner(), offset))
    }

    fn read_chunk(&mut self) -> Result<()> {
        let offset = self.input.offset();
        let word = self.input.number(MAX_CHUNK << 3 | 7, "chunk")?;
        if word == 0 {
            self.ended = true;
            return Ok(());
        }
        let (len, stream) = ((word >> 3) as usize, (word & 7) as usize);
        if stream >= STREAMS || len == 0 || len as u64 > MAX_CHUNK {
            return Err(FormatError::Unknown { what: "chunk", offset, found: word });
        }
        if self.total + len > MAX_QUEUED {
            return Err(FormatError::TooLarge {
                what: "bytes waiting in the segment",
                offset,
                found: (self.total + len) as u64,
                limit: MAX_QUEUED as u64,
            });
        }
        let mut chunk = vec![0; len];
        self.input.fill(&mut chunk, "chunk")?;
        self.queued[stream].extend(chunk);
        self.sizes[stream] += len as u64;
        self.total += len;
        Ok(())
    }
}

impl From<Stream> for usize {
    fn from(stream: Stream) -> usize {
        stream as usize
    }
}

/// One stream of a shared [`Demux`] as a reader.
pub struct StreamInput<R> {
    demux: std::rc::Rc<std::cell::RefCell<Demux<R>>>,
    stream: Stream,
}

impl<R> StreamInput<R> {
    /// The stream of this name in a shared segment.
    pub fn new(demux: &std::rc::Rc<std::cell::RefCell<Demux<R>>>, stream: Stream) -> Self {
        Self { demux: demux.clone(), stream }
    }
}

impl<R: Read> Read for StreamInput<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.demux.borrow_mut().read(self.stream, buffer)?)
    }
}
