//! Packs deflate streams exactly as zlib and GNU gzip do.
//!
//! Both use the same search: hash chains over three bytes, a window of 32 KiB that slides by its
//! length, and lazy matching from level 4 on. They differ in how many symbols make a block, in
//! when a block is cut short, and in what happens at the end of the input. Where both leave a
//! choice, it is described here by what it does to the output.

use std::io::{self, Read, Write};

use super::block::{Bits, Symbols, put_block};
use crate::bounded::read_full;
use crate::recipe::{Packer, Strategy};

/// Packs all of `plain`.
pub(super) fn pack(packer: Packer, plain: &mut dyn Read, out: &mut dyn Write) -> io::Result<()> {
    let mut search = Search::new(packer, plain, out);
    match (search.strategy, search.tuning.is_lazy) {
        (Strategy::HuffmanOnly, _) => search.literals_only()?,
        (Strategy::Rle, _) => search.runs_only()?,
        (_, false) => search.greedy()?,
        (_, true) => search.lazy()?,
    }
    search.out.finish()
}

struct Search<'a> {
    plain: &'a mut dyn Read,
    out: Bits<'a>,
    symbols: Symbols,
    /// Symbols that make a block.
    full: usize,
    strategy: Strategy,
    tuning: Tuning,
    /// GNU gzip, not zlib.
    is_gnu: bool,
    /// Whether a block that packs well ends early.
    ends_early: bool,
    window: Vec<u8>,
    /// The latest place of each hash; 0 is none, so nothing ever matches the place 0.
    head: Vec<u16>,
    /// The place before with the same hash, by place in the window's half.
    previous: Vec<u16>,
    hash_shift: u32,
    /// The next byte to look at.
    at: usize,
    /// How many bytes the window has from there on.
    ahead: usize,
    /// Where the block begins; negative once the window has slid past it.
    block: isize,
    is_at_end: bool,
    match_start: usize,
    /// Length of the best match so far, 2 for none.
    best: usize,
}

/// Where a search for longer matches is worth how much, by level.
#[derive(Clone, Copy)]
struct Tuning {
    is_lazy: bool,
    /// A match of this length makes the search for a longer one shorter.
    good: usize,
    /// Greedy: the longest match whose places are all remembered. Lazy: a match of this length
    /// ends the search.
    lazy: usize,
    /// A match of this length is taken at once.
    nice: usize,
    /// How many places are compared.
    chain: usize,
}

/// Level 1 first.
const TUNINGS: [Tuning; 9] = [
    tuning(false, 4, 4, 8, 4),
    tuning(false, 4, 5, 16, 8),
    tuning(false, 4, 6, 32, 32),
    tuning(true, 4, 4, 16, 16),
    tuning(true, 8, 16, 32, 32),
    tuning(true, 8, 16, 128, 128),
    tuning(true, 8, 32, 128, 256),
    tuning(true, 32, 128, 258, 1024),
    tuning(true, 32, 258, 258, 4096),
];

const fn tuning(is_lazy: bool, good: usize, lazy: usize, nice: usize, chain: usize) -> Tuning {
    Tuning { is_lazy, good, lazy, nice, chain }
}

/// Bits of a hash and symbols of a block.
fn sizes(packer: Packer) -> (u32, usize) {
    match packer {
        Packer::Zlib { mem_level, .. } => {
            (u32::from(mem_level.get()) + 7, (1 << (mem_level.get() + 6)) - 1)
        }
        Packer::Gnu { .. } => (15, 0x8000 - 1),
    }
}

impl<'a> Search<'a> {
    fn new(packer: Packer, plain: &'a mut dyn Read, out: &'a mut dyn Write) -> Self {
        let (hash_bits, full) = sizes(packer);
        let (level, strategy, is_gnu) = match packer {
            Packer::Zlib { level, strategy, .. } => (level, strategy, false),
            Packer::Gnu { level } => (level, Strategy::Default, true),
        };
        Self {
            plain,
            out: Bits::new(out),
            symbols: Symbols::new(),
            full,
            strategy,
            tuning: TUNINGS[usize::from(level.get()) - 1],
            is_gnu,
            ends_early: is_gnu && level.get() > 2,
            window: vec![0; 2 * WINDOW],
            head: vec![0; 1 << hash_bits],
            previous: vec![0; WINDOW],
            hash_shift: hash_bits.div_ceil(MIN_MATCH as u32),
            at: 0,
            ahead: 0,
            block: 0,
            is_at_end: false,
            match_start: 0,
            best: MIN_MATCH - 1,
        }
    }

