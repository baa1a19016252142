//! Objects with compressed members: the base is read, and the new object is made, with its members
//! unpacked; they are packed again on their way into the store.

use std::io::{self, Read, Write};

use upmass_delta::patch::{Base, Buffered, Sink};
use upmass_disk::ReadAt;
use upmass_format::payload::{Part, Step};
use upmass_member::expanded::{
    MAX_PARSES, Member, Piece, Source, Total, expanded_len, pieces, read_members,
};
#[cfg(feature = "parse")]
use upmass_member::parse::{OldParse, repack_parsed, unpack_parsed};
use upmass_member::{Codecs, Recipe, repack, unpack};
use upmass_store::{Scratch, ScratchContent, Store};

use crate::frames::Failure;
use crate::prelude::Segment;
use crate::{ApplyError, Result};

/// Copies go through a buffer of this size.
const BUFFER: usize = 1 << 15;

/// What of an object is unpacked: members of its base, and its own.
#[derive(Default)]
pub(crate) struct Members {
    pub(crate) old: Vec<Member>,
    pub(crate) new: Vec<Member>,
}

/// A step with what stands before it.
pub(crate) struct Instruction {
    /// Neither parts nor members; a patch of what is here, if there are parts.
    pub(crate) step: Step,
    /// The parts of the base, where it is more than what the step says.
    pub(crate) parts: Vec<Part>,
    pub(crate) members: Members,
}

/// Reads the next step, with the parts and members before it, if any.
pub(crate) fn read_step(segment: &mut Segment<'_>) -> Result<Instruction> {
    let Segment { program, recipes, codecs, .. } = segment;
    let mut step = Step::read(program)?;
    let (mut parts, mut members) = (Vec::new(), Members::default());
    let mut before = None;
    if step == Step::Parts {
        parts = Part::read_all(program)?;
        before = Some("parts");
        step = Step::read(program)?;
    }
    if step == Step::Members {
        members =
            Members { old: read_members(program, recipes)?, new: read_members(program, recipes)? };
        let used = members.old.iter().chain(&members.new).map(|member| member.recipe.codec());
        let unsaid = Codecs::from_iter(used).without(*codecs);
        if !unsaid.is_empty() {
            let message = format!("it packs with {unsaid}, which its header does not say");
            return Err(ApplyError::Program(message));
        }
        before = Some("members");
        step = Step::read(program)?;
    }
    let is_right = match step {
        Step::PatchHere(_) => true,
        Step::Whole(_) | Step::Patch(..) => parts.is_empty(),
        Step::End | Step::Derivations => before.is_none(),
        Step::Members | Step::Parts => false,
    };
    match (is_right, before) {
        (false, Some(before)) => {
            let message = format!("{step:?} follows a list of {before}");
            Err(ApplyError::Program(message))
        }
        _ => Ok(Instruction { step, parts, members }),
    }
}

/// What the parses of a base's members are, where they have one, in the order of the members.
#[derive(Default)]
pub(crate) struct Parses {
    #[cfg(feature = "parse")]
    parses: Vec<Option<OldParse>>,
}

/// A base with its members unpacked. Without any it is read as it is.
pub(crate) fn expanded(
    store: &Store,
    file: Box<dyn ReadAt>,
    members: &[Member],
) -> Result<(Box<dyn Base>, Parses)> {
    let len = file.len();
    let mut parses = Parses::default();
    if members.is_empty() {
        let read = move |buffer: &mut [u8], offset| file.read_exact_at(buffer, offset);
        return Ok((Box::new(Buffered::new(len, read)), parses));
    }
    let parsed = members.iter().filter(|member| matches!(member.recipe, Recipe::Parse(_))).count();
    if parsed > MAX_PARSES {
        let message = format!("{parsed} members of a base have parses, of at most {MAX_PARSES}");
        return Err(ApplyError::Program(message));
    }
    let pieces = pieces(members, Total::File(len))
        .ok_or_else(|| ApplyError::Program("it unpacks members that its base has not".into()))?;
    let mut plain = ScratchWriter { scratch: store.scratch()?, failure: Failure::default() };
    let mut starts = Vec::with_capacity(members.len());
    let mut start = 0;
    for member in members {
        starts.push(start);
        start += member.lengths.plain;
        let mut packed = Range { file: &*file, at: member.offset, left: member.lengths.packed };
        let failure = plain.failure.clone();
        let unpacked = parses.unpack(store, member, &mut packed, &mut plain, &failure);
        unpacked.map_err(|error| failure.or(error))?;
    }
    let plain = plain.scratch.finish()?;
    let expanded = Expanded { file, plain, starts, pieces };
    let len = expanded_len(&expanded.pieces);
    let read = move |buffer: &mut [u8], offset| expanded.read(buffer, offset);
    Ok((Box::new(Buffered::new(len, read)), parses))
}

