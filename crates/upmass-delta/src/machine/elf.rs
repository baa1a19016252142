//! What an ELF file says about its own bytes (System V ABI, chapters 4 and 5), read leniently:
//! whatever the file claims, the result is a list of regions within it, and nothing fails.

use crate::patch::Base;

/// Sections and segments that are looked at.
const MAX_HEADERS: u64 = 4096;
/// Longest list of section names.
const MAX_NAMES: u64 = 1 << 18;
/// Longest name of a section that says something.
const LONGEST_NAME: usize = b".eh_frame_hdr".len();

/// What bytes of a region mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Meaning {
    /// Nothing that is known.
    Plain,
    /// Instructions of x86-64.
    X86,
    /// Instructions of AArch64.
    A64,
    /// Instructions of ARM, 32 bits each.
    Arm,
    /// Relocations with addends, 24 bytes each.
    Rela64,
    /// Relocations without addends, 8 bytes each.
    Rel32,
    /// Symbols of 24 bytes.
    Symbols64,
    /// Symbols of 16 bytes.
    Symbols32,
    /// Call frame information.
    Unwind,
    /// The search table of call frame information.
    UnwindIndex,
    /// Unwind table of ARM: pairs of relative places.
    ArmIndex,
    /// Data with absolute addresses of 8 bytes.
    Data64,
    /// Data with absolute addresses of 4 bytes.
    Data32,
    /// Read-only data, with relative places of 4 bytes.
    Constants,
}

/// A run of bytes with one meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Address of the first byte at run time.
    pub(crate) address: u64,
    pub(crate) meaning: Meaning,
    /// Of symbols: where their names are.
    pub(crate) names: u64,
}

/// A part of the file that is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) address: u64,
    pub(crate) in_file: u64,
    pub(crate) in_memory: u64,
    pub(crate) is_code: bool,
}

/// Where the bytes of a file are at run time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Segments(Vec<Segment>);

impl Segments {
    /// The address of a byte of the file; outside of all segments, its offset.
    pub(crate) fn address(&self, offset: u64) -> u64 {
        let holder = self.0.iter().find(|s| offset.wrapping_sub(s.offset) < s.in_file);
        match holder {
            Some(s) => s.address.wrapping_add(offset - s.offset),
            None => offset,
        }
    }

    /// The place in the file of an address, if there is one, or its segment and the distance
    /// from the end of what is in the file.
    pub(crate) fn place(&self, address: u64) -> Place {
        for (index, s) in self.0.iter().enumerate() {
            let distance = address.wrapping_sub(s.address);
            if distance < s.in_file {
                return Place::File(s.offset.wrapping_add(distance));
            }
            if distance <= s.in_memory {
                return Place::Behind(index, distance - s.in_file);
            }
        }
        Place::Nowhere
    }

    /// The address behind what a segment has in the file.
    pub(crate) fn end(&self, index: usize) -> Option<u64> {
        self.0.get(index).map(|s| s.address.wrapping_add(s.in_file))
    }

    /// Whether an address is in any segment.
    pub(crate) fn contains(&self, address: u64) -> bool {
        self.0.iter().any(|s| address.wrapping_sub(s.address) < s.in_memory)
    }

    /// Whether an address is in instructions.
    pub(crate) fn is_code(&self, address: u64) -> bool {
        self.0.iter().any(|s| s.is_code && address.wrapping_sub(s.address) < s.in_file)
    }
}

/// Where an address is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At this offset.
    File(u64),
    /// Behind the end of this segment's part of the file, by so many bytes.
    Behind(usize, u64),
    /// In no segment.
    Nowhere,
}

/// A file that may be ELF.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    pub(crate) segments: Segments,
    /// Ascending, without overlaps.
    pub(crate) regions: Vec<Region>,
    /// Whether addresses in code may be absolute.
    pub(crate) is_fixed: bool,
}

impl Image {
    /// Looks at a file. Errors of reading make it plain.
    pub(crate) fn of(base: &dyn Base) -> Self {
        Parser { base }.image().unwrap_or_default()
    }

