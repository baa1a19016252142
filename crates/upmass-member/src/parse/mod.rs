//! `.xz` streams of any packer, in little memory: what is sent is the parse, which is how the packer
//! has cut the content into literals and matches. To write a stream down from its parse takes no
//! search, no dictionary and no knowledge of the packer
//! (`crates/upmass-format/spec/parse.md`).
//!
//! The parse of a new member is predicted from that of an old one, which a device reads anyway when
//! it unpacks it.

mod filter;
mod lzma;
mod lzma2;
mod model;
mod moves;
mod space;
mod steps;

use std::io::{self, Read, Write};
use std::ops::Range;

#[cfg(feature = "recognise")]
use upmass_delta::model::RangeEncoder;
use upmass_delta::model::{Coding, RangeDecoder};

use crate::Codec;
use crate::bounded::{CHUNK, Sink, Source, outcome};
use crate::error::{Error, Result};
use crate::recipe::{Lengths, MAX_PARSED, XzBlocks, XzFilter, XzParse};
use crate::stream::{Container, Sum};
use filter::Filter;
use lzma::{Lzma, Past, Reader, Writer};
use lzma2::{Chunk, Kind, Reset, array};
use model::Model;
pub use moves::Move;
use moves::{MoveModel, Moves};
use space::Window;
pub use space::{Space, Spaces};
use steps::{Step, StepWriter, Steps};

/// The shortest and the longest match of LZMA, in bytes.
const MATCH_MIN: u32 = 2;
const MATCH_MAX: u32 = 273;

/// A part of a parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// A byte.
    Literal,
    /// The byte that was at the last distance.
    Short,
    /// What was before.
    Match {
        /// 1 is the byte before.
        distance: u32,
        len: u32,
        /// Which of the last four distances this is, if it is written so.
        repeated: Option<u8>,
    },
}

/// The parse of a member that was unpacked.
pub struct OldParse {
    steps: Steps,
    len: u64,
}

impl OldParse {
    /// Bytes of the space that it takes.
    pub fn space(&self) -> u64 {
        self.steps.space()
    }
}

/// Writes the plain content of a member, and keeps its parse.
///
/// Reads exactly `lengths.packed` bytes and writes exactly `lengths.plain`. Takes two spaces: one
/// for the content while it is unpacked, and one for the parse, 6 bytes for each step.
///
/// # Errors
/// The member is damaged, has another length or is packed in another way than the recipe says, or I/O
/// fails.
pub fn unpack_parsed(
    recipe: &XzParse,
    lengths: Lengths,
    packed: &mut dyn Read,
    out: &mut dyn Write,
    spaces: &mut Spaces<'_>,
) -> Result<OldParse> {
    if lengths.plain > MAX_PARSED {
        return Err(Error::Length { what: "plain", declared: lengths.plain });
    }
    let mut source = Source::new(packed, "packed", lengths.packed);
    let mut sink = Sink::new(out, "plain", lengths.plain);
    let mut steps = StepWriter::new(spaces).map_err(Error::io("parse"))?;
    let mut content = spaces().map_err(Error::io("content"))?;
    let result = unpack(recipe, &mut source, &mut sink, &mut steps, &mut *content);
    outcome(result, source, sink)?;
    let steps = steps.finish().map_err(Error::io("parse"))?;
    Ok(OldParse { steps, len: lengths.plain })
}

