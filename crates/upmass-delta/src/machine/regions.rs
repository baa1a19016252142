//! What the sections of a program mean.

use super::elf::{Header, Reader, SYMTAB, Section, X86_64};
use super::segments::Layout;
use super::types;

/// Longest list of section names.
const MAX_NAMES: u64 = 1 << 18;
/// Longest name of a section that says something.
const LONGEST_NAME: usize = b".static_call_sites".len();

/// What bytes of a region mean, for the statistics.
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
    /// Headers of files and sections.
    Headers,
    /// Descriptions of types.
    Types,
}

/// How the fields of a region are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// There are none.
    Plain,
    /// Instructions.
    X86,
    A64,
    Arm,
    /// Relocations of what is linked, with addends and without.
    Rela64,
    Rel32,
    /// Relocations of what is to be linked.
    ObjectRela64 {
        /// Offsets of what is changed, and of the symbols.
        target: u64,
        symbols: u64,
        /// Whether instructions are changed.
        is_code: bool,
    },
    /// Symbols; with the offset of their names.
    Symbols64(u64),
    Symbols32(u64),
    Unwind,
    UnwindIndex,
    ArmIndex,
    Data64,
    Data32,
    Constants,
    /// Tables of a kernel with relative places of 4 bytes.
    Relatives,
    /// Words with absolute addresses that are cut to 32 bits.
    Places,
    /// Descriptions of types, with the offset of their names; split ones go on where those of
    /// another program end.
    Types {
        names: u64,
        is_split: bool,
    },
    /// Checksums of what is exported: with the name, and alone.
    Versions,
    Checksums,
    /// The header of a 64-bit file, and its table of sections.
    Header64,
    Sections64,
}

/// A run of bytes with one meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Address of the first byte at run time.
    pub(crate) address: u64,
    pub(crate) meaning: Meaning,
    pub(crate) format: Format,
}

impl Region {
    /// What has no meaning that is known.
    pub(crate) fn plain(start: u64, end: u64) -> Self {
        Self { start, end, address: 0, meaning: Meaning::Plain, format: Format::Plain }
    }

    /// Where the chunk that begins at `offset` ends: chunks of a region have whole records and at
    /// most so many bytes.
    pub(crate) fn chunk_end(&self, offset: u64, most: u64) -> u64 {
        let record = match self.format {
            Format::Rela64 | Format::ObjectRela64 { .. } | Format::Symbols64(_) => 24,
            _ => 64,
        };
        let len = most / record * record;
        let end = offset.saturating_add(len - (offset - self.start) % len);
        end.min(self.end)
    }
}

/// The regions of a program that ends before `end` of the content: ascending, without overlaps.
pub(super) fn regions(reader: &Reader<'_>, layout: &Layout, end: u64) -> Vec<Region> {
    const ARM: u16 = 40;
    const AARCH64: u16 = 183;
    let header = &reader.header;
    let code = match header.machine {
        X86_64 if header.is_64 => Some((Meaning::X86, Format::X86)),
        AARCH64 if header.is_64 => Some((Meaning::A64, Format::A64)),
        ARM if !header.is_64 => Some((Meaning::Arm, Format::Arm)),
        _ => None,
    };
    let sections = reader.sections();
    let names = sections.get(header.names as usize);
    let names =
        names.and_then(|s| reader.read(s.offset, s.size.min(MAX_NAMES))).unwrap_or_default();
    let of = |offset: u64, len: u64, address: u64, (meaning, format)| {
        let start = reader.start.checked_add(offset)?;
        let end = start.checked_add(len)?.min(end);
        (start < end).then_some(Region { start, end, address, meaning, format })
    };
    let is_object = header.kind == Header::RELOCATABLE;
    let mut regions: Vec<Region> = sections
        .iter()
        .filter_map(|section| {
            let name = names.get(section.name as usize..).unwrap_or_default();
            // A list of names may be one name without end.
            let name = &name[..name.len().min(LONGEST_NAME + 1)];
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            let place = |index: u32| {
                reader.start.wrapping_add(sections.get(index as usize).map_or(0, |s| s.offset))
            };
            if section.kind == PROGBITS && name == b".BTF" {
                let places = types::places(&reader.read(section.offset, types::HEADER)?)?;
                let within = places.types.end <= section.size;
                let format = Format::Types {
                    names: reader.start.wrapping_add(section.offset).wrapping_add(places.names),
                    is_split: is_object,
                };
                let (offset, len) =
                    (section.offset + places.types.start, places.types.end - places.types.start);
                return within.then(|| of(offset, len, 0, (Meaning::Types, format)))?;
            }
            let kind = match kind(section, name, header.is_64, code)? {
                (meaning, Format::Symbols64(_)) => {
                    (meaning, Format::Symbols64(place(section.link)))
                }
                (meaning, Format::Symbols32(_)) => {
                    (meaning, Format::Symbols32(place(section.link)))
                }
                (meaning, Format::Rela64) if is_object => {
                    let changed = sections.get(section.info as usize);
                    let format = Format::ObjectRela64 {
                        target: place(section.info),
                        symbols: place(section.link),
                        is_code: changed.is_some_and(|s| s.flags & EXEC != 0),
                    };
                    (meaning, format)
                }
                kind => kind,
            };
            // Where nothing is mapped, places stand for addresses.
            let address = if layout.segments.is_empty() { section.offset } else { section.address };
            of(section.offset, section.size, address, kind)
        })
        .collect();
    if sections.is_empty()
        && let Some(code) = code
    {
        // Without sections at least the segments with instructions are known.
        let segments = layout.segments.iter().filter(|s| s.is_code);
        regions.extend(segments.filter_map(|s| of(s.offset, s.in_file, s.address, code)));
    }
    if header.is_64 {
        let (at, count) = header.sections;
        regions.extend(of(0, 64, 0, (Meaning::Headers, Format::Header64)));
        regions.extend(of(at, count * 64, 0, (Meaning::Headers, Format::Sections64)));
    }
    // What follows the image of a kernel says where in it addresses are.
    let len = reader.len();
    let tail = end.saturating_sub(reader.start).saturating_sub(len);
    regions.extend(of(len, tail, 0, (Meaning::Data32, Format::Places)));
    regions.sort_by_key(|r| (r.start, r.end, r.meaning));
    let mut covered = 0;
    regions.retain(|r| {
        let is_free = r.start >= covered;
        if is_free {
            covered = r.end;
        }
        is_free
    });
    regions
}