    fn greedy(&mut self) -> io::Result<()> {
        while self.look_ahead(LOOK_AHEAD)? {
            let candidate = self.remember_next();
            let mut length = 0;
            if self.is_near(candidate) {
                self.best = MIN_MATCH - 1;
                length = self.longest_match(candidate).min(self.ahead);
            }
            let is_full;
            if length >= MIN_MATCH {
                self.symbols.repeat(self.at - self.match_start, length);
                is_full = self.is_full();
                self.ahead -= length;
                if length <= self.tuning.lazy && (self.is_gnu || self.ahead >= MIN_MATCH) {
                    for at in self.at + 1..self.at + length {
                        self.remember(at);
                    }
                }
                self.at += length;
            } else {
                self.symbols.literal(self.window[self.at]);
                is_full = self.is_full();
                self.ahead -= 1;
                self.at += 1;
            }
            if is_full {
                self.end_block(false)?;
            }
        }
        self.end_block(true)
    }

    fn lazy(&mut self) -> io::Result<()> {
        let mut length = MIN_MATCH - 1;
        let mut has_literal = false;
        while self.look_ahead(LOOK_AHEAD)? {
            let candidate = self.remember_next();
            let before = length;
            let before_start = self.match_start;
            length = MIN_MATCH - 1;
            if before < self.tuning.lazy && self.is_near(candidate) {
                self.best = before;
                length = self.longest_match(candidate).min(self.ahead);
                let is_far = self.at.wrapping_sub(self.match_start) > TOO_FAR;
                let is_filtered = self.strategy == Strategy::Filtered && length <= 5;
                if is_filtered || length == MIN_MATCH && is_far {
                    length = MIN_MATCH - 1;
                }
            }
            if before >= MIN_MATCH && length <= before {
                let last = self.at + self.ahead;
                self.symbols.repeat((self.at - 1).wrapping_sub(before_start), before);
                let is_full = self.is_full();
                self.ahead -= before - 1;
                for at in self.at + 1..self.at + before - 1 {
                    if self.is_gnu || at + MIN_MATCH <= last {
                        self.remember(at);
                    }
                }
                self.at += before - 1;
                has_literal = false;
                length = MIN_MATCH - 1;
                if is_full {
                    self.end_block(false)?;
                }
                continue;
            }
            if has_literal {
                self.symbols.literal(self.window[self.at - 1]);
                if self.is_full() {
                    self.end_block(false)?;
                }
            }
            has_literal = true;
            self.at += 1;
            self.ahead -= 1;
        }
        if has_literal {
            self.symbols.literal(self.window[self.at - 1]);
        }
        self.end_block(true)
    }

    fn literals_only(&mut self) -> io::Result<()> {
        while self.look_ahead(1)? {
            self.symbols.literal(self.window[self.at]);
            self.ahead -= 1;
            self.at += 1;
            if self.is_full() {
                self.end_block(false)?;
            }
        }
        self.end_block(true)
    }

    fn runs_only(&mut self) -> io::Result<()> {
        while self.look_ahead(MAX_MATCH + 1)? {
            let mut length = 0;
            if self.ahead >= MIN_MATCH && self.at > 0 {
                let byte = self.window[self.at - 1];
                let longest = self.ahead.min(MAX_MATCH);
                let next = &self.window[self.at..self.at + longest];
                length = next.iter().take_while(|next| **next == byte).count();
            }
            if length >= MIN_MATCH {
                self.symbols.repeat(1, length);
            } else {
                self.symbols.literal(self.window[self.at]);
                length = 1;
            }
            self.ahead -= length;
            self.at += length;
            if self.is_full() {
                self.end_block(false)?;
            }
        }
        self.end_block(true)
    }

    /// Whether there is anything left; if so, `wanted` bytes of it or all are in the window.
    fn look_ahead(&mut self, wanted: usize) -> io::Result<bool> {
        while self.ahead < wanted && !(self.is_gnu && self.is_at_end) {
            self.slide();
            if self.is_at_end {
                break;
            }
            let free = self.at + self.ahead;
            let read = read_full(self.plain, &mut self.window[free..])?;
            self.is_at_end = read == 0;
            if self.is_gnu && read == 0 {
                // What follows is compared too, and what it was once counts.
                let end = (free + MIN_MATCH - 1).min(self.window.len());
                self.window[free..end].fill(0);
            }
            self.ahead += read;
        }
        Ok(self.ahead > 0)
    }