fn unpack(
    recipe: &XzParse,
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
    steps: &mut StepWriter,
    content: &mut dyn Space,
) -> Result<()> {
    let mut window = Window::new(content);
    let mut blocks = Blocks { source, recipe, data_len: 0 };
    blocks.start()?;
    while blocks.next()? {
        let start = window.len();
        let mut lzma = Lzma::new(recipe.stream.bits);
        let mut filter = Filter::new(recipe.stream.filter, false);
        let mut failed = Ok(());
        let mut plain = Vec::new();
        // The last step, as long as it is not known whether it could have been longer.
        let mut open = None;
        loop {
            let chunk = blocks.chunk()?;
            if chunk.kind == Kind::End {
                break;
            }
            if let Kind::Lzma(Reset::State | Reset::Bits | Reset::All) = chunk.kind {
                lzma = Lzma::new(recipe.stream.bits);
            }
            let end = window.len() + u64::from(chunk.plain);
            let mut reader = match chunk.kind {
                Kind::Lzma(_) => Some(Reader::new(&chunk.data).ok_or_else(|| damaged(BITS))?),
                _ => None,
            };
            let mut stored = chunk.data.iter();
            while window.len() < end {
                let at = window.len();
                let (token, byte) = match &mut reader {
                    Some(reader) => {
                        let mut past = Written { window: &mut window, start };
                        lzma.code(reader, at - start, &mut past, Token::Short, 0)
                    }
                    None => (Token::Literal, stored.next().copied().unwrap_or(0)),
                };
                let (distance, len) = match token {
                    Token::Literal => (0, 1),
                    Token::Short => (lzma.distances()[0], 1),
                    Token::Match { distance, len, .. } => (distance, len),
                };
                // LZMA2 has no mark of an end, which would be the greatest distance.
                let is_end = distance == 0 && token != Token::Literal;
                if is_end || u64::from(distance) > at - start || at + u64::from(len) > end {
                    return Err(damaged("a match reaches outside"));
                }
                for _ in 0..len {
                    let byte = match distance {
                        0 => byte,
                        _ => window.byte(window.len() - u64::from(distance)),
                    };
                    window.push(byte);
                    plain.push(byte);
                }
                if let Some(distance) = open.take()
                    && window.byte(at) != window.byte(at - u64::from(distance))
                {
                    steps.was_longest();
                }
                let is_longest = len == MATCH_MAX;
                open = (distance > 0 && !is_longest).then_some(distance);
                steps
                    .push(Step { start: at, len, distance, is_longest })
                    .map_err(Error::io("parse"))?;
                if plain.len() >= CHUNK {
                    filter.push(&plain, |bytes| give(sink, bytes, &mut failed));
                    plain.clear();
                }
            }
            if window.has_failed() {
                break;
            }
            if reader.is_some_and(|reader| !reader.ends_well()) {
                return Err(damaged(BITS));
            }
        }
        filter.push(&plain, |bytes| give(sink, bytes, &mut failed));
        give(sink, &filter.finish(), &mut failed);
        failed?;
        if window.has_failed() {
            break;
        }
        blocks.end()?;
    }
    window.finish().map_err(Error::io("content"))?;
    blocks.finish()
}

fn give(sink: &mut Sink<'_>, bytes: &[u8], failed: &mut Result<()>) {
    if failed.is_ok() {
        *failed = sink.write_all(bytes).map_err(Error::io("member"));
    }
}

/// Bytes of a block that were unpacked.
struct Written<'a, 'b> {
    window: &'a mut Window<'b>,
    start: u64,
}

impl Past for Written<'_, '_> {
    fn back(&mut self, distance: u32) -> u8 {
        let at = self.window.len().checked_sub(u64::from(distance) + 1);
        at.filter(|at| *at >= self.start).map_or(0, |at| self.window.byte(at))
    }
}

/// Bytes of a block whose content is known.
struct Known<'a, 'b> {
    model: &'a mut Model<'b>,
    position: u64,
    start: u64,
}

impl Past for Known<'_, '_> {
    fn back(&mut self, distance: u32) -> u8 {
        let at = self.position.checked_sub(u64::from(distance) + 1);
        at.filter(|at| *at >= self.start).map_or(0, |at| self.model.byte(at))
    }
}

/// The blocks of a stream that is read.
struct Blocks<'a, 'b> {
    source: &'a mut Source<'b>,
    recipe: &'a XzParse,
    /// What the header of the block says.
    data_len: u64,
}

impl Blocks<'_, '_> {
    fn start(&mut self) -> Result<()> {
        let _: [u8; 12] = self.array()?;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        array(self.source).map_err(Error::io("member"))
    }

