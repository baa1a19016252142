//! What an ELF file says about itself (System V ABI, chapters 4 and 5), read leniently: whatever
//! it claims, what is read is within the content, and nothing fails.

use super::regions::{Region, regions};
use super::segments::{Layout, Segment};
use crate::patch::Base;

/// Program headers and sections that are looked at.
const MAX_HEADERS: u64 = 4096;
/// Segments that are looked at.
const MAX_SEGMENTS: usize = 64;
/// Symbols of an object file that are looked at for those of sections, which come first.
const MAX_SYMBOLS: u64 = 1024;
/// A table of symbols.
pub(super) const SYMTAB: u32 = 2;
/// A machine.
pub(super) const X86_64: u16 = 62;
/// Longest header of a file.
pub(super) const HEADER: usize = 64;

/// The header of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) is_64: bool,
    pub(super) kind: u16,
    pub(super) machine: u16,
    /// Place and number of entries.
    pub(super) segments: (u64, u64),
    pub(super) sections: (u64, u64),
    /// The section with the names of sections.
    pub(super) names: u64,
}

/// What a section header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: u32,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) address: u64,
    /// From the start of the program.
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) link: u32,
    pub(super) info: u32,
}

impl Section {
    pub(super) const NOBITS: u32 = 8;

    /// Bytes in the file.
    pub(super) fn in_file(&self) -> u64 {
        if self.kind == Self::NOBITS { 0 } else { self.size }
    }
}

pub(super) fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..at + len].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

impl Header {
    pub(super) const RELOCATABLE: u16 = 1;
    pub(super) const EXECUTABLE: u16 = 2;

    /// The little-endian header that a program begins with, if it is one.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        const START: &[u8] = b"\x7fELF";
        let is_64 = match *bytes.get(4)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let len = if is_64 { HEADER } else { 52 };
        if !bytes.starts_with(START) || bytes.len() < len || bytes[5..7] != [1, 1] {
            return None;
        }
        let word = if is_64 { 8 } else { 4 };
        let places = 24 + word;
        let counts = places + 2 * word + 4;
        if number(bytes, 20, 4) != 1 || number(bytes, counts, 2) != len as u64 {
            return None;
        }
        let (segment, section) = if is_64 { (56, 64) } else { (32, 40) };
        // Entries of another size are not known.
        let count = |at: usize, size: u64| match number(bytes, at, 2) == size {
            true => number(bytes, at + 2, 2).min(MAX_HEADERS),
            false => 0,
        };
        Some(Self {
            is_64,
            kind: number(bytes, 16, 2) as u16,
            machine: number(bytes, 18, 2) as u16,
            segments: (number(bytes, places, word), count(counts + 2, segment)),
            sections: (number(bytes, places + word, word), count(counts + 6, section)),
            names: number(bytes, counts + 10, 2),
        })
    }

    /// Size of an entry of the table of segments.
    fn segment(&self) -> u64 {
        if self.is_64 { 56 } else { 32 }
    }

    /// Size of an entry of the table of sections.
    pub(super) fn section(&self) -> u64 {
        if self.is_64 { 64 } else { 40 }
    }

    /// Bytes from the start of the program to the end of the header and of the table of segments.
    pub(super) fn front(&self) -> u64 {
        let (at, count) = self.segments;
        let least = if self.is_64 { HEADER as u64 } else { 52 };
        if count == 0 { least } else { least.max(at.saturating_add(count * self.segment())) }
    }

    /// The table of segments in the front of the program.
    pub(super) fn table(&self) -> std::ops::Range<usize> {
        match self.segments {
            (_, 0) => 0..0,
            (at, count) => at as usize..(at + count * self.segment()) as usize,
        }
    }

    /// Bytes from the start of the program to the end of the table of sections, or 0.
    pub(super) fn back(&self) -> u64 {
        let (at, count) = self.sections;
        if count == 0 { 0 } else { at.saturating_add(count * self.section()) }
    }

    /// The segments, from a table with whole entries.
    pub(super) fn mapped(&self, table: &[u8]) -> Vec<Segment> {
        const LOAD: u64 = 1;
        let loaded =
            table.chunks_exact(self.segment() as usize).filter(|e| number(e, 0, 4) == LOAD);
        loaded
            .take(MAX_SEGMENTS)
            .map(|e| {
                let (flags, offset, address, in_file, in_memory) = match self.is_64 {
                    true => (
                        number(e, 4, 4),
                        number(e, 8, 8),
                        number(e, 16, 8),
                        number(e, 32, 8),
                        number(e, 40, 8),
                    ),
                    false => (
                        number(e, 24, 4),
                        number(e, 4, 4),
                        number(e, 8, 4),
                        number(e, 16, 4),
                        number(e, 20, 4),
                    ),
                };
                let in_memory = in_memory.max(in_file);
                Segment { offset, address, in_file, in_memory, is_code: flags & 1 == 1 }
            })
            .collect()
    }
}

/// Reads a program that begins at `start` of a content.
pub(super) struct Reader<'a> {
    pub(super) base: &'a dyn Base,
    pub(super) start: u64,
    pub(super) header: Header,
}

