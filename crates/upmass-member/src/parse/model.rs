//! How a parse is written: each token is predicted from what the old parse did at the place
//! where the content comes from, and what it did elsewhere is looked for where the same content
//! was before. Both sides know all content, so that no byte of it is written.

use std::io;

use upmass_delta::model::{Coding, Counter, Numbers};

use super::moves::Moves;
use super::space::{Paged, Space};
use super::steps::{StepReader, Steps};
use super::{MATCH_MAX, MATCH_MIN, Token};

/// Where content of a few bytes was last: so many bytes are looked at.
const GRAMS: [usize; 3] = [6, 4, 3];
/// Content from the current position on is in memory, at least as long as a match.
const AHEAD: usize = 1 << 16;

/// Memory of a model, in bytes, without the moves and the places.
#[cfg(test)]
pub(super) const MEMORY: u64 =
    2 * AHEAD as u64 + super::space::PAGED_MEMORY + (COUNTERS * size_of::<Counter>()) as u64;

/// What the old parse says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guess {
    Literal,
    Short,
    Match { distance: u32, len: u32 },
    Nothing,
}

impl Guess {
    fn index(self) -> usize {
        match self {
            Guess::Literal => 0,
            Guess::Short => 1,
            Guess::Match { .. } => 2,
            Guess::Nothing => 3,
        }
    }
}

/// The same for all directions of coding.
pub(super) struct Model<'a> {
    /// Content as LZMA sees it.
    paged: Paged<'a>,
    len: u64,
    ahead: Vec<u8>,
    ahead_at: u64,
    old: Option<(StepReader<'a>, Moves)>,
    places_log2: u32,
    /// For each of [`GRAMS`], the place after the last one whose bytes have this hash.
    places: Vec<u32>,
    entered: u64,
    /// Which of the last guesses were right.
    history: usize,
    is_right: Vec<Counter>,
    is_literal: Vec<Counter>,
    is_short: Vec<Counter>,
    is_distance: Vec<Counter>,
    is_repeated: Vec<Counter>,
    repeated: Vec<Counter>,
    is_usual: [Counter; 2],
    is_next: Vec<Counter>,
    is_place: Vec<Counter>,
    distances: Numbers,
    is_longest: Vec<Counter>,
    shorter: Vec<Numbers>,
    pub(super) chunks: Numbers,
}

#[cfg(test)]
const COUNTERS: usize = RIGHT + 3 * OTHER + REPEATED + NEXT + PLACE + LONGEST + 23 * 1152;
const RIGHT: usize = 1 << 16;
const OTHER: usize = 1 << 9;
const REPEATED: usize = 8;
const NEXT: usize = 32;
const PLACE: usize = 1 << 10;
const LONGEST: usize = 64;

