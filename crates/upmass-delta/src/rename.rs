//! Old content with names replaced (`crates/upmass-format/spec/rename.md`).
//!
//! [`Renamer`] finds the texts of a table in a content, from its start on, at each place the longest,
//! and never one inside another. What comes out is a base like any other: [`Places`] says where
//! texts are, so that any part can be read without holding the content.
//!
//! The search looks at the last four bytes of where the shortest text could end, and
//! moves on by as much as no text allows (Wu and Manber, *A fast algorithm for multi-pattern
//! searching*, 1994).

use std::collections::HashMap;
use std::io;
use std::ops::{ControlFlow, Range};

use upmass_format::rename::{MIN_TOKEN, Token};
use upmass_format::tree::MAX_INLINE;
use upmass_format::{MAX_NAME, Name, TreePath};

use crate::patch::{Base, Sink};
use crate::{DeltaError, Result};

/// Contents that begin like this hold offsets of themselves, so that nothing in them may move.
const ELF: &[u8] = b"\x7fELF";
/// How much is read at once.
const CHUNK: usize = 1 << 16;
const BLOCK: usize = 4;
const MIN_SLOTS_LOG2: u32 = 12;
const MAX_SLOTS_LOG2: u32 = 20;

/// A table of texts, ready to look for them.
pub struct Renamer {
    /// Ascending.
    tokens: Vec<Token>,
    by_start: HashMap<[u8; MIN_TOKEN], Range<usize>>,
    /// By the hash of a block: how far no text ends with it.
    skips: Vec<u8>,
    slots_log2: u32,
    shortest: usize,
    longest: usize,
}

impl Default for Renamer {
    /// One that looks for nothing.
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

/// A part of a renamed content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    /// Bytes as they were.
    Same(&'a [u8]),
    /// What has become of the text with this number, which begins there in the old content.
    Replaced(usize, u64),
}

/// Where texts of a table are in a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    places: Vec<Place>,
    len: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    old: u64,
    new: u64,
    token: u32,
}