impl<'a> Reader<'a> {
    pub(super) fn new(base: &'a dyn Base, start: u64) -> Option<Self> {
        let mut bytes = [0; HEADER];
        let len = base.len().saturating_sub(start).min(HEADER as u64) as usize;
        base.read_exact_at(&mut bytes[..len], start).ok()?;
        Some(Self { base, start, header: Header::of(&bytes[..len])? })
    }

    /// Bytes of the program, if the content has them.
    pub(super) fn read(&self, offset: u64, len: u64) -> Option<Vec<u8>> {
        let from = self.start.checked_add(offset)?;
        if from.checked_add(len)? > self.base.len() {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        self.base.read_exact_at(&mut bytes, from).ok()?;
        Some(bytes)
    }

    fn entries(&self, (at, count): (u64, u64), size: u64) -> Vec<u8> {
        let whole = self.base.len().saturating_sub(self.start).saturating_sub(at) / size;
        self.read(at, count.min(whole) * size).unwrap_or_default()
    }

    fn layout(&self) -> Layout {
        let segments =
            self.header.mapped(&self.entries(self.header.segments, self.header.segment()));
        Layout { start: self.start, segments }
    }

    pub(super) fn sections(&self) -> Vec<Section> {
        let size = self.header.section();
        let table = self.entries(self.header.sections, size);
        let word = if self.header.is_64 { 8 } else { 4 };
        let section = |e: &[u8]| Section {
            name: number(e, 0, 4) as u32,
            kind: number(e, 4, 4) as u32,
            flags: number(e, 8, word),
            address: number(e, 8 + word, word),
            offset: number(e, 8 + 2 * word, word),
            size: number(e, 8 + 3 * word, word),
            link: number(e, 8 + 4 * word, 4) as u32,
            info: number(e, 12 + 4 * word, 4) as u32,
        };
        table.chunks_exact(size as usize).map(section).collect()
    }

    /// How many bytes the program has, by what it says.
    pub(super) fn len(&self) -> u64 {
        let tables = self.header.front().max(self.header.back());
        let sections = self.sections();
        let ends = sections.iter().map(|s| s.offset.saturating_add(s.in_file()));
        let end = match sections.is_empty() {
            false => ends.max(),
            true => {
                let segments = self.layout().segments;
                segments.iter().map(|s| s.offset.saturating_add(s.in_file)).max()
            }
        };
        tables.max(end.unwrap_or(0))
    }

    /// Where what follows a program that ends at `end` ends: of a kernel of x86-64, words that are
    /// addresses in it, cut to 32 bits, or 0.
    pub(super) fn behind(&self, end: u64, limit: u64) -> u64 {
        const PIECE: u64 = 1 << 14;
        if !self.header.is_64
            || self.header.machine != X86_64
            || self.header.kind != Header::EXECUTABLE
        {
            return end;
        }
        let layout = self.layout();
        let mut at = end;
        let mut piece = [0; PIECE as usize];
        while at < limit {
            let len = (limit - at).min(PIECE) as usize;
            if self.base.read_exact_at(&mut piece[..len], at).is_err() {
                break;
            }
            let words = piece[..len].chunks_exact(4).take_while(|word| {
                let word = i32::from_le_bytes((*word).try_into().expect("four bytes"));
                word == 0 || layout.contains(i64::from(word) as u64)
            });
            let known = 4 * words.count() as u64;
            at += known;
            if known < PIECE {
                break;
            }
        }
        at
    }

    /// The program, with what its bytes up to `end` of the content mean.
    pub(super) fn program(&self, end: u64) -> Program {
        let layout = self.layout();
        let regions = regions(self, &layout, end);
        let kind = self.header.kind;
        let is_object = kind == Header::RELOCATABLE;
        let mut program = Program {
            layout: layout.into(),
            regions,
            is_fixed: kind == Header::EXECUTABLE,
            is_object,
            places: Vec::new(),
            sections: Vec::new(),
        };
        if is_object && self.header.is_64 {
            let sections = self.sections();
            let place = |s: &Section| {
                let is_there = s.kind != Section::NOBITS && s.size > 0;
                is_there.then(|| self.start.wrapping_add(s.offset))
            };
            program.places = sections.iter().map(place).collect();
            let symbols = sections.iter().find(|s| s.kind == SYMTAB);
            program.sections = symbols.map(|s| self.symbols(s)).unwrap_or_default();
        }
        program
    }

    /// Which sections the first symbols stand for; 0 is none.
    fn symbols(&self, section: &Section) -> Vec<u16> {
        const SECTION: u8 = 3;
        let count = (section.size / 24).min(MAX_SYMBOLS);
        let table = self.read(section.offset, count * 24).unwrap_or_default();
        let of = |e: &[u8]| if e[4] & 15 == SECTION { number(e, 6, 2) as u16 } else { 0 };
        table.chunks_exact(24).map(of).collect()
    }
}

/// A program in a content.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    pub(crate) layout: std::rc::Rc<Layout>,
    /// Ascending, without overlaps.
    pub(crate) regions: Vec<Region>,
    /// Whether addresses in code may be absolute.
    pub(crate) is_fixed: bool,
    /// Whether it is still to be linked: what refers to another place is 0.
    pub(crate) is_object: bool,
    /// Of what is to be linked, for each section: where its content is, if it has any.
    pub(crate) places: Vec<Option<u64>>,
    /// For each of the first symbols, the section that it stands for.
    pub(crate) sections: Vec<u16>,
}
