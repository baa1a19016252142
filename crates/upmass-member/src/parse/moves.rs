//! Where old content has gone, and where new content comes from.

use upmass_delta::model::{Coding, Numbers};

/// Content that is the same, or nearly so, in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Where it was.
    pub old: u64,
    /// Where it is.
    pub new: u64,
    /// How many bytes.
    pub len: u64,
}

/// Most moves of a member.
pub(super) const MAX_MOVES: usize = 1 << 14;

/// Memory of all moves while they are put in order, in bytes.
#[cfg(test)]
pub(super) const MOVES_MEMORY: u64 =
    (MAX_MOVES * (2 * size_of::<Span>() + size_of::<Move>())) as u64;

#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
    there: u32,
}

/// Spans of one side, ascending, without overlaps.
#[derive(Default)]
struct Side {
    spans: Vec<Span>,
    last: usize,
}

impl Side {
    /// Where a byte is on the other side; what is in no span is taken to be beside its nearest.
    /// It may be outside.
    fn find(&mut self, position: u64) -> (i64, bool) {
        let at = position as i64;
        let shifted = |span: &Span| at - i64::from(span.start) + i64::from(span.there);
        let is_in =
            |span: &Span| u64::from(span.start) <= position && position < u64::from(span.end);
        if let Some(span) = self.spans.get(self.last).filter(|span| is_in(span)) {
            return (shifted(span), true);
        }
        let next = self.spans.partition_point(|span| u64::from(span.start) <= position);
        let before = next.checked_sub(1).map(|index| &self.spans[index]);
        match (before, self.spans.get(next)) {
            (Some(span), _) if is_in(span) => {
                self.last = next - 1;
                (shifted(span), true)
            }
            (Some(span), Some(after)) => {
                let is_nearer = i64::from(after.start) - at < at - i64::from(span.end);
                (shifted(if is_nearer { after } else { span }), false)
            }
            (Some(span), None) | (None, Some(span)) => (shifted(span), false),
            (None, None) => (at, false),
        }
    }
}

/// Both directions.
#[derive(Default)]
pub(super) struct Moves {
    to_new: Side,
    to_old: Side,
}

impl Moves {
    /// `moves` ascend in the new content without overlaps there; in the old one they may overlap,
    /// and the longest counts.
    pub(super) fn new(moves: Vec<Move>) -> Self {
        let span = |start: u64, len: u64, there: u64| Span {
            start: start as u32,
            end: (start + len) as u32,
            there: there as u32,
        };
        let to_old: Vec<Span> = moves.iter().map(|m| span(m.new, m.len, m.old)).collect();
        let mut by_old: Vec<Span> = moves.iter().map(|m| span(m.old, m.len, m.new)).collect();
        drop(moves);
        by_old.sort_unstable_by_key(|span| (span.start, span.end, span.there));
        Self {
            to_new: Side { spans: longest(&by_old), last: 0 },
            to_old: Side { spans: to_old, last: 0 },
        }
    }

    pub(super) fn new_place(&mut self, old: u64) -> i64 {
        self.to_new.find(old).0
    }

    /// Also whether it was moved at all.
    pub(super) fn old_place(&mut self, new: u64) -> (i64, bool) {
        self.to_old.find(new)
    }
}

/// Of spans that ascend by their start the longest at each place, the first of equals.
fn longest(spans: &[Span]) -> Vec<Span> {
    let mut out: Vec<Span> = Vec::new();
    // Those that began and have not ended.
    let mut open: Vec<Span> = Vec::new();
    let mut at = 0;
    let mut close = |open: &mut Vec<Span>, until: u32| {
        while at < until
            && let Some(best) = open.iter().rev().max_by_key(|span| span.end - span.start)
        {
            let end = best.end.min(until);
            out.push(Span { start: at, end, there: best.there + (at - best.start) });
            at = end;
            open.retain(|span| span.end > at);
        }
        at = until;
    };
    for span in spans {
        close(&mut open, span.start);
        open.push(*span);
    }
    close(&mut open, u32::MAX);
    out
}

/// How moves are written.
pub(super) struct MoveModel {
    count: Numbers,
    gaps: Numbers,
    lengths: Numbers,
    shifts: Numbers,
}

