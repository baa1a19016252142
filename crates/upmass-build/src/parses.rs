//! Parses of `.xz` streams that a device cannot pack with the memory it has: written when it is
//! known where their content comes from.

use upmass_delta::patch::Copied;
use upmass_member::expanded::{MAX_PARSES, Member, Piece, Source, Total, pieces};
use upmass_member::parse::{Move, OldParse, in_memory, read_parse, repack_parsed, write_parse};
use upmass_member::recipe::XzParse;
use upmass_member::recognise::LEAST_PLACES;
use upmass_member::{Recipe, memory};

use crate::members::{Members, expand};

/// More places help little.
const MOST_PLACES: u8 = 20;
/// A parse that takes more of a stream than one byte of so many is not worth the work of it.
const WORTH: u64 = 2;

/// A content with its members unpacked and their parses behind them.
pub(crate) struct Parsed {
    /// The content.
    pub(crate) new: Vec<u8>,
    /// What it copies.
    pub(crate) copies: Vec<Copied>,
    /// What a device must write down beside the contents of members, in bytes.
    pub(crate) scratch: u64,
}

fn parse(member: &Member) -> Option<&XzParse> {
    match &member.recipe {
        Recipe::Parse(parse) => Some(parse),
        _ => None,
    }
}

impl Members {
    /// Whether some have a parse.
    pub(crate) fn have_parses(&self) -> bool {
        self.new.iter().any(|member| parse(member).is_some())
    }

    /// Leaves those packed that would have a parse.
    pub(crate) fn without_parses(mut self) -> Self {
        self.new.retain(|member| parse(member).is_none());
        self.old.retain(|member| parse(member).is_none());
        self
    }

    /// Keeps parses of the longest members only, as many as there may be, and none without a base.
    pub(crate) fn with_few_parses(mut self) -> Self {
        for members in [&mut self.old, &mut self.new] {
            let lengths = members.iter().filter(|member| parse(member).is_some());
            let mut lengths: Vec<u64> = lengths.map(|member| member.lengths.packed).collect();
            lengths.sort_unstable_by(|a, b| b.cmp(a));
            let least = lengths.get(MAX_PARSES - 1).copied().unwrap_or(0);
            let mut left = MAX_PARSES;
            members.retain(|member| {
                let may_be = parse(member).is_none() || member.lengths.packed >= least && left > 0;
                left -= usize::from(may_be && parse(member).is_some());
                may_be
            });
        }
        match self.old.iter().any(|member| parse(member).is_some()) {
            true => self,
            false => self.without_parses(),
        }
    }

    /// Lets the models of parses remember as much as there is memory for.
    pub(crate) fn fill_places(&mut self, max_memory: u64) {
        for Member { lengths, recipe, .. } in &mut self.new {
            let Recipe::Parse(parse) = *recipe else { continue };
            let with = |places| Recipe::Parse(XzParse { places, ..parse });
            let fits = |places: &u8| memory(&with(*places), *lengths) <= max_memory;
            let places = (LEAST_PLACES..=MOST_PLACES).rev().find(fits);
            *recipe = with(places.unwrap_or(LEAST_PLACES));
        }
    }