    /// Passes the header of the next block. `false`: there is none.
    fn next(&mut self) -> Result<bool> {
        let [size] = self.array()?;
        if size == 0 {
            return Ok(false);
        }
        let mut header = vec![0; usize::from(size) * 4 + 3];
        self.source.read_exact(&mut header).map_err(Error::io("member"))?;
        // The first length, if there is one.
        let digits = header[1..].iter().take(9).enumerate();
        let mut data_len = 0;
        for (index, byte) in digits {
            data_len |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                break;
            }
        }
        self.data_len = data_len;
        Ok(true)
    }

    fn chunk(&mut self) -> Result<Chunk> {
        let chunk = Chunk::read(self.source, self.recipe.stream.bits);
        chunk.map_err(Error::io("member"))?.ok_or_else(|| damaged("a chunk of LZMA2 is not one"))
    }

    /// Passes what follows the chunks.
    fn end(&mut self) -> Result<()> {
        // Blocks are multiples of four bytes.
        while !self.source.read_so_far().is_multiple_of(4) {
            self.array::<1>()?;
        }
        for _ in 0..Sum::len(self.recipe.stream.check) {
            self.array::<1>()?;
        }
        Ok(())
    }

    /// Passes what follows the blocks.
    fn finish(&mut self) -> Result<()> {
        io::copy(self.source, &mut io::sink()).map_err(Error::io("member"))?;
        Ok(())
    }
}

/// Packs the content of a member again, bit by bit as it was.
///
/// `plain` has the content and behind it the parse, together `lengths.plain` bytes; exactly
/// `lengths.packed` bytes are written. `old` is what the recipe asks for. Takes one space, as long as
/// the content, if the recipe has a filter.
///
/// # Errors
/// The parse is not one of this content, what comes out has another length than declared, or I/O fails.
/// What was written until then is to be thrown away.
pub fn repack_parsed(
    recipe: &XzParse,
    lengths: Lengths,
    plain: &dyn Space,
    old: Option<&OldParse>,
    spaces: &mut Spaces<'_>,
    out: &mut dyn Write,
) -> Result<()> {
    let len = lengths.plain.checked_sub(recipe.parse).filter(|len| *len <= MAX_PARSED);
    let len = len.ok_or(Error::Length { what: "plain", declared: lengths.plain })?;
    let filtered = filtered(recipe, plain, len, spaces)?;
    let content = filtered.as_deref().unwrap_or(plain);
    let mut coding = RangeDecoder::new(Part { space: plain, at: len, end: lengths.plain });
    let mut sink = Sink::new(out, "packed", lengths.packed);
    let mut model = model(recipe, content, len, old, &mut coding, &[])?;
    let result = write_down(recipe, plain, len, &mut model, &mut coding, &mut sink);
    // What has failed below explains the rest.
    coding.check().map_err(Error::io("parse"))?;
    model.check().map_err(Error::io("content"))?;
    sink.outcome(result)
}

/// The content as LZMA sees it, if that is something else.
fn filtered(
    recipe: &XzParse,
    plain: &dyn Space,
    len: u64,
    spaces: &mut Spaces<'_>,
) -> Result<Option<Box<dyn Space>>> {
    let kind = recipe.stream.filter;
    if kind == XzFilter::None {
        return Ok(None);
    }
    let mut space = spaces().map_err(Error::io("content"))?;
    for block in block_lengths(recipe, len) {
        let mut filter = Filter::new(kind, true);
        let mut failed = Ok(());
        let mut append = |bytes: &[u8]| {
            if failed.is_ok() {
                failed = space.append(bytes).map_err(Error::io("content"));
            }
        };
        for_each_piece(plain, block, |piece| filter.push(piece, &mut append))?;
        append(&filter.finish());
        failed?;
    }
    Ok(Some(space))
}

/// Where blocks begin and end.
fn block_lengths(recipe: &XzParse, len: u64) -> impl Iterator<Item = Range<u64>> {
    let size = match recipe.stream.blocks {
        XzBlocks::Unsized | XzBlocks::One => len.max(1),
        XzBlocks::Of(size) => size,
    };
    (0..len.div_ceil(size)).map(move |index| index * size..((index + 1) * size).min(len))
}

fn for_each_piece(space: &dyn Space, range: Range<u64>, mut take: impl FnMut(&[u8])) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut at = range.start;
    while at < range.end {
        let piece = &mut buffer[..(range.end - at).min(CHUNK as u64) as usize];
        space.read_exact_at(piece, at).map_err(Error::io("content"))?;
        take(piece);
        at += piece.len() as u64;
    }
    Ok(())
}