impl<'a> Model<'a> {
    pub(super) fn new(
        content: &'a dyn Space,
        len: u64,
        places_log2: u8,
        old: Option<(&'a Steps, Moves)>,
    ) -> Self {
        let counters = |count| vec![Counter::NEW; count];
        Self {
            paged: Paged::new(content, len),
            len,
            ahead: Vec::new(),
            ahead_at: 0,
            old: old.map(|(steps, moves)| (StepReader::new(steps), moves)),
            places_log2: places_log2.into(),
            places: vec![0; GRAMS.len() << places_log2],
            entered: 0,
            history: 0,
            is_right: counters(RIGHT),
            is_literal: counters(OTHER),
            is_short: counters(OTHER),
            is_distance: counters(OTHER),
            is_repeated: counters(OTHER),
            repeated: counters(REPEATED),
            is_usual: [Counter::NEW; 2],
            is_next: counters(NEXT),
            is_place: counters(PLACE),
            distances: Numbers::new(),
            is_longest: counters(LONGEST),
            shorter: vec![Numbers::new(); 21],
            chunks: Numbers::new(),
        }
    }

    pub(super) fn check(&mut self) -> io::Result<()> {
        self.paged.check()?;
        self.old.as_mut().map_or(Ok(()), |(steps, _)| steps.check())
    }

    /// The byte here.
    pub(super) fn byte(&mut self, position: u64) -> u8 {
        match position.checked_sub(self.ahead_at).and_then(|at| self.ahead.get(at as usize)) {
            Some(byte) => *byte,
            None => self.paged.byte(position),
        }
    }

    /// Makes sure that what follows is in memory.
    fn look_ahead(&mut self, position: u64) {
        let end = self.ahead_at + self.ahead.len() as u64;
        let wanted = (position + MATCH_MAX as u64 + GRAMS[0] as u64).min(self.len);
        if position >= self.ahead_at && wanted <= end {
            return;
        }
        // Hashes are entered up to here, from what is before.
        let keep = self.entered.min(position).max(self.ahead_at).min(end);
        self.ahead.drain(..(keep - self.ahead_at) as usize);
        self.ahead_at = keep;
        while self.ahead.len() < AHEAD {
            let more = self.paged.from(self.ahead_at + self.ahead.len() as u64);
            if more.is_empty() {
                break;
            }
            self.ahead.extend_from_slice(more);
        }
    }

    fn slot(&self, gram: usize, position: u64) -> Option<usize> {
        let at = (position - self.ahead_at) as usize;
        let bytes = self.ahead.get(at..at + GRAMS[gram])?;
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        let hash = u64::from_le_bytes(word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Some(gram << self.places_log2 | (hash >> (64 - self.places_log2)) as usize)
    }

    /// Enters all places before `position`.
    fn enter(&mut self, position: u64) {
        while self.entered < position {
            if self.entered >= self.ahead_at {
                for gram in 0..GRAMS.len() {
                    if let Some(slot) = self.slot(gram, self.entered) {
                        self.places[slot] = self.entered as u32 + 1;
                    }
                }
            }
            self.entered += 1;
        }
    }

    /// How long a match at this distance could be, at most `most`.
    fn longest(&mut self, position: u64, distance: u32, most: u32) -> u32 {
        let Some(from) = position.checked_sub(u64::from(distance)) else { return 0 };
        if distance == 0 {
            return 0;
        }
        let at = (position - self.ahead_at) as usize;
        let end = self.ahead.len().min(at + most as usize);
        let Self { paged, ahead, .. } = self;
        paged.equal(from, &ahead[at..end]) as u32
    }

    /// Codes a token that makes at most `most` bytes, where a block began at `start`. `None`: what is
    /// read is no parse of the content.
    pub(super) fn token<C: Coding>(
        &mut self,
        coding: &mut C,
        position: u64,
        start: u64,
        most: u32,
        last: [u32; 4],
        given: Token,
    ) -> Option<Token> {
        let most = most.min(MATCH_MAX);
        self.look_ahead(position);
        self.enter(position);
        let reach = u32::try_from(position - start).unwrap_or(u32::MAX);
        let mut next = [0; 2];
        let (mut is_start, mut is_moved, mut was_longest) = (false, false, false);
        let mut guess = Guess::Nothing;
        let mut guessed = 0;
        if let Some((steps, moves)) = &mut self.old {
            let (old, moved) = moves.old_place(position);
            is_moved = moved;
            let distance_of = |moves: &mut Moves, at: u64, distance: u32, here: u64| {
                let from = moves.new_place(at.checked_sub(u64::from(distance))?);
                let distance = u32::try_from(here as i64 - from).ok()?;
                (1..=reach).contains(&distance).then_some(distance)
            };
            if let Some((step, after)) = u64::try_from(old).ok().and_then(|old| steps.at(old)) {
                let old = old as u64;
                for (next, step) in next.iter_mut().zip(after.into_iter().flatten()) {
                    if step.distance > 0 {
                        let here = position + (step.start - old);
                        *next = distance_of(moves, step.start, step.distance, here).unwrap_or(0);
                    }
                }
                is_start = step.distance == 0 || step.start == old;
                guess = Guess::Literal;
                if step.distance > 0 {
                    let usual = step.distance.min(reach);
                    guessed = distance_of(moves, old, step.distance, position).unwrap_or(usual);
                    let longest = self.longest(position, guessed, most);
                    was_longest = step.is_longest;
                    let rest = (step.end() - old) as u32;
                    let len = if was_longest { longest } else { rest.min(longest) };
                    let is_short = (step.len == 1 || len == 1) && guessed == last[0] && longest > 0;
                    if is_short {
                        guess = Guess::Short;
                    } else if step.len > 1 && len >= MATCH_MIN {
                        guess = Guess::Match { distance: guessed, len };
                    }
                }
            }
        }
        let again = self.longest(position, last[0].min(reach), most);
        let len = if let Guess::Match { len, .. } = guess { len } else { 0 };
        let context = self.history & 15
            | guess.index() << 4
            | usize::from(is_start) << 6
            | usize::from(is_moved) << 7
            | (again.min(3) as usize) << 8
            | usize::from(was_longest) << 10
            | (len.min(15) as usize) << 11;
        let expected = match guess {
            Guess::Literal => Some(Token::Literal),
            Guess::Short => Some(Token::Short),
            Guess::Match { distance, len } => Some(self.usual(distance, len, last)),
            Guess::Nothing => None,
        };
        let is_right = match expected {
            Some(_) => self.is_right[context].code(coding, expected == Some(given)),
            None => false,
        };
        self.history = self.history << 1 | usize::from(is_right);
        if let Some(expected) = expected.filter(|_| is_right) {
            return Some(expected);
        }
        let context = guess.index()
            | (again.min(7) as usize) << 2
            | usize::from(is_start) << 5
            | (self.history >> 1 & 3) << 6;
        if self.is_literal[context].code(coding, given == Token::Literal) {
            return Some(Token::Literal);
        }
        if self.is_short[context].code(coding, given == Token::Short) {
            return (again > 0).then_some(Token::Short);
        }
        let (distance, len, repeated) = match given {
            Token::Match { distance, len, repeated } => (distance, len, repeated),
            _ => (0, 0, None),
        };
        let is_guessed = guessed > 0 && self.is_distance[context].code(coding, distance == guessed);
        let distance = match is_guessed {
            true => guessed,
            false => self.distance(
                coding,
                position,
                context,
                [guessed, next[0], next[1]],
                last,
                distance,
                most,
            ),
        };
        if distance == 0 || distance > reach || coding.failed() {
            return None;
        }
        let usual = last.iter().position(|other| *other == distance).map(|index| index as u8);
        let is_usual = self.is_usual[usize::from(usual.is_some())].code(coding, repeated == usual);
        let repeated = match is_usual {
            true => usual,
            // The packer had a choice, and took what nobody would.
            false => match coding.direct(3, repeated.map_or(0, |index| u32::from(index) + 1)) {
                0 => None,
                index => Some(index as u8 - 1),
            },
        };
        if repeated.is_some_and(|index| last.get(usize::from(index)) != Some(&distance)) {
            return None;
        }
        let longest = self.longest(position, distance, most);
        let context = usize::from(is_guessed) | (longest.min(20) as usize) << 1;
        let len = match self.is_longest[context].code(coding, len == longest) {
            true => longest,
            false => {
                let less = longest.wrapping_sub(len).into();
                let less = self.shorter[longest.min(20) as usize].code(coding, less);
                u64::from(longest).checked_sub(less)? as u32
            }
        };
        (len >= MATCH_MIN).then_some(Token::Match { distance, len, repeated })
    }

    /// A match as nearly every packer writes it.
    fn usual(&self, distance: u32, len: u32, last: [u32; 4]) -> Token {
        let repeated = last.iter().position(|other| *other == distance);
        Token::Match { distance, len, repeated: repeated.map(|index| index as u8) }
    }

    /// Codes a distance that is not the guessed one, the first of `tried`; the others of them are
    /// those of the next steps of the old parse.
    #[allow(clippy::too_many_arguments, reason = "all that is known here")]
    fn distance<C: Coding>(
        &mut self,
        coding: &mut C,
        position: u64,
        context: usize,
        tried: [u32; 3],
        last: [u32; 4],
        distance: u32,
        most: u32,
    ) -> u32 {
        let index = last.iter().position(|other| *other == distance);
        if self.is_repeated[context].code(coding, index.is_some()) {
            let index = index.unwrap_or(0);
            let high = self.repeated[1].code(coding, index >= 2);
            let node = 2 | usize::from(high);
            let low = self.repeated[node].code(coding, index & 1 == 1);
            return last[usize::from(high) << 1 | usize::from(low)];
        }
        let [guessed, ..] = tried;
        let mut seen = [guessed, 0, 0, 0, 0, 0];
        let mut count = 1;
        let candidates = tried[1..].to_vec();
        for (index, candidate) in candidates.into_iter().enumerate() {
            if candidate == 0 || seen.contains(&candidate) || last.contains(&candidate) {
                continue;
            }
            let longest = self.longest(position, candidate, most);
            if longest < MATCH_MIN {
                continue;
            }
            seen[count] = candidate;
            count += 1;
            let context = index << 4 | longest.min(15) as usize;
            if self.is_next[context].code(coding, candidate == distance) {
                return candidate;
            }
        }
        for gram in 0..GRAMS.len() {
            let place = match self.slot(gram, position) {
                Some(slot) => self.places[slot],
                None => 0,
            };
            let candidate = if place == 0 { 0 } else { (position + 1) as u32 - place };
            if candidate == 0 || seen.contains(&candidate) || last.contains(&candidate) {
                continue;
            }
            let longest = self.longest(position, candidate, most);
            if longest < MATCH_MIN {
                continue;
            }
            let context = gram << 8 | count << 5 | longest.min(31) as usize;
            seen[count] = candidate;
            count += 1;
            if self.is_place[context].code(coding, candidate == distance) {
                return candidate;
            }
        }
        u32::try_from(self.distances.code(coding, distance.into())).unwrap_or(0)
    }
}