    /// Writes the parses of new members. `None`: there is one that is not worth it.
    ///
    /// `base` and `packed` are both contents as they are, `copies` those of the new one from the old
    /// with all members unpacked.
    pub(crate) fn write_parses(
        &mut self,
        base: &[u8],
        packed: &[u8],
        copies: &[Copied],
    ) -> Option<Parsed> {
        let old_pieces = plain_pieces(&self.old, base.len());
        let new_pieces = plain_pieces(&self.new, packed.len());
        let mut new = expand(packed, &self.new);
        let mut copies = copies.to_vec();
        let mut old_parses: Vec<Option<OldParse>> = self.old.iter().map(|_| None).collect();
        let (mut steps, mut beside) = (0, 0);
        // From the last to the first, so that places before stay as they are.
        for (piece, index) in new_pieces.into_iter().rev() {
            let Member { offset, lengths, recipe } = &self.new[index];
            let Recipe::Parse(recipe) = *recipe else { continue };
            let moves = |old: &Piece| {
                copies.iter().filter_map(|copy| clip(copy, old, &piece)).collect::<Vec<Move>>()
            };
            let bases = old_pieces.iter().filter(|(_, index)| parse(&self.old[*index]).is_some());
            let bases = bases.map(|(old, index)| (moves(old), *index));
            let (moves, from) = bases.max_by_key(|(moves, index)| {
                (moves.iter().map(|m| m.len).sum::<u64>(), std::cmp::Reverse(*index))
            })?;
            let old = match &mut old_parses[from] {
                Some(old) => old,
                none => {
                    let member = &self.old[from];
                    let old = &base[member.offset as usize..][..member.lengths.packed as usize];
                    let (_, parse) = read_parse(parse(member)?, member.lengths, old).ok()?;
                    steps += parse.space();
                    beside = beside.max(member.lengths.plain);
                    none.insert(parse)
                }
            };
            let stream = &packed[*offset as usize..][..lengths.packed as usize];
            let (start, end) = (piece.start as usize, (piece.start + piece.len) as usize);
            let recipe = XzParse { base: Some(u32::try_from(from).ok()?), ..recipe };
            let written = write_parse(&recipe, stream, &new[start..end], Some(old), &moves).ok()?;
            if written.len() as u64 * WORTH > lengths.packed {
                return None;
            }
            let recipe = XzParse { parse: written.len() as u64, ..recipe };
            let mut lengths = *lengths;
            lengths.plain += recipe.parse;
            let both = [&new[start..end], &written].concat();
            let mut made = Vec::with_capacity(stream.len());
            repack_parsed(&recipe, lengths, &both, Some(old), &mut in_memory, &mut made).ok()?;
            if made != stream {
                return None;
            }
            beside = beside.max(piece.len);
            new.splice(end..end, written);
            copies = shifted(&copies, piece.start + piece.len, recipe.parse);
            let member = &mut self.new[index];
            (member.lengths, member.recipe) = (lengths, Recipe::Parse(recipe));
        }
        Some(Parsed { new, copies, scratch: steps + beside })
    }
}

/// Where the contents of members are when all are unpacked, and which members they are.
fn plain_pieces(members: &[Member], len: usize) -> Vec<(Piece, usize)> {
    let all = pieces(members, Total::File(len as u64)).expect("members of this content");
    let plain = all.into_iter().filter_map(|piece| match piece.from {
        Source::Plain(index) => Some((piece, index)),
        Source::File(_) => None,
    });
    plain.collect()
}

/// What of a copy is from one piece to another, counted from their beginnings.
fn clip(copy: &Copied, old: &Piece, new: &Piece) -> Option<Move> {
    let before = (old.start.saturating_sub(copy.old)).max(new.start.saturating_sub(copy.new));
    let left = |end: u64, start: u64| end.saturating_sub(start);
    let end = left(old.start + old.len, copy.old).min(left(new.start + new.len, copy.new));
    let len = end.min(copy.len).checked_sub(before).filter(|len| *len > 0)?;
    Some(Move { old: copy.old + before - old.start, new: copy.new + before - new.start, len })
}

/// Copies when so many bytes are put in at a place.
fn shifted(copies: &[Copied], place: u64, len: u64) -> Vec<Copied> {
    let mut out = Vec::with_capacity(copies.len() + 1);
    for copy in copies {
        let before = place.saturating_sub(copy.new).min(copy.len);
        if before > 0 {
            out.push(Copied { len: before, ..*copy });
        }
        if before < copy.len {
            let rest = Copied {
                new: copy.new + before + len,
                old: copy.old + before,
                len: copy.len - before,
            };
            out.push(rest);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_go_around_what_is_put_in() {
        let copy = |new, old, len| Copied { new, old, len };
        let copies = [copy(0, 100, 10), copy(10, 0, 20), copy(40, 7, 3)];
        let expected = [copy(0, 100, 10), copy(10, 0, 5), copy(115, 5, 15), copy(140, 7, 3)];
        assert_eq!(shifted(&copies, 15, 100), expected);
    }

    #[test]
    fn moves_are_what_lies_in_both_members() {
        let piece = |start, len| Piece { start, len, from: Source::Plain(0) };
        let copy = Copied { new: 90, old: 200, len: 100 };
        let m = clip(&copy, &piece(220, 50), &piece(100, 1000));
        assert_eq!(m, Some(Move { old: 0, new: 10, len: 50 }));
        assert_eq!(clip(&copy, &piece(400, 50), &piece(100, 1000)), None);
        assert_eq!(clip(&copy, &piece(0, 210), &piece(100, 1000)), None);
        let m = clip(&copy, &piece(0, 211), &piece(100, 1000));
        assert_eq!(m, Some(Move { old: 210, new: 0, len: 1 }));
    }
}
