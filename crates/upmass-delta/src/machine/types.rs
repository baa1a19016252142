//! Descriptions of types, as Linux has them beside its code (BTF, `Documentation/bpf/btf.rst`): a
//! list of records that name each other by their numbers, and their names.

use super::elf::number;

/// The start of the section.
pub(super) const HEADER: u64 = 24;
/// The first words of a record: name, kind and number of parts, type or size.
pub(super) const RECORD: u64 = 12;

/// Where types and their names are, from the start of the section.
pub(super) struct Places {
    pub(super) types: std::ops::Range<u64>,
    pub(super) names: u64,
}

/// Reads the start of a section.
pub(super) fn places(header: &[u8]) -> Option<Places> {
    const MAGIC: u64 = 0xeb9f;
    if header.len() < HEADER as usize || number(header, 0, 2) != MAGIC || header[2] != 1 {
        return None;
    }
    let [len, start, size, names] = [4, 8, 12, 16].map(|at| number(header, at, 4));
    Some(Places { types: len + start..len + start + size, names: len + names })
}

/// A record, as far as its length goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) kind: u8,
    pub(crate) parts: u64,
}

/// What a word of a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Name,
    Type,
    Other,
}

impl Record {
    const ARRAY: u8 = 3;
    const STRUCT: u8 = 4;
    const UNION: u8 = 5;
    const ENUM: u8 = 6;
    const PROTOTYPE: u8 = 13;
    const SECTION: u8 = 15;
    const ENUM64: u8 = 19;

    /// Takes the second word of a record.
    pub(crate) fn of(info: u32) -> Self {
        Self { kind: (info >> 24 & 31) as u8, parts: u64::from(info & 0xffff) }
    }

    /// Length in bytes; of kinds that are not known, none.
    pub(crate) fn len(self) -> Option<u64> {
        let words = match self.kind {
            1 | 14 | 17 => 1,
            Self::ARRAY => 3,
            Self::STRUCT | Self::UNION | Self::SECTION | Self::ENUM64 => 3 * self.parts,
            Self::ENUM | Self::PROTOTYPE => 2 * self.parts,
            2 | 7..=12 | 16 | 18 => 0,
            _ => return None,
        };
        Some(RECORD + 4 * words)
    }

    /// Whether its third word is a type.
    pub(crate) fn refers(self) -> bool {
        matches!(self.kind, 2 | 8..=14 | 17 | 18)
    }

    /// Whether its parts begin with names.
    #[cfg(feature = "encoder")]
    pub(crate) fn has_names(self) -> bool {
        matches!(self.kind, Self::STRUCT | Self::UNION | Self::ENUM | Self::ENUM64)
            && self.parts > 0
    }

    #[cfg(feature = "encoder")]
    pub(crate) fn is_array(self) -> bool {
        self.kind == Self::ARRAY
    }

    /// What the word with this number is, and its class.
    pub(super) fn word(self, index: u64) -> (Role, u8) {
        let Some(part) = index.checked_sub(3) else {
            let refers = self.refers();
            let role = match index {
                0 => Role::Name,
                2 if refers => Role::Type,
                _ => Role::Other,
            };
            return (role, index as u8 + if refers { 3 } else { 0 });
        };
        let (three, two) = (part % 3, part % 2);
        match self.kind {
            Self::STRUCT | Self::UNION => {
                ([Role::Name, Role::Type, Role::Other][three as usize], 6 + three as u8)
            }
            Self::ENUM => ([Role::Name, Role::Other][two as usize], 9 + two as u8),
            Self::PROTOTYPE => ([Role::Name, Role::Type][two as usize], 11 + two as u8),
            Self::SECTION => ([Role::Type, Role::Other, Role::Other][three as usize], 13),
            Self::ENUM64 => ([Role::Name, Role::Other, Role::Other][three as usize], 14),
            Self::ARRAY if part < 2 => (Role::Type, 15),
            _ => (Role::Other, 15),
        }
    }
}