const EXEC: u64 = 4;
const PROGBITS: u32 = 1;

fn kind(
    section: &Section,
    name: &[u8],
    is_64: bool,
    code: Option<(Meaning, Format)>,
) -> Option<(Meaning, Format)> {
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
    let data = match is_64 {
        true => (Meaning::Data64, Format::Data64),
        false => (Meaning::Data32, Format::Data32),
    };
    match section.kind {
        SYMTAB | DYNSYM => match is_64 {
            true => Some((Meaning::Symbols64, Format::Symbols64(0))),
            false => Some((Meaning::Symbols32, Format::Symbols32(0))),
        },
        RELA if is_64 => Some((Meaning::Rela64, Format::Rela64)),
        REL if !is_64 => Some((Meaning::Rel32, Format::Rel32)),
        DYNAMIC | INIT_ARRAY | FINI_ARRAY => Some(data),
        PROGBITS | X86_UNWIND | ARM_EXIDX if name == b".eh_frame" => {
            Some((Meaning::Unwind, Format::Unwind))
        }
        PROGBITS if name == b".eh_frame_hdr" => Some((Meaning::UnwindIndex, Format::UnwindIndex)),
        PROGBITS if RELATIVES.contains(&name) => Some((Meaning::Constants, Format::Relatives)),
        PROGBITS if name == b"__versions" && is_64 => Some((Meaning::Constants, Format::Versions)),
        PROGBITS if CHECKSUMS.contains(&name) => Some((Meaning::Constants, Format::Checksums)),
        ARM_EXIDX if !is_64 => Some((Meaning::ArmIndex, Format::ArmIndex)),
        PROGBITS if section.flags & EXEC != 0 => code,
        PROGBITS if section.flags & (ALLOC | WRITE) == ALLOC | WRITE => Some(data),
        PROGBITS if section.flags & ALLOC != 0 => Some((Meaning::Constants, Format::Constants)),
        _ => None,
    }
}

/// Tables of Linux with checksums.
const CHECKSUMS: [&[u8]; 2] = [b"__kcrctab", b"__kcrctab_gpl"];

/// Tables of Linux with relative places.
const RELATIVES: [&[u8]; 14] = [
    b".altinstructions",
    b".orc_unwind_ip",
    b".parainstructions",
    b".pci_fixup",
    b".retpoline_sites",
    b".return_sites",
    b".smp_locks",
    b".static_call_sites",
    b"__bug_table",
    b"__ex_table",
    b"__jump_table",
    b"__ksymtab",
    b"__ksymtab_gpl",
    b"__tracepoints_ptrs",
];