    /// Moves the upper half of the window down when the lower one is out of reach.
    fn slide(&mut self) {
        if self.at < WINDOW + MAX_DISTANCE {
            return;
        }
        self.window.copy_within(WINDOW.., 0);
        self.match_start = self.match_start.wrapping_sub(WINDOW);
        self.at -= WINDOW;
        self.block -= WINDOW as isize;
        for place in self.head.iter_mut().chain(&mut self.previous) {
            *place = place.saturating_sub(WINDOW as u16);
        }
    }

    /// Remembers the next three bytes and returns where they may have been before.
    fn remember_next(&mut self) -> usize {
        if self.is_gnu || self.ahead >= MIN_MATCH { self.remember(self.at) } else { 0 }
    }

    fn remember(&mut self, at: usize) -> usize {
        let byte = |offset: usize| usize::from(self.window.get(at + offset).copied().unwrap_or(0));
        let shift = self.hash_shift;
        let hash = (byte(0) << (2 * shift)) ^ (byte(1) << shift) ^ byte(2);
        let hash = hash & (self.head.len() - 1);
        let place = self.head[hash];
        self.previous[at % WINDOW] = place;
        self.head[hash] = at as u16;
        usize::from(place)
    }

    fn is_near(&self, candidate: usize) -> bool {
        candidate != 0 && self.at - candidate <= MAX_DISTANCE && self.at <= 2 * WINDOW - LOOK_AHEAD
    }

    /// Looks for a match that is longer than the best.
    fn longest_match(&mut self, mut candidate: usize) -> usize {
        let limit = self.at.saturating_sub(MAX_DISTANCE);
        let mut chain = self.tuning.chain;
        if self.best >= self.tuning.good {
            chain >>= 2;
        }
        let nice = if self.is_gnu { self.tuning.nice } else { self.tuning.nice.min(self.ahead) };
        let window = &self.window[..];
        let scan = &window[self.at..self.at + MAX_MATCH];
        let mut best = self.best;
        loop {
            let found = &window[candidate..candidate + MAX_MATCH];
            let is_longer = window[candidate + best] == window[self.at + best]
                && found[best - 1] == scan[best - 1]
                && found[..2] == scan[..2];
            if is_longer {
                let length = common(found, scan);
                if length > best {
                    self.match_start = candidate;
                    best = length;
                    if length >= nice {
                        break;
                    }
                }
            }
            candidate = usize::from(self.previous[candidate % WINDOW]);
            chain -= 1;
            if candidate <= limit || chain == 0 {
                break;
            }
        }
        best
    }

    /// Whether the block ends behind the symbol that was just added.
    fn is_full(&self) -> bool {
        let symbols = self.symbols.len();
        if self.ends_early && symbols.is_multiple_of(0x1000) {
            let packed = (symbols as u64 * 8 + self.symbols.bits_of_distances()) >> 3;
            let plain = (self.at as isize - self.block) as u64;
            if self.symbols.matches() < symbols / 2 && packed < plain / 2 {
                return true;
            }
        }
        symbols == self.full
    }

    fn end_block(&mut self, is_last: bool) -> io::Result<()> {
        let stored = usize::try_from(self.block).ok().map(|block| &self.window[block..self.at]);
        let stored = stored.filter(|content| content.len() <= usize::from(u16::MAX));
        let only_fixed = self.strategy == Strategy::Fixed;
        put_block(&mut self.out, &mut self.symbols, stored, only_fixed, is_last)?;
        self.block = self.at as isize;
        Ok(())
    }
}

fn common(a: &[u8], b: &[u8]) -> usize {
    let words = a.chunks_exact(8).zip(b.chunks_exact(8));
    let mut length = 0;
    for (a, b) in words {
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        let differs = word(a) ^ word(b);
        if differs != 0 {
            return length + differs.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length + a[length..].iter().zip(&b[length..]).take_while(|(a, b)| a == b).count()
}

const WINDOW: usize = 32 * 1024;
const MIN_MATCH: usize = 3;
const MAX_MATCH: usize = 258;
const LOOK_AHEAD: usize = MAX_MATCH + MIN_MATCH + 1;
const MAX_DISTANCE: usize = WINDOW - LOOK_AHEAD;
/// A match of the least length that is farther away costs more than literals.
const TOO_FAR: usize = 4096;