    /// The region with this offset, or the plain one up to the next.
    pub(crate) fn region(&self, offset: u64) -> Region {
        let next = self.regions.partition_point(|r| r.end <= offset);
        let plain =
            |end| Region { start: offset, end, address: 0, meaning: Meaning::Plain, names: 0 };
        match self.regions.get(next) {
            Some(region) if region.start <= offset => *region,
            Some(region) => plain(region.start),
            None => plain(u64::MAX),
        }
    }
}

/// Segments of a file whose first bytes are these.
pub(crate) fn segments_of(start: &[u8]) -> Option<Segments> {
    let (header, _) = Parser { base: &start }.header()?;
    let segments = Parser { base: &start }.segments(&header);
    (!segments.0.is_empty()).then_some(segments)
}

struct Header {
    is_64: bool,
    kind: u16,
    machine: u16,
    segments: (u64, u64, u64),
    sections: (u64, u64, u64),
    names: u64,
}

struct Section {
    name: u32,
    kind: u32,
    flags: u64,
    address: u64,
    offset: u64,
    size: u64,
    link: u32,
}

struct Parser<'a> {
    base: &'a dyn Base,
}

fn field(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..at + len].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

impl Parser<'_> {
    fn read(&self, offset: u64, len: u64) -> Option<Vec<u8>> {
        let end = offset.checked_add(len)?;
        if end > self.base.len() {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        self.base.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    }

    fn header(&self) -> Option<(Header, Vec<u8>)> {
        let bytes = self.read(0, 64.min(self.base.len()))?;
        // Little-endian only.
        if bytes.len() < 52 || &bytes[..4] != b"\x7fELF" || bytes[5] != 1 {
            return None;
        }
        let is_64 = match bytes[4] {
            1 => false,
            2 if bytes.len() == 64 => true,
            _ => return None,
        };
        let word = if is_64 { 8 } else { 4 };
        let places = 24 + word;
        let counts = places + 2 * word + 4;
        let header = Header {
            is_64,
            kind: field(&bytes, 16, 2) as u16,
            machine: field(&bytes, 18, 2) as u16,
            segments: (
                field(&bytes, places, word),
                field(&bytes, counts + 2, 2),
                field(&bytes, counts + 4, 2),
            ),
            sections: (
                field(&bytes, places + word, word),
                field(&bytes, counts + 6, 2),
                field(&bytes, counts + 8, 2),
            ),
            names: field(&bytes, counts + 10, 2),
        };
        Some((header, bytes))
    }

    fn segments(&self, header: &Header) -> Segments {
        const LOAD: u64 = 1;
        let (at, size, count) = header.segments;
        let least = if header.is_64 { 56 } else { 32 };
        let mut segments = Vec::new();
        for index in 0..count.min(MAX_HEADERS) {
            let Some(bytes) =
                (size >= least).then(|| self.read(at.checked_add(index * size)?, least)).flatten()
            else {
                break;
            };
            if field(&bytes, 0, 4) != LOAD {
                continue;
            }
            let (flags, offset, address, in_file, in_memory) = match header.is_64 {
                true => (
                    field(&bytes, 4, 4),
                    field(&bytes, 8, 8),
                    field(&bytes, 16, 8),
                    field(&bytes, 32, 8),
                    field(&bytes, 40, 8),
                ),
                false => (
                    field(&bytes, 24, 4),
                    field(&bytes, 4, 4),
                    field(&bytes, 8, 4),
                    field(&bytes, 16, 4),
                    field(&bytes, 20, 4),
                ),
            };
            let in_memory = in_memory.max(in_file);
            segments.push(Segment { offset, address, in_file, in_memory, is_code: flags & 1 == 1 });
        }
        Segments(segments)
    }

    fn sections(&self, header: &Header) -> Vec<Section> {
        let (at, size, count) = header.sections;
        let least = if header.is_64 { 64 } else { 40 };
        let mut sections = Vec::new();
        for index in 0..count.min(MAX_HEADERS) {
            let Some(bytes) =
                (size >= least).then(|| self.read(at.checked_add(index * size)?, least)).flatten()
            else {
                break;
            };
            let word = if header.is_64 { 8 } else { 4 };
            sections.push(Section {
                name: field(&bytes, 0, 4) as u32,
                kind: field(&bytes, 4, 4) as u32,
                flags: field(&bytes, 8, word),
                address: field(&bytes, 8 + word, word),
                offset: field(&bytes, 8 + 2 * word, word),
                size: field(&bytes, 8 + 3 * word, word),
                link: field(&bytes, 8 + 4 * word, 4) as u32,
            });
        }
        sections
    }

    fn image(&self) -> Option<Image> {
        const X86_64: u16 = 62;
        const ARM: u16 = 40;
        const AARCH64: u16 = 183;
        const EXECUTABLE: u16 = 2;
        let (header, _) = self.header()?;
        let segments = self.segments(&header);
        let code = match header.machine {
            X86_64 if header.is_64 => Meaning::X86,
            AARCH64 if header.is_64 => Meaning::A64,
            ARM if !header.is_64 => Meaning::Arm,
            _ => Meaning::Plain,
        };
        let sections = self.sections(&header);
        let names = sections.get(header.names as usize);
        let names =
            names.and_then(|s| self.read(s.offset, s.size.min(MAX_NAMES))).unwrap_or_default();
        let mut regions: Vec<Region> = sections
            .iter()
            .filter_map(|section| {
                let name = names.get(section.name as usize..).unwrap_or_default();
                // A list of names may be one name without end.
                let name = &name[..name.len().min(LONGEST_NAME + 1)];
                let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                let meaning = meaning(section, name, header.is_64, code);
                let end = section.offset.checked_add(section.size)?.min(self.base.len());
                let names = sections.get(section.link as usize).map_or(0, |s| s.offset);
                let region =
                    Region { start: section.offset, end, address: section.address, meaning, names };
                (meaning != Meaning::Plain && region.start < end).then_some(region)
            })
            .collect();
        if sections.is_empty() {
            // Without sections at least the segments with instructions are known.
            regions.extend(segments.0.iter().filter(|s| s.is_code).filter_map(|s| {
                let end = s.offset.checked_add(s.in_file)?.min(self.base.len());
                let region =
                    Region { start: s.offset, end, address: s.address, meaning: code, names: 0 };
                (code != Meaning::Plain && region.start < end).then_some(region)
            }));
        }
        regions.sort_by_key(|r| (r.start, r.end, r.meaning));
        let mut covered = 0;
        regions.retain(|r| {
            let is_free = r.start >= covered;
            if is_free {
                covered = r.end;
            }
            is_free
        });
        Some(Image { segments, regions, is_fixed: header.kind == EXECUTABLE })
    }
}