/// A part of a space, read from its beginning.
struct Part<'a> {
    space: &'a dyn Space,
    at: u64,
    end: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (self.end - self.at).min(buffer.len() as u64) as usize;
        self.space.read_exact_at(&mut buffer[..count], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// A model for a content, with the moves before it in the parse.
fn model<'a, C: Coding>(
    recipe: &XzParse,
    content: &'a dyn Space,
    len: u64,
    old: Option<&'a OldParse>,
    coding: &mut C,
    moves: &[Move],
) -> Result<Model<'a>> {
    let old = match (recipe.base, old) {
        (None, _) => None,
        (Some(_), None) => return Err(damaged("its base has no parse")),
        (Some(_), Some(old)) => {
            let moves = MoveModel::new().code(coding, moves, old.len, len);
            let moves = moves.ok_or_else(|| damaged("it moves what is not there"))?;
            Some((&old.steps, Moves::new(moves)))
        }
    };
    Ok(Model::new(content, len, recipe.places, old))
}

/// Reads a parse and writes the stream.
fn write_down<C: Coding>(
    recipe: &XzParse,
    plain: &dyn Space,
    len: u64,
    model: &mut Model<'_>,
    coding: &mut C,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let mut container = Container::start(&recipe.stream, len.max(1), sink)?;
    for block in block_lengths(recipe, len) {
        let packed = match recipe.stream.blocks {
            XzBlocks::Unsized => None,
            XzBlocks::One | XzBlocks::Of(_) => Some(model.chunks.code(coding, 0)),
        };
        container.begin(packed, block.end - block.start, sink)?;
        let mut lzma = Lzma::new(recipe.stream.bits);
        let mut position = block.start;
        let mut written = 0;
        loop {
            let kind = Kind::from_number(model.chunks.code(coding, 0));
            let kind = kind.ok_or_else(|| damaged("a chunk has no kind"))?;
            let mut chunk = Chunk { kind, plain: 0, data: Vec::new() };
            if kind != Kind::End {
                let plain = model.chunks.code(coding, 0).saturating_add(1);
                let plain = u32::try_from(plain).ok().filter(|plain| {
                    *plain <= kind.most() && u64::from(*plain) <= block.end - position
                });
                chunk.plain = plain.ok_or_else(|| damaged("a chunk is too long"))?;
            }
            let end = position + u64::from(chunk.plain);
            match kind {
                Kind::End if position < block.end => return Err(damaged("a block ends early")),
                Kind::End => {}
                Kind::Stored(_) => {
                    chunk.data = (position..end).map(|at| model.byte(at)).collect();
                    position = end;
                }
                Kind::Lzma(reset) => {
                    if reset > Reset::Nothing {
                        lzma = Lzma::new(recipe.stream.bits);
                    }
                    let mut writer = Writer::new();
                    while position < end {
                        let most = (end - position) as u32;
                        let last = lzma.distances();
                        let given = Token::Literal;
                        let token = model.token(coding, position, block.start, most, last, given);
                        let token = token.ok_or_else(|| damaged("a match is none"))?;
                        let byte = model.byte(position);
                        let mut past = Known { model, position, start: block.start };
                        lzma.code(&mut writer, position - block.start, &mut past, token, byte);
                        position += u64::from(token.len());
                        if coding.failed() || writer.len() > MAX_CHUNK {
                            return Err(damaged("a chunk is too long"));
                        }
                    }
                    chunk.data = writer.finish();
                }
            }
            let header = chunk.header(recipe.stream.bits);
            let header = header.ok_or_else(|| damaged("a chunk is too long"))?;
            for bytes in [&header, &chunk.data] {
                sink.write_all(bytes).map_err(Error::io("member"))?;
                written += bytes.len() as u64;
            }
            if kind == Kind::End {
                break;
            }
        }
        let mut sum = Sum::new(recipe.stream.check);
        for_each_piece(plain, block.clone(), |piece| sum.push(piece))?;
        container.end(written, block.end - block.start, sum, sink)?;
    }
    container.finish(sink)
}