impl MoveModel {
    pub(super) fn new() -> Self {
        let [count, gaps, lengths, shifts] = std::array::from_fn(|_| Numbers::new());
        Self { count, gaps, lengths, shifts }
    }

    /// Codes all moves; `None` where they are outside of contents of these lengths.
    pub(super) fn code<C: Coding>(
        &mut self,
        coding: &mut C,
        moves: &[Move],
        old_len: u64,
        new_len: u64,
    ) -> Option<Vec<Move>> {
        let count = self.count.code(coding, moves.len() as u64);
        let count = usize::try_from(count).ok().filter(|count| *count <= MAX_MOVES)?;
        let mut out = Vec::with_capacity(count);
        let (mut end, mut shift) = (0u64, 0i64);
        for index in 0..count {
            let given = moves.get(index).copied().unwrap_or(Move { old: 0, new: end, len: 1 });
            let new = end.checked_add(self.gaps.code(coding, given.new - end))?;
            let len = self.lengths.code(coding, given.len);
            end = new.checked_add(len).filter(|end| *end <= new_len)?;
            let given = given.old as i64 - given.new as i64;
            shift = shift.checked_add(self.shifts.signed(coding, given - shift))?;
            let old = (new as i64).checked_add(shift).and_then(|old| u64::try_from(old).ok())?;
            old.checked_add(len).filter(|end| *end <= old_len)?;
            if coding.failed() {
                return None;
            }
            out.push(Move { old, new, len });
        }
        Some(out)
    }
}

/// What is worth being said of moves: long ones, and those that go on as one before become one with it.
#[cfg(feature = "recognise")]
pub(super) fn worth_saying(moves: &[Move]) -> Vec<Move> {
    let mut least = SHORTEST;
    loop {
        let mut out: Vec<Move> = Vec::new();
        for m in moves.iter().filter(|m| m.len >= least) {
            match out.last_mut() {
                Some(last) if m.old.wrapping_sub(last.old) == m.new - last.new => {
                    last.len = m.new + m.len - last.new;
                }
                _ => out.push(*m),
            }
        }
        if out.len() <= MAX_MOVES {
            return out;
        }
        least *= 2;
    }
}

/// Shorter ones cost more than they tell.
#[cfg(feature = "recognise")]
const SHORTEST: u64 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_found_in_both_directions() {
        let moves = [
            Move { old: 0, new: 0, len: 100 },
            Move { old: 50, new: 100, len: 10 },
            Move { old: 200, new: 110, len: 50 },
        ];
        let mut both = Moves::new(moves.to_vec());
        assert_eq!(both.old_place(105), (55, true));
        assert_eq!(both.old_place(159), (249, true));
        assert_eq!(both.old_place(170), (260, false));
        // The longer of two counts.
        assert_eq!(both.new_place(55), 55);
        assert_eq!(both.new_place(99), 99);
        assert_eq!(both.new_place(220), 130);
        // Beside the nearest.
        assert_eq!(both.new_place(120), 120);
        assert_eq!(both.new_place(190), 100);
        assert_eq!(Moves::default().new_place(7), 7);
    }

    #[test]
    fn the_longest_span_is_taken_at_each_place() {
        let mut state = 1u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..200 {
            let mut new = 0;
            let moves: Vec<Move> = (0..random(20))
                .map(|_| {
                    let (old, len) = (random(300), 1 + random(90));
                    new += random(5) + len;
                    Move { old, new: new - len, len }
                })
                .collect();
            let mut both = Moves::new(moves.to_vec());
            let spans = &both.to_new.spans;
            assert!(spans.is_sorted_by(|a, b| a.end <= b.start), "{spans:?}");
            for old in 0..400 {
                let holds = |m: &&Move| m.old <= old && old < m.old + m.len;
                let most = moves.iter().filter(holds).map(|m| m.len).max();
                let (new, is_in) = both.to_new.find(old);
                assert_eq!(is_in, most.is_some(), "{old} of {moves:?}");
                if let Some(most) = most {
                    let is_one = |m: &&Move| m.len == most && (m.new + old - m.old) as i64 == new;
                    assert!(moves.iter().filter(holds).any(|m| is_one(&m)), "{old} of {moves:?}");
                }
            }
        }
    }
}