impl Parses {
    /// Unpacks the next member, and keeps its parse if it has one.
    fn unpack(
        &mut self,
        store: &Store,
        member: &Member,
        packed: &mut dyn Read,
        plain: &mut dyn Write,
        failure: &Failure,
    ) -> upmass_member::Result<()> {
        #[cfg(feature = "parse")]
        if let Recipe::Parse(recipe) = &member.recipe {
            let mut spaces = || parsing::space(store, failure);
            let parse = unpack_parsed(recipe, member.lengths, packed, plain, &mut spaces)?;
            self.parses.push(Some(parse));
            return Ok(());
        }
        #[cfg(feature = "parse")]
        self.parses.push(None);
        let _ = (store, failure);
        unpack(&member.recipe, member.lengths, packed, plain)
    }

    /// Packs a member, with the parse that its recipe asks for.
    fn repack(
        &self,
        store: &Store,
        member: &Member,
        plain: &ScratchContent,
        out: &mut dyn Write,
        failure: &Failure,
    ) -> upmass_member::Result<()> {
        #[cfg(feature = "parse")]
        if let Recipe::Parse(recipe) = &member.recipe {
            let base = recipe.base.and_then(|index| self.parses.get(index as usize)?.as_ref());
            let mut spaces = || parsing::space(store, failure);
            let plain = parsing::Read(plain);
            return repack_parsed(recipe, member.lengths, &plain, base, &mut spaces, out);
        }
        let _ = (store, failure);
        let mut plain = Range { file: plain, at: 0, left: member.lengths.plain };
        repack(&member.recipe, member.lengths, &mut plain, out)
    }
}

/// What parses are made of is in the store while it is needed.
#[cfg(feature = "parse")]
mod parsing {
    use std::io;

    use upmass_disk::ReadAt;
    use upmass_member::parse::Space;
    use upmass_store::{Scratch, ScratchContent, Store};

    use crate::frames::Failure;

    struct Written {
        scratch: Scratch,
        failure: Failure,
    }

    pub(super) fn space(store: &Store, failure: &Failure) -> io::Result<Box<dyn Space>> {
        let scratch = store.scratch().map_err(|error| failure.keep(error))?;
        Ok(Box::new(Written { scratch, failure: failure.clone() }))
    }

    impl Space for Written {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.scratch.write(bytes).map_err(|error| self.failure.keep(error))
        }

        fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            self.scratch.read_exact_at(buffer, offset)
        }
    }

    /// Content that is complete.
    pub(super) struct Read<'a>(pub(super) &'a ScratchContent);

    impl Space for Read<'_> {
        fn append(&mut self, _: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::PermissionDenied.into())
        }

        fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            self.0.read_exact_at(buffer, offset)
        }
    }
}

struct Expanded {
    file: Box<dyn ReadAt>,
    plain: ScratchContent,
    /// Where each member begins in `plain`.
    starts: Vec<u64>,
    pieces: Vec<Piece>,
}

impl Expanded {
    fn read(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        let mut next = self.pieces.partition_point(|piece| piece.start + piece.len <= offset);
        while !buffer.is_empty() {
            let piece = self.pieces.get(next).ok_or(io::ErrorKind::UnexpectedEof)?;
            let inside = offset - piece.start;
            let count = (piece.len - inside).min(buffer.len() as u64) as usize;
            let (part, rest) = buffer.split_at_mut(count);
            match piece.from {
                Source::File(at) => self.file.read_exact_at(part, at + inside)?,
                Source::Plain(index) => {
                    self.plain.read_exact_at(part, self.starts[index] + inside)?;
                }
            }
            (buffer, offset, next) = (rest, offset + count as u64, next + 1);
        }
        Ok(())
    }
}

/// A part of a file.
struct Range<'a> {
    file: &'a dyn ReadAt,
    at: u64,
    left: u64,
}