fn meaning(section: &Section, name: &[u8], is_64: bool, code: Meaning) -> Meaning {
    const PROGBITS: u32 = 1;
    const SYMTAB: u32 = 2;
    const RELA: u32 = 4;
    const DYNAMIC: u32 = 6;
    const REL: u32 = 9;
    const DYNSYM: u32 = 11;
    const INIT_ARRAY: u32 = 14;
    const FINI_ARRAY: u32 = 15;
    const ARM_EXIDX: u32 = 0x7000_0001;
    const X86_UNWIND: u32 = 0x7000_0001;
    const WRITE: u64 = 1;
    const ALLOC: u64 = 2;
    const EXEC: u64 = 4;
    let data = if is_64 { Meaning::Data64 } else { Meaning::Data32 };
    match section.kind {
        SYMTAB | DYNSYM => match is_64 {
            true => Meaning::Symbols64,
            false => Meaning::Symbols32,
        },
        RELA if is_64 => Meaning::Rela64,
        REL if !is_64 => Meaning::Rel32,
        DYNAMIC | INIT_ARRAY | FINI_ARRAY => data,
        PROGBITS | X86_UNWIND | ARM_EXIDX if name == b".eh_frame" => Meaning::Unwind,
        PROGBITS if name == b".eh_frame_hdr" => Meaning::UnwindIndex,
        ARM_EXIDX if !is_64 => Meaning::ArmIndex,
        PROGBITS if section.flags & EXEC != 0 => code,
        PROGBITS if section.flags & (ALLOC | WRITE) == ALLOC | WRITE => data,
        PROGBITS if section.flags & ALLOC != 0 => Meaning::Constants,
        _ => Meaning::Plain,
    }
}