/// What a chunk of LZMA2 has at most, in bytes, and what its last token and its end may add.
const MAX_CHUNK: usize = (1 << 16) + 64;

impl Token {
    /// How many bytes it makes.
    fn len(self) -> u32 {
        match self {
            Token::Literal | Token::Short => 1,
            Token::Match { len, .. } => len,
        }
    }
}

const BITS: &str = "the bits of a chunk are damaged";

fn damaged(why: &str) -> Error {
    Error::Damaged { codec: Codec::Parse, why: why.to_owned() }
}

/// Whether streams with this filter have parses.
#[cfg(feature = "recognise")]
pub fn is_filter_known(filter: XzFilter) -> bool {
    Filter::is_known(filter)
}

/// Unpacks a member in memory.
///
/// # Errors
/// As [`unpack_parsed`].
#[cfg(feature = "recognise")]
pub fn read_parse(
    recipe: &XzParse,
    lengths: Lengths,
    packed: &[u8],
) -> Result<(Vec<u8>, OldParse)> {
    let mut plain = Vec::new();
    let mut packed = packed;
    let old = unpack_parsed(recipe, lengths, &mut packed, &mut plain, &mut in_memory)?;
    Ok((plain, old))
}

/// A space in memory: for build hosts and tests.
#[cfg(feature = "recognise")]
pub fn in_memory() -> io::Result<Box<dyn Space>> {
    Ok(Box::new(Vec::new()))
}

/// Writes the parse of a member, which [`repack_parsed`] reads. `plain` is its content, `moves` say where
/// it was in that of `old`: ascending in the new one, without overlaps there.
///
/// # Errors
/// The member is damaged or packed in another way than the recipe says.
#[cfg(feature = "recognise")]
pub fn write_parse(
    recipe: &XzParse,
    packed: &[u8],
    plain: &[u8],
    old: Option<&OldParse>,
    moves: &[Move],
) -> Result<Vec<u8>> {
    let plain = plain.to_vec();
    let len = plain.len() as u64;
    let filtered = filtered(recipe, &plain, len, &mut in_memory)?;
    let content = filtered.as_deref().unwrap_or(&plain);
    let mut coding = RangeEncoder::new();
    let moves = moves::worth_saying(moves);
    let mut model = model(recipe, content, len, old, &mut coding, &moves)?;
    let (mut packed, packed_len) = (packed, packed.len() as u64);
    let mut source = Source::new(&mut packed, "packed", packed_len);
    let mut blocks = Blocks { source: &mut source, recipe, data_len: 0 };
    blocks.start()?;
    for block in block_lengths(recipe, len) {
        if !blocks.next()? {
            return Err(damaged("it has fewer blocks"));
        }
        if recipe.stream.blocks != XzBlocks::Unsized {
            model.chunks.code(&mut coding, blocks.data_len);
        }
        let mut lzma = Lzma::new(recipe.stream.bits);
        let mut position = block.start;
        loop {
            let chunk = blocks.chunk()?;
            model.chunks.code(&mut coding, chunk.kind.number());
            if chunk.kind == Kind::End {
                break;
            }
            model.chunks.code(&mut coding, u64::from(chunk.plain) - 1);
            let end = position + u64::from(chunk.plain);
            let Kind::Lzma(reset) = chunk.kind else {
                position = end;
                continue;
            };
            if reset > Reset::Nothing {
                lzma = Lzma::new(recipe.stream.bits);
            }
            let mut reader = Reader::new(&chunk.data).ok_or_else(|| damaged(BITS))?;
            while position < end {
                let last = lzma.distances();
                let mut past = Known { model: &mut model, position, start: block.start };
                let at = position - block.start;
                let (token, _) = lzma.code(&mut reader, at, &mut past, Token::Short, 0);
                let most = (end - position) as u32;
                let coded = model.token(&mut coding, position, block.start, most, last, token);
                if coded != Some(token) {
                    return Err(damaged("a match is none"));
                }
                position += u64::from(token.len());
            }
        }
        blocks.end()?;
    }
    Ok(coding.finish())
}

#[cfg(test)]
#[cfg(feature = "recognise")]
mod tests;
