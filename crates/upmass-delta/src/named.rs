//! What stands for the same thing in two contents whatever its number is: for symbols and types,
//! their names. Only the search for copies looks at it.

use crate::machine::field::{NAME, TYPE_NAME};
use crate::machine::{Field, Format, Images, Program, Record, Relation, Token};

/// So much of a name is looked at.
const LONGEST_NAME: usize = 256;
/// How far types without names are followed to one that has one.
const ROUNDS: usize = 3;

/// Names of what numbers of a content stand for.
pub(crate) struct Names<'a> {
    content: &'a [u8],
    /// For programs with descriptions of types, by their start: a hash for each type.
    types: Vec<(u64, Vec<u32>)>,
}

fn mix(a: u64, b: u64) -> u64 {
    (a ^ b).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

impl<'a> Names<'a> {
    pub(crate) fn of(images: &Images<'_>, content: &'a [u8]) -> Self {
        let mut names = Self { content, types: Vec::new() };
        for (program, region) in images.regions() {
            if let Format::Types { names: place, is_split: false } = region.format {
                let types = &content[region.start as usize..region.end as usize];
                let hashes = names.hashes(types, place);
                names.types.push((program.layout.start, hashes));
            }
        }
        names
    }

    /// What stands for the value of a field, if it is the number of something that has a name.
    pub(crate) fn value(&self, program: &Program, field: &Field) -> Option<i64> {
        match field.relation {
            Relation::Entry(_) => self.symbol(program, field.target),
            Relation::Offset(_) if matches!(field.kind, NAME | TYPE_NAME) => {
                Some(self.hash(field.target) as i64)
            }
            Relation::Token(Token::Checksum) => Some(field.target as i64),
            Relation::Token(Token::Type) => {
                let types = self.types.iter().find(|types| types.0 == program.layout.start);
                let hash = types.and_then(|types| types.1.get(usize::try_from(field.target).ok()?));
                Some(hash.copied().unwrap_or(0).into())
            }
            Relation::Token(Token::TypeName) => Some(0),
            _ => None,
        }
    }

    fn symbol(&self, program: &Program, place: u64) -> Option<i64> {
        let next = program.regions.partition_point(|r| r.end <= place);
        let Format::Symbols64(names) = program.regions.get(next)?.format else { return None };
        let entry = self.content.get(usize::try_from(place).ok()?..)?.get(..8)?;
        let name = u32::from_le_bytes(entry[..4].try_into().expect("four bytes"));
        if name == 0 {
            // Symbols of sections have none.
            return Some(i64::from(entry[6]) << 8 | i64::from(entry[7]));
        }
        Some(self.hash(names.checked_add(name.into())?) as i64)
    }

    /// A hash of the name at this offset.
    fn hash(&self, offset: u64) -> u64 {
        let rest = usize::try_from(offset).ok().and_then(|at| self.content.get(at..));
        let name = rest.unwrap_or_default().iter().take(LONGEST_NAME);
        name.take_while(|byte| **byte != 0).fold(0, |hash, byte| mix(hash, u64::from(*byte) + 1))
    }

    /// A hash for each type, the first of which is none.
    fn hashes(&self, types: &[u8], names: u64) -> Vec<u32> {
        let word = |at: usize| {
            let bytes = types.get(at..at + 4);
            bytes.map_or(0, |b| u64::from(u32::from_le_bytes(b.try_into().expect("four bytes"))))
        };
        let mut records = Vec::new();
        let (mut at, mut hashes) = (0, vec![0]);
        while types.len() - at >= 12 {
            let record = Record::of(word(at + 4) as u32);
            let Some(len) = record.len().filter(|len| *len <= (types.len() - at) as u64) else {
                break;
            };
            let name = match (word(at), record.has_names()) {
                (0, true) => self.hash(names.wrapping_add(word(at + 12))),
                (0, false) => 0,
                (name, _) => self.hash(names.wrapping_add(name)),
            };
            let own = if record.refers() { 0 } else { word(at + 8) };
            hashes.push(mix(mix(name, u64::from(record.kind) << 32 | record.parts), own));
            records.push((at, record, word(at) == 0));
            at += len as usize;
        }
        for _ in 0..ROUNDS {
            let of = |number: u64| hashes.get(number as usize).copied().unwrap_or(0);
            let next: Vec<u64> = records
                .iter()
                .zip(&hashes[1..])
                .map(|((at, record, is_nameless), hash)| match (is_nameless, record.refers()) {
                    (true, true) => mix(*hash, of(word(at + 8))),
                    (true, false) if record.is_array() => {
                        mix(mix(*hash, of(word(at + 12))), word(at + 20))
                    }
                    _ => *hash,
                })
                .collect();
            hashes[1..].copy_from_slice(&next);
        }
        hashes.into_iter().map(|hash| (hash >> 32) as u32).collect()
    }
}
