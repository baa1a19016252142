//! Entries of a directory, 32 bytes each.

use std::collections::BTreeSet;

use super::name::{Short, alias, checksum, exact_short};

pub(super) const ENTRY: usize = 32;
pub(super) const ATTRIBUTE_LABEL: u8 = 0x08;
pub(super) const ATTRIBUTE_DIRECTORY: u8 = 0x10;
pub(super) const ATTRIBUTE_ARCHIVE: u8 = 0x20;
pub(super) const ATTRIBUTE_LONG: u8 = 0x0f;
/// Units of UTF-16 in an entry of a long name, and where they are in it.
pub(super) const UNITS: usize = 13;
pub(super) const UNIT_PLACES: [usize; UNITS] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
pub(super) const LAST_LONG: u8 = 0x40;

/// 1 January 1980, the first day that FAT has; the time is 0.
const DATE: u16 = 1 << 5 | 1;

/// Bytes of the entries of a name: one, and those of the long name if it needs one.
pub(super) fn entries_of(name: &str) -> usize {
    match exact_short(name) {
        Some(_) => 1,
        None => 1 + name.encode_utf16().count().div_ceil(UNITS),
    }
}

/// Appends entries, and gives each long name a short one.
pub(super) struct Entries {
    pub(super) bytes: Vec<u8>,
    taken: BTreeSet<Short>,
}

impl Entries {
    /// A directory in which the names that need no long one come in `names`.
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        Self { bytes: Vec::new(), taken: names.filter_map(exact_short).collect() }
    }

    /// Appends one entry, with a long name where it needs one.
    pub(super) fn name(&mut self, name: &str, attributes: u8, cluster: u32, len: u32) {
        let short = match exact_short(name) {
            Some(short) => short,
            None => {
                let short = alias(name, &self.taken);
                self.taken.insert(short);
                self.long(name, &short);
                short
            }
        };
        self.short(&short, attributes, cluster, len);
    }

    /// Appends one entry of a short name.
    pub(super) fn short(&mut self, short: &Short, attributes: u8, cluster: u32, len: u32) {
        let mut entry = [0; ENTRY];
        entry[..11].copy_from_slice(short);
        entry[11] = attributes;
        for at in [16, 18, 24] {
            entry[at..at + 2].copy_from_slice(&DATE.to_le_bytes());
        }
        let [low, high] = [cluster as u16, (cluster >> 16) as u16];
        entry[20..22].copy_from_slice(&high.to_le_bytes());
        entry[26..28].copy_from_slice(&low.to_le_bytes());
        entry[28..32].copy_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(&entry);
    }

    /// Appends the parts of a long name, the last part first.
    fn long(&mut self, name: &str, short: &Short) {
        let units: Vec<u16> = name.encode_utf16().collect();
        let parts = units.chunks(UNITS).enumerate().collect::<Vec<_>>();
        for (index, part) in parts.iter().rev() {
            let mut entry = [0; ENTRY];
            let is_last = index + 1 == parts.len();
            entry[0] = (index + 1) as u8 | if is_last { LAST_LONG } else { 0 };
            entry[11] = ATTRIBUTE_LONG;
            entry[13] = checksum(short);
            // A NUL ends the name where it is not full, and ones fill the rest.
            let units = part.iter().copied().chain([0]).chain(std::iter::repeat(0xffff));
            for (place, unit) in UNIT_PLACES.iter().zip(units) {
                entry[*place..place + 2].copy_from_slice(&unit.to_le_bytes());
            }
            self.bytes.extend_from_slice(&entry);
        }
    }
}
