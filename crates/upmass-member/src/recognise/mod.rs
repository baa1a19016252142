//! Finds members and how they were packed. For the build host: it holds contents in memory.
//!
//! A container (gzip, zip, an initramfs, a kernel image…) is walked by its own structure; nothing
//! is searched for in the middle of unknown bytes. For each member the packers that may have made
//! it are tried on its front first, the likely ones before the others, and the first that
//! reproduces all of it is taken. What takes too much is limited by sizes and not by time, so
//! that the same content has the same members everywhere.

mod container;
mod deflate;
mod lz4;
mod xz;
mod zstd;

use std::io::{self, Write};

pub use crate::expanded::Member;
use crate::parse::{is_filter_known, read_parse};
use crate::recipe::{LEAST_PARSED_BLOCK, MAX_PARSED, Packer, XzBlocks, XzParse, XzStream};
use crate::{Codec, Codecs, Lengths, Recipe, memory, repack, unpack};

/// What is worth recognising.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest plain content of a member, in bytes.
    pub max_plain: u64,
    /// The most memory that the device may need for packing or unpacking a member.
    pub max_memory: u64,
    /// What the device has.
    pub codecs: Codecs,
    /// A member's recipe must not be longer than the member divided by this.
    pub least_gain: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_plain: 1 << 30, max_memory: 1 << 30, codecs: Codecs::ALL, least_gain: 8 }
    }
}

/// Finds the members of a file: in ascending order, without overlaps, and only those for which
/// [`repack`] has made every bit again from what [`unpack`] has given. Those with a recipe of a parse were
/// read only: the parse is not written yet, and takes the content they come from.
pub fn find_members(content: &[u8], limits: &Limits) -> Vec<Member> {
    let mut finder = Finder { content, limits, members: Vec::new(), recent: Vec::new() };
    container::walk(&mut finder, 0, content.len());
    finder.members
}

/// A search in progress.
struct Finder<'a> {
    content: &'a [u8],
    limits: &'a Limits,
    members: Vec<Member>,
    /// Packers of deflate streams that were found, the last first: likely the next again.
    recent: Vec<Packer>,
}

/// What a codec knows of a member before it knows the packer.
struct Unpacked {
    packed_len: usize,
    plain: Vec<u8>,
}

impl Finder<'_> {
    /// Whether the device can pack so at all.
    fn may_use(&self, codec: Codec) -> bool {
        self.limits.codecs.contains(codec)
    }

    /// Adds the member if it repacks, and says whether it does.
    fn accept(&mut self, offset: usize, packed_len: usize, plain: &[u8], recipe: &Recipe) -> bool {
        let lengths = Lengths { packed: packed_len as u64, plain: plain.len() as u64 };
        let needs = memory(recipe, lengths).max(crate::unpack_memory(recipe, lengths));
        let len = recipe.to_bytes().len() as u64;
        if needs > self.limits.max_memory
            || !self.may_use(recipe.codec())
            || len.saturating_mul(self.limits.least_gain) > lengths.packed
        {
            return false;
        }
        let packed = &self.content[offset..offset + packed_len];
        let repacks = repack(recipe, lengths, &mut &plain[..], &mut Same(packed)).is_ok();
        if !repacks || unpack(recipe, lengths, &mut &packed[..], &mut Same(plain)).is_err() {
            return false;
        }
        let member = Member { offset: offset as u64, lengths, recipe: recipe.clone() };
        self.members.push(member);
        true
    }
}

/// A shorter stream is not worth a parse, which there can be few of.
const LEAST_PARSED: u64 = 64 << 10;

impl Finder<'_> {
    /// Adds a stream that no packer here makes, or none in so little memory, if it can be read. Its
    /// parse is to be written yet.
    fn accept_parse(&mut self, offset: usize, packed_len: usize, plain: &[u8], stream: XzStream) {
        let lengths = Lengths { packed: packed_len as u64, plain: plain.len() as u64 };
        let recipe = XzParse { stream, parse: 0, base: None, places: LEAST_PLACES };
        if !self.may_use(Codec::Parse)
            || !is_filter_known(stream.filter)
            || matches!(stream.blocks, XzBlocks::Of(size) if size < LEAST_PARSED_BLOCK)
            || lengths.packed < LEAST_PARSED
            || lengths.plain > MAX_PARSED
            || memory(&Recipe::Parse(recipe), lengths) > self.limits.max_memory
        {
            return;
        }
        let packed = &self.content[offset..offset + packed_len];
        if read_parse(&recipe, lengths, packed).is_ok_and(|(read, _)| read == plain) {
            let recipe = Recipe::Parse(recipe);
            self.members.push(Member { offset: offset as u64, lengths, recipe });
        }
    }
}

/// Fewer places make a parse longer by some percent.
pub const LEAST_PLACES: u8 = 15;

/// Refuses what differs from what is expected.
struct Same<'a>(&'a [u8]);

impl Write for Same<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.strip_prefix(bytes) {
            Some(rest) => self.0 = rest,
            None => return Err(io::ErrorKind::InvalidData.into()),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compares what a packer makes of the front of a member until there is no doubt left.
struct Front<'a> {
    expected: &'a [u8],
    matched: usize,
    differs: bool,
}

impl<'a> Front<'a> {
    fn new(expected: &'a [u8]) -> Self {
        Self { expected, matched: 0, differs: false }
    }

    /// Returns whether more is needed.
    fn take(&mut self, bytes: &[u8]) -> bool {
        self.differs |= !self.expected[self.matched..].starts_with(bytes);
        if self.differs {
            return false;
        }
        self.matched += bytes.len();
        self.matched < ENOUGH
    }
}

/// Bytes of a front which no other packer makes.
const ENOUGH: usize = 128 << 10;
