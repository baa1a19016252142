//! A file seen with its members unpacked (`crates/upmass-format/spec/member.md`).

use std::io::Read;

use upmass_format::FormatError;
use upmass_format::wire::{Reader, put_varint};

use crate::{Lengths, Recipe};

/// Most members of a file that are unpacked, and recipes of a segment.
pub const MAX_MEMBERS: u64 = 1 << 16;

/// Most members of a base that are unpacked with their parse.
pub const MAX_PARSES: usize = 4;

/// Largest gap before a member, and largest of its lengths, in bytes.
pub const MAX_LENGTH: u64 = 1 << 48;

/// A member of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where it begins.
    pub offset: u64,
    /// Its lengths.
    pub lengths: Lengths,
    /// How it is packed.
    pub recipe: Recipe,
}

/// Appends a list of members, ascending and without overlaps. `table` holds the recipes that were
/// written before; new ones are added.
///
/// # Panics
/// When members overlap.
pub fn put_members(members: &[Member], table: &mut Vec<Recipe>, out: &mut Vec<u8>) {
    put_varint(out, members.len() as u64);
    let mut end = 0;
    for member in members {
        put_varint(out, member.offset.checked_sub(end).expect("members do not overlap"));
        put_varint(out, member.lengths.packed);
        put_varint(out, member.lengths.plain);
        end = member.offset + member.lengths.packed;
        match table.iter().position(|recipe| *recipe == member.recipe) {
            Some(index) => put_varint(out, index as u64 + 1),
            None => {
                put_varint(out, 0);
                member.recipe.put(out);
                table.push(member.recipe.clone());
            }
        }
    }
}

/// Reads a list of members.
///
/// # Errors
/// What is not a list.
pub fn read_members<R: Read>(
    input: &mut Reader<R>,
    table: &mut Vec<Recipe>,
) -> upmass_format::Result<Vec<Member>> {
    let count = input.number(MAX_MEMBERS, "number of members")?;
    let mut members = Vec::new();
    let mut end = 0u64;
    for _ in 0..count {
        let offset = end + input.number(MAX_LENGTH, "place of a member")?;
        let packed = input.number(MAX_LENGTH, "packed length of a member")?;
        let plain = input.number(MAX_LENGTH, "plain length of a member")?;
        let at = input.offset();
        let recipe = match input.varint("recipe")? {
            0 if table.len() as u64 == MAX_MEMBERS => {
                return Err(FormatError::TooLarge {
                    what: "number of recipes",
                    offset: at,
                    found: MAX_MEMBERS + 1,
                    limit: MAX_MEMBERS,
                });
            }
            0 => {
                let recipe = Recipe::read(input)?;
                table.push(recipe.clone());
                recipe
            }
            number => {
                let known = usize::try_from(number - 1).ok().and_then(|index| table.get(index));
                known.cloned().ok_or(FormatError::Unknown {
                    what: "recipe",
                    offset: at,
                    found: number,
                })?
            }
        };
        end = offset + packed;
        members.push(Member { offset, lengths: Lengths { packed, plain }, recipe });
    }
    Ok(members)
}

/// A run of a file with its members unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where it is with all members unpacked.
    pub start: u64,
    /// How many bytes.
    pub len: u64,
    /// Where they come from.
    pub from: Source,
}

/// Where the bytes of a piece come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The file itself, at this offset.
    File(u64),
    /// The plain content of this member.
    Plain(usize),
}

/// Which length of a file is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// Of the file as it is.
    File(u64),
    /// With all members unpacked.
    Expanded(u64),
}

/// The pieces of a file with members, in order; none is empty but those of empty members.
/// `None` when the members do not fit into the length.
pub fn pieces(members: &[Member], total: Total) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let (mut file, mut expanded) = (0u64, 0u64);
    let outer = |pieces: &mut Vec<Piece>, file: u64, start: u64, len: u64| {
        if len > 0 {
            pieces.push(Piece { start, len, from: Source::File(file) });
        }
    };
    for (index, member) in members.iter().enumerate() {
        let before = member.offset.checked_sub(file)?;
        outer(&mut pieces, file, expanded, before);
        expanded = expanded.checked_add(before)?;
        let len = member.lengths.plain;
        pieces.push(Piece { start: expanded, len, from: Source::Plain(index) });
        expanded = expanded.checked_add(len)?;
        file = member.offset.checked_add(member.lengths.packed)?;
    }
    let rest = match total {
        Total::File(len) => len.checked_sub(file)?,
        Total::Expanded(len) => len.checked_sub(expanded)?,
    };
    outer(&mut pieces, file, expanded, rest);
    expanded.checked_add(rest)?;
    Some(pieces)
}

/// The length of all pieces.
pub fn expanded_len(pieces: &[Piece]) -> u64 {
    pieces.last().map_or(0, |piece| piece.start + piece.len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Lz4, Lz4Level};

    fn member(offset: u64, packed: u64, plain: u64, level: u8) -> Member {
        let recipe = Recipe::Lz4(Lz4 { level: Lz4Level::new(level).unwrap() });
        Member { offset, lengths: Lengths { packed, plain }, recipe }
    }

    #[test]
    fn pieces_cover_the_file_and_all_that_is_unpacked() {
        let members = [member(10, 5, 100, 9), member(15, 5, 0, 9), member(30, 10, 7, 9)];
        let found = pieces(&members, Total::File(45)).unwrap();
        let expected = [
            (0, 10, Source::File(0)),
            (10, 100, Source::Plain(0)),
            (110, 0, Source::Plain(1)),
            (110, 10, Source::File(20)),
            (120, 7, Source::Plain(2)),
            (127, 5, Source::File(40)),
        ];
        let expected = expected.map(|(start, len, from)| Piece { start, len, from });
        assert_eq!(found, expected);
        assert_eq!(expanded_len(&found), 132);
        assert_eq!(pieces(&members, Total::Expanded(132)).unwrap(), expected);
    }

    #[test]
    fn members_outside_the_file_are_refused() {
        assert_eq!(pieces(&[member(10, 5, 100, 9)], Total::File(14)), None);
        assert_eq!(pieces(&[member(10, 5, 100, 9)], Total::Expanded(109)), None);
        assert_eq!(pieces(&[member(u64::MAX, 5, 1, 9)], Total::File(u64::MAX)), None);
    }

    #[test]
    fn lists_are_read_back_and_recipes_are_written_once() {
        let members = [member(1, 2, 3, 9), member(3, 5, 9, 9), member(100, 1, 1, 3)];
        let (mut table, mut out) = (Vec::new(), Vec::new());
        put_members(&members, &mut table, &mut out);
        put_members(&members[..1], &mut table, &mut out);
        assert_eq!(table.len(), 2);
        let mut read = Vec::new();
        let mut input = Reader::new(&out[..]);
        assert_eq!(read_members(&mut input, &mut read).unwrap(), members);
        assert_eq!(read_members(&mut input, &mut read).unwrap(), members[..1]);
        assert_eq!(read, table);
        for len in 0..out.len() {
            let mut input = Reader::new(&out[..len]);
            let mut table = Vec::new();
            let first = read_members(&mut input, &mut table);
            assert!(first.is_err() || read_members(&mut input, &mut table).is_err(), "{len}");
        }
        for bit in 0..8 * out.len() {
            let mut changed = out.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let _ = read_members(&mut Reader::new(&changed[..]), &mut Vec::new());
        }
    }
}