impl Renamer {
    /// Takes the texts of a table ([`upmass_format::rename::Renames::tokens`]): each of
    /// [`MIN_TOKEN`] bytes at least, ascending, none twice.
    ///
    /// # Panics
    /// When they are not.
    pub fn new(tokens: Vec<Token>) -> Self {
        assert!(tokens.iter().all(|(old, _)| old.len() >= MIN_TOKEN), "texts are long enough");
        assert!(tokens.is_sorted_by(|(a, _), (b, _)| a < b), "texts ascend");
        let lengths = || tokens.iter().map(|(old, _)| old.len());
        let shortest = lengths().min().unwrap_or(MIN_TOKEN).min(usize::from(u8::MAX));
        let longest = lengths().max().unwrap_or(MIN_TOKEN);
        let blocks = (tokens.len() * (shortest - BLOCK + 1)).max(1);
        let slots_log2 = (blocks.ilog2() + 4).clamp(MIN_SLOTS_LOG2, MAX_SLOTS_LOG2);
        let mut new = Self {
            by_start: HashMap::new(),
            skips: vec![(shortest - BLOCK + 1) as u8; 1 << slots_log2],
            tokens,
            slots_log2,
            shortest,
            longest,
        };
        for (number, (old, _)) in new.tokens.iter().enumerate() {
            let start = *old.first_chunk().expect("texts are long enough");
            let range = new.by_start.entry(start).or_insert(number..number);
            range.end = number + 1;
            for (from_start, block) in old[..shortest].array_windows::<BLOCK>().enumerate() {
                let skip = (shortest - BLOCK - from_start) as u8;
                let slot = &mut new.skips[slot(*block, slots_log2)];
                *slot = skip.min(*slot);
            }
        }
        new
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// About how much memory it takes, in bytes.
    pub fn memory(&self) -> u64 {
        let texts: usize = self.tokens.iter().map(|(old, new)| old.len() + new.len() + 112).sum();
        (self.skips.len() + texts + CHUNK + self.longest) as u64
    }

    /// A short content renamed; `None` when nothing in it changes.
    pub fn rename(&self, content: &[u8]) -> Option<Vec<u8>> {
        let mut renamed = Vec::new();
        let mut is_changed = false;
        self.walk(&content, &mut |piece| {
            match piece {
                Piece::Same(bytes) => renamed.extend_from_slice(bytes),
                Piece::Replaced(token, _) => {
                    is_changed = true;
                    renamed.extend_from_slice(&self.tokens[token].1);
                }
            }
            ControlFlow::Continue(())
        })
        .expect("content in memory can be read");
        is_changed.then_some(renamed)
    }

    /// The name of an entry renamed; `None` when it does not change or is no name then.
    pub fn rename_name(&self, name: &Name) -> Option<Name> {
        self.rename(name.as_bytes()).and_then(Name::new)
    }

    /// A path with each of its names renamed, where it is a path then.
    pub fn rename_path(&self, path: &TreePath) -> TreePath {
        let renamed = path.names().try_fold(TreePath::root(), |path, name| {
            let name = Name::new(name).expect("a path consists of names");
            path.join(&self.rename_name(&name).unwrap_or(name))
        });
        renamed.unwrap_or_else(|| path.clone())
    }

    /// Whether any text is in a content. It is read up to the first.
    pub fn occurs_in(&self, base: &dyn Base) -> io::Result<bool> {
        let mut occurs = false;
        self.walk(base, &mut |piece| {
            occurs = matches!(piece, Piece::Replaced(..));
            if occurs { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(occurs)
    }

    /// Where the texts are in a content. `None` when at more than `limit` places.
    ///
    /// Memory: 24 bytes for each place.
    pub fn places(&self, base: &dyn Base, limit: usize) -> io::Result<Option<Places>> {
        let mut places = Vec::new();
        let (mut len, mut is_over) = (0, false);
        self.walk(base, &mut |piece| {
            match piece {
                Piece::Same(bytes) => len += bytes.len() as u64,
                Piece::Replaced(token, old) => {
                    if places.len() == limit {
                        is_over = true;
                        return ControlFlow::Break(());
                    }
                    places.push(Place { old, new: len, token: token as u32 });
                    len += self.tokens[token].1.len() as u64;
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok((!is_over).then_some(Places { places, len }))
    }

    /// Whether an object of the old release becomes another one: some text is in it, and with
    /// that replaced it is still too long to be kept in a tree.
    pub fn changes_object(&self, object: &dyn Base) -> io::Result<bool> {
        // Longer ones are too long even if they are nothing but the longest texts.
        if object.len() > (MAX_INLINE * MAX_NAME) as u64 {
            return self.occurs_in(object);
        }
        let places = self.places(object, usize::MAX)?.expect("there is no limit");
        Ok(!places.is_empty() && places.len() > MAX_INLINE as u64)
    }

    /// Writes a content renamed, from front to back.
    pub fn write(&self, base: &dyn Base, sink: &mut dyn Sink) -> Result<()> {
        let mut failed = None;
        let walked = self.walk(base, &mut |piece| {
            let written = match piece {
                Piece::Same(bytes) => sink.write(bytes),
                Piece::Replaced(token, _) => sink.write(&self.tokens[token].1),
            };
            match written {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        match failed {
            Some(error) => Err(DeltaError::Sink(error)),
            None => walked.map_err(DeltaError::Base),
        }
    }

    fn walk(
        &self,
        base: &dyn Base,
        take: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let len = base.len();
        let mut buffer = Vec::with_capacity(CHUNK + self.longest);
        // The buffer holds the content from `start` up to `end`.
        let (mut start, mut end) = (0, 0);
        let mut is_elf = false;
        while end < len || !buffer.is_empty() {
            let more = (len - end).min(CHUNK as u64) as usize;
            let kept = buffer.len();
            buffer.resize(kept + more, 0);
            base.read_exact_at(&mut buffer[kept..], end)?;
            if end == 0 {
                is_elf = buffer.starts_with(ELF);
            }
            end += more as u64;
            // Behind this, a text might go on behind the buffer.
            let sure = match end == len {
                true => buffer.len(),
                false => buffer.len().saturating_sub(self.longest - 1),
            };
            let mut done = 0;
            while let Some((at, token)) = self.find(&buffer, done..sure, is_elf) {
                let replaced = Piece::Replaced(token, start + at as u64);
                if at > done && take(Piece::Same(&buffer[done..at])).is_break()
                    || take(replaced).is_break()
                {
                    return Ok(());
                }
                done = at + self.tokens[token].0.len();
            }
            if done < sure {
                if take(Piece::Same(&buffer[done..sure])).is_break() {
                    return Ok(());
                }
                done = sure;
            }
            buffer.drain(..done);
            start += done as u64;
        }
        Ok(())
    }

    /// The first text that begins in `within`, and the longest of those that begin there.
    fn find(&self, text: &[u8], within: Range<usize>, is_elf: bool) -> Option<(usize, usize)> {
        let mut at = within.start;
        while at < within.end {
            let last = at + self.shortest - BLOCK;
            let block = text.get(last..)?.first_chunk::<BLOCK>()?;
            match self.skips[slot(*block, self.slots_log2)] {
                0 => match self.longest_at(&text[at..], is_elf) {
                    Some(token) => return Some((at, token)),
                    None => at += 1,
                },
                skip => at += usize::from(skip),
            }
        }
        None
    }

    /// The longest text that `text` begins with.
    fn longest_at(&self, text: &[u8], is_elf: bool) -> Option<usize> {
        let range = self.by_start.get(text.first_chunk::<MIN_TOKEN>()?)?.clone();
        let mut text = &text[..text.len().min(self.longest)];
        // Of all that are not behind the text, what it begins with is last: unless that goes on
        // differently, and then whatever fits is no longer than what they share.
        while text.len() >= MIN_TOKEN {
            let behind = self.tokens[range.clone()].partition_point(|(old, _)| &old[..] <= text);
            let number = range.start + behind.checked_sub(1)?;
            let (old, new) = &self.tokens[number];
            let shared = old.iter().zip(text).take_while(|(a, b)| a == b).count();
            if shared == old.len() {
                if !is_elf || old.len() == new.len() {
                    return Some(number);
                }
                text = &text[..shared - 1];
            } else {
                text = &text[..shared];
            }
        }
        None
    }
}

impl Places {
    /// Whether the content stays as it was.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Length of the renamed content.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Fills `buffer` with the renamed content from `offset` on; `read` does so with the old one.
    pub fn read_exact_at(
        &self,
        renamer: &Renamer,
        mut buffer: &mut [u8],
        mut offset: u64,
        read: &mut dyn FnMut(&mut [u8], u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut next = self.places.partition_point(|place| place.new <= offset);
        // Where the old content goes on behind what was replaced before, and where in the new one.
        let (mut old_at, mut new_at) = (0, 0);
        if let Some(before) = next.checked_sub(1) {
            let place = self.places[before];
            let (old, new) = &renamer.tokens[place.token as usize];
            let inside = (offset - place.new) as usize;
            if let Some(rest) = new.get(inside..) {
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                buffer = &mut buffer[count..];
                offset += count as u64;
            }
            (old_at, new_at) = (place.old + old.len() as u64, place.new + new.len() as u64);
        }
        while !buffer.is_empty() {
            let place = self.places.get(next).copied();
            let until = place.map_or(self.len, |place| place.new);
            let count = (until - offset).min(buffer.len() as u64) as usize;
            let (part, rest) = buffer.split_at_mut(count);
            if count > 0 {
                read(part, old_at + (offset - new_at))?;
            }
            (buffer, offset) = (rest, offset + count as u64);
            if let (false, Some(place)) = (buffer.is_empty(), place) {
                let (old, new) = &renamer.tokens[place.token as usize];
                let count = new.len().min(buffer.len());
                let (part, rest) = buffer.split_at_mut(count);
                part.copy_from_slice(&new[..count]);
                (buffer, offset) = (rest, offset + count as u64);
                (old_at, new_at) = (place.old + old.len() as u64, place.new + new.len() as u64);
                next += 1;
            } else if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

/// A base with names replaced.
pub struct Renamed<'a, B> {
    base: B,
    renamer: &'a Renamer,
    places: Places,
}

impl<'a, B: Base> Renamed<'a, B> {
    /// `places` are those of this renamer in this base.
    pub fn new(base: B, renamer: &'a Renamer, places: Places) -> Self {
        Self { base, renamer, places }
    }
}

impl<B: Base> Base for Renamed<'_, B> {
    fn len(&self) -> u64 {
        self.places.len
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let read = &mut |part: &mut [u8], at| self.base.read_exact_at(part, at);
        self.places.read_exact_at(self.renamer, buffer, offset, read)
    }
}

impl Base for Box<dyn Base + '_> {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }
}

fn slot(block: [u8; BLOCK], slots_log2: u32) -> usize {
    (u32::from_le_bytes(block).wrapping_mul(0x9e37_79b1) >> (32 - slots_log2)) as usize
}