impl Read for Range<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.left.min(buffer.len() as u64) as usize;
        let count = self.file.read_at(&mut buffer[..count], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

struct ScratchWriter {
    scratch: Scratch,
    failure: Failure,
}

impl Write for ScratchWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.scratch.write(bytes).map_err(|error| self.failure.keep(error))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes an object with its members unpacked, and gives it on with them packed.
pub(crate) struct Repacking<'a> {
    store: &'a Store,
    members: &'a [Member],
    parses: &'a Parses,
    pieces: Vec<Piece>,
    /// The piece that is next, and how much of it was taken.
    next: usize,
    taken: u64,
    scratch: Option<Scratch>,
    inner: &'a mut dyn Sink,
    failure: &'a Failure,
}

impl<'a> Repacking<'a> {
    /// `parses` are those of the base; `len` is the length with all members unpacked.
    pub(crate) fn new(
        store: &'a Store,
        members: &'a [Member],
        parses: &'a Parses,
        len: u64,
        inner: &'a mut dyn Sink,
        failure: &'a Failure,
    ) -> Result<Self> {
        let pieces = pieces(members, Total::Expanded(len))
            .ok_or_else(|| ApplyError::Program("it packs members outside of the object".into()))?;
        let mut new = Self {
            store,
            members,
            parses,
            pieces,
            next: 0,
            taken: 0,
            scratch: None,
            inner,
            failure,
        };
        new.pass_empty().map_err(|error| failure.or(DiscardedIo(error)))?;
        Ok(new)
    }

    /// Ends the pieces that are complete.
    fn pass_empty(&mut self) -> io::Result<()> {
        while let Some(piece) = self.pieces.get(self.next)
            && self.taken == piece.len
        {
            if let Source::Plain(index) = piece.from {
                self.pack(index)?;
            }
            self.next += 1;
            self.taken = 0;
        }
        Ok(())
    }

    fn pack(&mut self, index: usize) -> io::Result<()> {
        let keep = |error: ApplyError| self.failure.keep(error);
        let scratch = match self.scratch.take() {
            Some(scratch) => scratch,
            None => self.store.scratch().map_err(|error| keep(error.into()))?,
        };
        let content = scratch.finish().map_err(|error| keep(error.into()))?;
        let member = &self.members[index];
        let mut out = SinkWriter(&mut *self.inner);
        let packed = self.parses.repack(self.store, member, &content, &mut out, self.failure);
        packed.map_err(|error| self.failure.keep(error))
    }
}

impl Sink for Repacking<'_> {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let piece = *self.pieces.get(self.next).ok_or_else(|| io::Error::other("too much"))?;
            let count = (piece.len - self.taken).min(bytes.len() as u64) as usize;
            let (part, rest) = bytes.split_at(count);
            match piece.from {
                Source::File(_) => self.inner.write(part)?,
                Source::Plain(_) => {
                    let scratch = match &mut self.scratch {
                        Some(scratch) => scratch,
                        empty => {
                            let scratch = self.store.scratch();
                            empty.insert(scratch.map_err(|error| self.failure.keep(error))?)
                        }
                    };
                    scratch.write(part).map_err(|error| self.failure.keep(error))?;
                }
            }
            self.taken += count as u64;
            bytes = rest;
            self.pass_empty()?;
        }
        Ok(())
    }

    fn write_zeros(&mut self, mut len: u64) -> io::Result<()> {
        while len > 0 {
            let piece = *self.pieces.get(self.next).ok_or_else(|| io::Error::other("too much"))?;
            let count = (piece.len - self.taken).min(len);
            match piece.from {
                Source::File(_) => {
                    self.inner.write_zeros(count)?;
                    self.taken += count;
                    self.pass_empty()?;
                }
                Source::Plain(_) => {
                    let zeros = [0; BUFFER];
                    let mut left = count;
                    while left > 0 {
                        let part = left.min(BUFFER as u64);
                        self.write(&zeros[..part as usize])?;
                        left -= part;
                    }
                }
            }
            len -= count;
        }
        Ok(())
    }
}

struct SinkWriter<'a>(&'a mut dyn Sink);

impl Write for SinkWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An I/O error for which the real reason was kept.
struct DiscardedIo(io::Error);

impl From<DiscardedIo> for ApplyError {
    fn from(DiscardedIo(error): DiscardedIo) -> Self {
        ApplyError::Program(error.to_string())
    }
}
