//! Finds the fields in a chunk of old content.

use std::io;

use super::field::{Field, NAME, Relation, Shape, TYPE_NAME, Token};
use super::regions::Format;
use super::types::{self, Record, Role};
use super::{Layout, Program, Region, x86};
use crate::patch::Base;

/// How far before a chunk of x86 code decoding starts, to be in step with it.
const X86_BEFORE: u64 = 64;
/// How far before and behind a chunk of AArch64 code registers are followed.
const A64_AROUND: u64 = 64;
/// How far before a chunk of ARM code loads may be that use it.
const ARM_BEFORE: u64 = 4096;
const ARM_AFTER: u64 = 64;
/// How many instructions later the program counter may be added to what was loaded.
const ARM_AHEAD: usize = 16;
/// The longest record of unwind information that is looked at.
const RECORD: u64 = 4096;
/// Distance between known starts of records.
const STEP: u64 = 4096;

/// A chunk of old content with what was found in it.
#[derive(Default)]
pub(crate) struct Scanned {
    pub(crate) bytes: Vec<u8>,
    /// Ascending, without overlaps, wholly within.
    pub(crate) fields: Vec<Field>,
    /// What each byte is to its instruction or record: below 16.
    pub(crate) classes: Vec<u8>,
}

/// Looks at chunks of one file.
pub(crate) struct Scanner<'a> {
    base: &'a dyn Base,
    /// Of the program that was scanned last: for each region of unwind information, by its start,
    /// where records start.
    records: Vec<(u64, Vec<u64>)>,
    records_of: u64,
    around: Vec<u8>,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn extend(value: u32) -> u64 {
    i64::from(value as i32) as u64
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(base: &'a dyn Base) -> Self {
        Self { base, records: Vec::new(), records_of: 0, around: Vec::new() }
    }

    /// Reads `len` bytes at `start`, all of one region of a program, and finds their fields.
    pub(crate) fn scan(
        &mut self,
        program: &Program,
        region: &Region,
        start: u64,
        len: usize,
        out: &mut Scanned,
    ) -> io::Result<()> {
        let (before, after) = match region.format {
            Format::X86 => (X86_BEFORE, x86::MAX_LEN as u64),
            Format::A64 => (A64_AROUND, A64_AROUND),
            Format::Arm => (ARM_BEFORE, ARM_AFTER),
            Format::Unwind => (RECORD, RECORD),
            _ => (0, 0),
        };
        let from = start.saturating_sub(before).max(region.start.min(start));
        let end = start + len as u64;
        let to = (end + after).min(region.end.max(end)).min(self.base.len());
        let mut around = std::mem::take(&mut self.around);
        around.resize((to - from) as usize, 0);
        let read = self.base.read_exact_at(&mut around, from);
        let lead = (start - from) as usize;
        if read.is_ok() {
            out.bytes.clear();
            out.bytes.extend_from_slice(&around[lead..lead + len]);
            out.fields.clear();
            out.classes.clear();
            out.classes.resize(len, 0);
            let chunk = Chunk { region, start, from, len, around: &around, program };
            match region.format {
                Format::Plain => {}
                Format::X86 => chunk.x86(out),
                Format::A64 => chunk.a64(out),
                Format::Arm => chunk.arm(out),
                Format::Rela64 => chunk.relocations(out),
                Format::Rel32 => chunk.short_relocations(out),
                Format::ObjectRela64 { target, symbols, is_code } => {
                    chunk.object_relocations(out, target, symbols, is_code);
                }
                Format::Symbols64(names) => chunk.symbols(out, names, true),
                Format::Symbols32(names) => chunk.symbols(out, names, false),
                Format::Unwind => {
                    let from_here = start.saturating_sub(RECORD - 8).max(region.start);
                    let starts = self.starts(program, region);
                    let record = match starts.partition_point(|s| *s < from_here) {
                        next if next < starts.len() => starts[next],
                        _ => starts.last().copied().unwrap_or(region.start),
                    };
                    if record >= from {
                        chunk.unwind(out, record);
                    }
                }
                Format::UnwindIndex => chunk.unwind_index(out),
                Format::ArmIndex => chunk.arm_index(out),
                Format::Data64 => chunk.pointers(out, 8),
                Format::Data32 => chunk.pointers(out, 4),
                Format::Constants => chunk.relatives(out, Layout::is_code),
                Format::Relatives => chunk.relatives(out, Layout::contains),
                Format::Places => chunk.places(out),
                Format::Types { names, is_split } => {
                    let records = self.types(program, region, start, end);
                    chunk.types(out, &records, names, is_split);
                }
                Format::Versions => chunk.checksums(out, 64, Shape::Long),
                Format::Checksums => chunk.checksums(out, 4, Shape::Word),
                Format::Header64 => chunk.header(out),
                Format::Sections64 => chunk.sections(out),
            }
            debug_assert!(
                out.fields
                    .windows(2)
                    .all(|f| f[0].at as usize + f[0].shape.width() <= f[1].at as usize)
            );
            debug_assert!(out.fields.last().is_none_or(|f| f.at as usize + f.shape.width() <= len));
        }
        self.around = around;
        read
    }

    /// The first start of a record in each step of a region, which are found once.
    fn starts(&mut self, program: &Program, region: &Region) -> &[u64] {
        if program.layout.start != self.records_of {
            self.records.clear();
            self.records_of = program.layout.start;
        }
        let known = self.records.iter().position(|(start, _)| *start == region.start);
        let index = known.unwrap_or_else(|| {
            let starts = self.walk(region);
            self.records.push((region.start, starts));
            self.records.len() - 1
        });
        &self.records[index].1
    }

    fn walk(&self, region: &Region) -> Vec<u64> {
        // The words that tell the length.
        let (head, is_types) = match region.format {
            Format::Types { .. } => (8, true),
            _ => (4, false),
        };
        let mut starts = Vec::new();
        let mut position = region.start;
        let mut next = region.start;
        let mut window = vec![0; 1 << 14];
        let mut window_at = 0..0;
        while region.end - position >= head {
            if position < window_at.start || position + head > window_at.end {
                let len = (region.end - position).min(1 << 14) as usize;
                if self.base.read_exact_at(&mut window[..len], position).is_err() {
                    break;
                }
                window_at = position..position + len as u64;
            }
            if position >= next {
                starts.push(position);
                next = position - (position - region.start) % STEP + STEP;
            }
            let at = (position - window_at.start) as usize;
            let len = match is_types {
                true => Record::of(word(&window, at + 4)).len(),
                // The end mark is empty, and a longer form is never used.
                false => {
                    Some(u64::from(word(&window, at))).filter(|len| *len > 0).map(|len| len + 4)
                }
            };
            match len.filter(|len| *len <= region.end - position) {
                Some(len) => position += len,
                None => break,
            }
        }
        starts
    }

    /// The descriptions of types in a part of a region, with their starts.
    fn types(
        &mut self,
        program: &Program,
        region: &Region,
        from: u64,
        to: u64,
    ) -> Vec<(u64, Record)> {
        let starts = self.starts(program, region);
        let before = starts.partition_point(|s| *s <= from);
        let mut found = Vec::new();
        let Some(mut position) = before.checked_sub(1).map(|index| starts[index]) else {
            return found;
        };
        let mut head = [0; 8];
        while position < to && region.end - position >= types::RECORD {
            if self.base.read_exact_at(&mut head, position).is_err() {
                break;
            }
            let record = Record::of(word(&head, 4));
            let Some(len) = record.len().filter(|len| *len <= region.end - position) else { break };
            if position + len > from {
                found.push((position, record));
            }
            position += len;
        }
        found
    }
}

struct Chunk<'a> {
    region: &'a Region,
    start: u64,
    /// Offset of the first byte of `around`.
    from: u64,
    len: usize,
    around: &'a [u8],
    program: &'a Program,
}

impl Chunk<'_> {
    fn lead(&self) -> usize {
        (self.start - self.from) as usize
    }

    /// Address of a byte of `around`.
    fn address(&self, at: usize) -> u64 {
        self.region.address.wrapping_add(self.from + at as u64 - self.region.start)
    }

    /// Adds a field that starts at a byte of `around`, if it is wholly in the chunk.
    fn push(
        &self,
        out: &mut Scanned,
        at: usize,
        shape: Shape,
        relation: Relation,
        target: u64,
        kind: u8,
    ) {
        let Some(at) = at.checked_sub(self.lead()) else {
            return;
        };
        if at + shape.width() > self.len {
            return;
        }
        // What is to be linked has nothing but zeros where another place is meant.
        if self.program.is_object
            && matches!(relation, Relation::Relative(_) | Relation::Page | Relation::BelowPage)
        {
            let lead = at + self.lead();
            let raw = u64::from(word(self.around, lead));
            if shape.get(raw) == 0 {
                return;
            }
        }
        let is_behind = out.fields.last().is_none_or(|f| f.at as usize + f.shape.width() <= at);
        if is_behind {
            out.fields.push(Field { at: at as u32, shape, relation, target, kind });
        }
    }

    fn x86(&self, out: &mut Scanned) {
        let (lead, mut at) = (self.lead(), 0);
        let end = lead + self.len;
        while at < end {
            let code = &self.around[at..];
            let instruction = x86::decode(code);
            let next = at + instruction.len;
            for (index, class) in [(0, 1u8), (instruction.opcode_len, 2)] {
                let range = (at + index).clamp(lead, end)..next.clamp(lead, end);
                out.classes[range.start - lead..range.end - lead].fill(class);
            }
            if let Some(d) = instruction.displacement {
                let range = (at + d).clamp(lead, end)..(at + d + 4).clamp(lead, end);
                out.classes[range.start - lead..range.end - lead].fill(3);
            }
            if let Some(i) = instruction.immediate {
                let range = (at + i).clamp(lead, end)..(at + i + 4).clamp(lead, end);
                out.classes[range.start - lead..range.end - lead].fill(4);
            }
            if next > self.around.len() {
                break;
            }
            if let Some(d) = instruction.displacement {
                let value = extend(word(self.around, at + d));
                if instruction.is_relative {
                    let more = (instruction.len - d) as i32;
                    let target = self.address(next).wrapping_add(value);
                    self.push(out, at + d, Shape::Word, Relation::Relative(more), target, 1);
                } else if self.program.is_fixed && self.program.layout.contains(value) {
                    self.push(out, at + d, Shape::Word, Relation::Absolute, value, 2);
                }
            }
            if let Some(i) = instruction.immediate {
                let value = extend(word(self.around, at + i));
                if instruction.is_jump {
                    let is_call = self.around[at] == 0xe8;
                    let target = self.address(next).wrapping_add(value);
                    let kind = if is_call { 0 } else { 3 };
                    self.push(out, at + i, Shape::Word, Relation::Relative(4), target, kind);
                } else if self.program.is_fixed && self.program.layout.contains(value) {
                    self.push(out, at + i, Shape::Word, Relation::Absolute, value, 4);
                }
            }
            at = next;
        }
    }

    fn a64(&self, out: &mut Scanned) {
        let lead = self.lead();
        // Instructions are where addresses are multiples of four.
        let skew = (self.address(0) as usize).wrapping_neg() & 3;
        let mut pages = [(u64::MAX, 0usize); 32];
        let mut at = skew;
        while at + 4 <= self.around.len() && at < lead + self.len {
            let code = word(self.around, at);
            let raw = u64::from(code);
            let own = self.address(at);
            let branch = |out: &mut Scanned, shape: Shape, kind| {
                let target = own.wrapping_add((shape.get(raw) << 2) as u64);
                self.push(out, at, shape, Relation::Relative(0), target, kind);
            };
            let register = (code & 31) as usize;
            let mut written = None;
            let class = 4 + ((code >> 25 & 15) >> 1) as u8;
            for index in at.max(lead)..(at + 4).min(lead + self.len) {
                out.classes[index - lead] = class;
            }
            if code & 0x7c00_0000 == 0x1400_0000 {
                let kind = if code >> 31 == 1 { 0 } else { 3 };
                branch(out, Shape::Branch26, kind);
                if kind == 0 {
                    pages[..19].fill((u64::MAX, 0));
                }
            } else if code & 0xff00_0000 == 0x5400_0000 || code & 0x7e00_0000 == 0x3400_0000 {
                branch(out, Shape::Branch19, 5);
            } else if code & 0x7e00_0000 == 0x3600_0000 {
                branch(out, Shape::Branch14, 6);
            } else if code & 0x3b00_0000 == 0x1800_0000 {
                branch(out, Shape::Branch19, 7);
                written = Some(register);
            } else if code & 0x9f00_0000 == 0x1000_0000 {
                let target = own.wrapping_add(Shape::Adr.get(raw) as u64);
                self.push(out, at, Shape::Adr, Relation::Relative(0), target, 8);
                written = Some(register);
            } else if code & 0x9f00_0000 == 0x9000_0000 {
                let page = (own >> 12).wrapping_add(Shape::Adr.get(raw) as u64) << 12;
                let low = self.low_part(at + 4, register);
                self.push(
                    out,
                    at,
                    Shape::Adr,
                    Relation::Page,
                    page | low.unwrap_or(0),
                    9 + u8::from(low.is_none()),
                );
                pages[register] = (page, at);
            } else if let Some((scale, low)) = below_page(code) {
                let from = (code >> 5 & 31) as usize;
                let (page, since) = pages[from];
                if page != u64::MAX && at - since <= A64_AROUND as usize {
                    let kind = if scale == 0 { 11 } else { 12 };
                    self.push(out, at, Shape::Low12(scale), Relation::BelowPage, page | low, kind);
                }
                let is_store = code & 0x3b00_0000 == 0x3900_0000 && code >> 22 & 3 == 0;
                written = (!is_store).then_some(register);
            } else {
                let computes = code >> 25 & 0b0111 == 0b0101 || code >> 26 & 0b0111 == 0b0100;
                let loads = code >> 25 & 0b0101 == 0b0100 && code >> 22 & 1 == 1;
                written = (computes || loads).then_some(register);
            }
            if let Some(register) = written {
                pages[register].0 = u64::MAX;
            }
            at += 4;
        }
    }

    /// The part below the page that the first use of a register adds.
    fn low_part(&self, from: usize, register: usize) -> Option<u64> {
        for at in (from..from + A64_AROUND as usize).step_by(4) {
            if at + 4 > self.around.len() {
                break;
            }
            let code = word(self.around, at);
            if let Some((_, low)) = below_page(code)
                && (code >> 5 & 31) as usize == register
            {
                return Some(low);
            }
            if code & 0x9f00_0000 == 0x9000_0000 && (code & 31) as usize == register {
                break;
            }
        }
        None
    }

    fn arm(&self, out: &mut Scanned) {
        let lead = self.lead();
        let skew = (self.address(0) as usize).wrapping_neg() & 3;
        // Places of constants, with where the program counter is added to them, or 0.
        let mut pools: Vec<(usize, usize)> = Vec::new();
        let mut fields = Vec::new();
        let mut at = skew;
        while at + 4 <= self.around.len() && at < lead + self.len {
            let code = word(self.around, at);
            for index in at.max(lead)..(at + 4).min(lead + self.len) {
                out.classes[index - lead] = 8 + (code >> 25 & 7) as u8;
            }
            if code & 0x0e00_0000 == 0x0a00_0000 && at >= lead {
                let target = self
                    .address(at + 8)
                    .wrapping_add((Shape::Branch24.get(u64::from(code)) << 2) as u64);
                let kind = if code >> 24 & 1 == 1 { 0 } else { 3 };
                fields.push((
                    at,
                    Shape::Branch24,
                    Relation::Relative(8),
                    target & 0xffff_ffff,
                    kind,
                ));
            } else if code & 0x0f7f_0000 == 0x051f_0000 {
                let distance = (code & 0xfff) as usize;
                let place = if code >> 23 & 1 == 1 {
                    Some(at + 8 + distance)
                } else {
                    (at + 8).checked_sub(distance)
                };
                let register = code >> 12 & 15;
                let adds = (1..=ARM_AHEAD)
                    .map(|n| at + 4 * n)
                    .take_while(|at| at + 4 <= self.around.len())
                    .find(|at| {
                        let code = word(self.around, *at);
                        // add rd, pc, rm; ldr rd, [pc, rm]
                        (code & 0x0fff_0ff0 == 0x008f_0000 || code & 0x0fff_0ff0 == 0x079f_0000)
                            && code & 15 == register
                    });
                if let Some(place) = place.filter(|p| *p >= lead && p + 4 <= lead + self.len) {
                    pools.push((place, adds.map_or(0, |at| at + 8)));
                }
            }
            at += 4;
        }
        // Of several, one to which the program counter is added counts.
        pools.sort_unstable_by_key(|pool| (pool.0, pool.1 == 0, pool.1));
        pools.dedup_by_key(|pool| pool.0);
        fields.retain(|field| pools.binary_search_by_key(&field.0, |pool| pool.0).is_err());
        for (place, adds) in pools {
            let value = word(self.around, place);
            for class in &mut out.classes[place - lead..place - lead + 4] {
                *class = 7;
            }
            if adds > 0 {
                let target = u64::from((self.address(adds) as u32).wrapping_add(value));
                let more = adds as i32 - place as i32;
                fields.push((place, Shape::Word, Relation::Relative(more), target, 1));
            } else if self.program.layout.contains(u64::from(value)) {
                fields.push((place, Shape::Word, Relation::Absolute, u64::from(value), 2));
            }
        }
        fields.sort_unstable_by_key(|field| field.0);
        for (at, shape, relation, target, kind) in fields {
            self.push(out, at, shape, relation, target, kind);
        }
    }

    /// Calls for each whole record of a table, with its place in `around`.
    fn records(&self, size: u64, mut each: impl FnMut(usize)) {
        let first = (self.start - self.region.start).div_ceil(size) * size + self.region.start;
        let mut at = first - self.from;
        while at + size <= self.lead() as u64 + self.len as u64 {
            each(at as usize);
            at += size;
        }
    }

    fn classify(&self, out: &mut Scanned, size: u64) {
        for (index, class) in out.classes.iter_mut().enumerate() {
            *class = ((self.start - self.region.start + index as u64) % size * 16 / size) as u8;
        }
    }

    fn relocations(&self, out: &mut Scanned) {
        const X86_RELATIVE: u64 = 8;
        const A64_RELATIVE: u64 = 1027;
        self.classify(out, 24);
        self.records(24, |at| {
            let (offset, info, addend) =
                (long(self.around, at), long(self.around, at + 8), long(self.around, at + 16));
            self.push(out, at, Shape::Long, Relation::Absolute, offset, 13);
            if matches!(info, X86_RELATIVE | A64_RELATIVE) {
                self.push(out, at + 16, Shape::Long, Relation::Absolute, addend, 14);
            }
        });
    }

    fn object_relocations(&self, out: &mut Scanned, changed: u64, symbols: u64, is_code: bool) {
        const X86_PC: [u32; 2] = [2, 4];
        self.classify(out, 24);
        self.records(24, |at| {
            let (offset, kind) = (long(self.around, at), word(self.around, at + 8));
            let (symbol, addend) = (word(self.around, at + 12), long(self.around, at + 16));
            let place = changed.wrapping_add(offset);
            self.push(out, at, Shape::Long, Relation::Offset(changed), place, 27);
            if symbol == 0 {
                return;
            }
            let entry = symbols.wrapping_add(24 * u64::from(symbol));
            self.push(out, at + 12, Shape::Word, Relation::Entry(symbols), entry, 28);
            let section = self.program.sections.get(symbol as usize).copied().unwrap_or(0);
            if let Some(Some(start)) = self.program.places.get(usize::from(section))
                && section != 0
            {
                // Instructions count from their end, which is where the field ends mostly.
                let less = if is_code && X86_PC.contains(&kind) { 4 } else { 0 };
                let target = start.wrapping_add(addend).wrapping_add(less.into());
                self.push(out, at + 16, Shape::Long, Relation::Addend(*start, less), target, 29);
            }
        });
    }

    fn places(&self, out: &mut Scanned) {
        self.classify(out, 4);
        self.records(4, |at| {
            let address = extend(word(self.around, at));
            if self.program.layout.contains(address) {
                self.push(out, at, Shape::Word, Relation::Absolute, address, 37);
            }
        });
    }

    fn types(&self, out: &mut Scanned, records: &[(u64, Record)], names: u64, is_split: bool) {
        let end = self.start + self.len as u64;
        for (start, record) in records {
            let len = record.len().unwrap_or(0);
            let words = self.start.saturating_sub(*start).div_ceil(4)..len / 4;
            for index in words {
                let place = start + 4 * index;
                if place + 4 > end {
                    break;
                }
                let at = (place - self.from) as usize;
                let value = u64::from(word(self.around, at));
                let (role, class) = record.word(index);
                out.classes[at - self.lead()..][..4].fill(class);
                let (relation, target, kind) = match role {
                    Role::Name if is_split => (Relation::Token(Token::TypeName), value, 34),
                    Role::Name => (Relation::Offset(names), names.wrapping_add(value), TYPE_NAME),
                    Role::Type => (Relation::Token(Token::Type), value, 35),
                    Role::Other => continue,
                };
                if value != 0 {
                    self.push(out, at, Shape::Word, relation, target, kind);
                }
            }
        }
    }

    fn checksums(&self, out: &mut Scanned, size: u64, shape: Shape) {
        self.classify(out, size);
        self.records(size, |at| {
            let value = match shape {
                Shape::Long => long(self.around, at),
                _ => u64::from(word(self.around, at)),
            };
            self.push(out, at, shape, Relation::Token(Token::Checksum), value, 36);
        });
    }

    fn header(&self, out: &mut Scanned) {
        const ENTRY: u64 = 24;
        const SECTIONS: u64 = 40;
        self.classify(out, 64);
        let start = self.program.layout.start;
        for (place, relation, kind) in
            [(ENTRY, Relation::Absolute, 30), (SECTIONS, Relation::Offset(start), 31)]
        {
            let Some(at) = (self.region.start + place).checked_sub(self.from) else { continue };
            if at + 8 <= self.around.len() as u64 {
                let value = long(self.around, at as usize);
                let target = match kind {
                    30 => value,
                    _ => start.wrapping_add(value),
                };
                if value != 0 {
                    self.push(out, at as usize, Shape::Long, relation, target, kind);
                }
            }
        }
    }

    fn sections(&self, out: &mut Scanned) {
        const NOBITS: u32 = 8;
        self.classify(out, 64);
        let start = self.program.layout.start;
        self.records(64, |at| {
            let kind = word(self.around, at + 4);
            let [address, offset, size] = [16, 24, 32].map(|place| long(self.around, at + place));
            if address != 0 {
                self.push(out, at + 16, Shape::Long, Relation::Absolute, address, 30);
            }
            let place = start.wrapping_add(offset);
            if offset != 0 {
                self.push(out, at + 24, Shape::Long, Relation::Offset(start), place, 31);
            }
            if size != 0 && kind != NOBITS {
                let end = place.wrapping_add(size);
                self.push(out, at + 32, Shape::Long, Relation::Offset(place), end, 32);
            }
        });
    }

    fn short_relocations(&self, out: &mut Scanned) {
        self.classify(out, 8);
        self.records(8, |at| {
            let offset = u64::from(word(self.around, at));
            self.push(out, at, Shape::Word, Relation::Absolute, offset, 13);
        });
    }

    fn symbols(&self, out: &mut Scanned, names: u64, is_64: bool) {
        let size = if is_64 { 24 } else { 16 };
        self.classify(out, size);
        self.records(size, |at| {
            let name = names.wrapping_add(u64::from(word(self.around, at)));
            self.push(out, at, Shape::Word, Relation::Offset(names), name, NAME);
            let (section, value, length) = match is_64 {
                true => (
                    &self.around[at + 6..at + 8],
                    long(self.around, at + 8),
                    long(self.around, at + 16),
                ),
                false => (
                    &self.around[at + 14..at + 16],
                    u64::from(word(self.around, at + 4)),
                    u64::from(word(self.around, at + 8)),
                ),
            };
            if section == [0, 0] || value == 0 && (length == 0 || !self.program.is_object) {
                return;
            }
            if self.program.is_object {
                let index = usize::from(u16::from_le_bytes([section[0], section[1]]));
                if is_64 && let Some(Some(place)) = self.program.places.get(index) {
                    let target = place.wrapping_add(value);
                    self.push(out, at + 8, Shape::Long, Relation::Offset(*place), target, 16);
                    if length > 0 {
                        let end = target.wrapping_add(length);
                        self.push(out, at + 16, Shape::Long, Relation::Offset(target), end, 17);
                    }
                }
                return;
            }
            let shape = if is_64 { Shape::Long } else { Shape::Word };
            let (value_at, length_at) = if is_64 { (at + 8, at + 16) } else { (at + 4, at + 8) };
            self.push(out, value_at, shape, Relation::Absolute, value, 16);
            if length > 0 {
                self.push(
                    out,
                    length_at,
                    shape,
                    Relation::From(value),
                    value.wrapping_add(length),
                    17,
                );
            }
        });
    }

    fn unwind(&self, out: &mut Scanned, first: u64) {
        let mut at = (first - self.from) as usize;
        let end = self.lead() + self.len;
        while at < end && at + 8 <= self.around.len() {
            let len = word(self.around, at) as usize;
            if len == 0 || len > RECORD as usize {
                break;
            }
            for index in at.max(self.lead())..(at + 4 + len).min(end) {
                out.classes[index - self.lead()] = (index - at).min(15) as u8;
            }
            let back = u64::from(word(self.around, at + 4));
            let is_whole = at + 4 + len <= self.around.len();
            if back != 0 && len >= 16 && is_whole {
                let own = self.from + at as u64 + 4;
                if back <= own - self.region.start {
                    self.push(out, at + 4, Shape::Word, Relation::Back, own - back, 18);
                }
                if self.program.is_object {
                    at += 4 + len;
                    continue;
                }
                let begin = self.address(at + 8).wrapping_add(extend(word(self.around, at + 8)));
                self.push(out, at + 8, Shape::Word, Relation::Relative(0), begin, 19);
                let length = u64::from(word(self.around, at + 12));
                self.push(
                    out,
                    at + 12,
                    Shape::Word,
                    Relation::From(begin),
                    begin.wrapping_add(length),
                    20,
                );
                if len >= 17 && self.around[at + 16] == 4 {
                    let data =
                        self.address(at + 17).wrapping_add(extend(word(self.around, at + 17)));
                    self.push(out, at + 17, Shape::Word, Relation::Relative(0), data, 21);
                }
            }
            at += 4 + len;
        }
    }

    fn unwind_index(&self, out: &mut Scanned) {
        const TABLE: u64 = 12;
        let region = self.region;
        self.classify(out, 8);
        let own = |at: usize| self.from + at as u64 - region.start;
        if self.start <= region.start + 4 {
            let at = (region.start + 4 - self.from) as usize;
            if at + 4 <= self.around.len() {
                let target = self.address(at).wrapping_add(extend(word(self.around, at)));
                self.push(out, at, Shape::Word, Relation::Relative(0), target, 22);
            }
        }
        let mut at = self.lead() + (4 - (self.start - region.start) % 4) as usize % 4;
        while at + 4 <= self.lead() + self.len {
            if own(at) >= TABLE {
                let target = region.address.wrapping_add(extend(word(self.around, at)));
                let kind = 23 + u8::from(own(at) % 8 == 0);
                self.push(out, at, Shape::Word, Relation::From(region.address), target, kind);
            }
            at += 4;
        }
    }

    fn arm_index(&self, out: &mut Scanned) {
        self.classify(out, 8);
        let mut at = self.lead() + (4 - (self.start - self.region.start) % 4) as usize % 4;
        while at + 4 <= self.lead() + self.len {
            let value = word(self.around, at);
            let is_first = (self.from + at as u64 - self.region.start).is_multiple_of(8);
            // The second word may be an inline table, or the mark of a function without any.
            if value >> 31 == 0 && (is_first || value != 1) {
                let distance = Shape::Place31.get(u64::from(value)) as u64;
                let target = self.address(at).wrapping_add(distance) & 0xffff_ffff;
                self.push(
                    out,
                    at,
                    Shape::Place31,
                    Relation::Relative(0),
                    target,
                    23 + u8::from(!is_first),
                );
            }
            at += 4;
        }
    }

    fn pointers(&self, out: &mut Scanned, width: usize) {
        let address = self.address(self.lead());
        for (index, class) in out.classes.iter_mut().enumerate() {
            *class = (address.wrapping_add(index as u64) % 8) as u8;
        }
        let mut at = self.lead() + (width as u64 - address % width as u64) as usize % width;
        while at + width <= self.lead() + self.len {
            let (value, shape) = match width {
                8 => (long(self.around, at), Shape::Long),
                _ => (u64::from(word(self.around, at)), Shape::Word),
            };
            if value >= 4096 && self.program.layout.contains(value) {
                self.push(out, at, shape, Relation::Absolute, value, 25);
            }
            at += width;
        }
    }

    fn relatives(&self, out: &mut Scanned, is_target: impl Fn(&Layout, u64) -> bool) {
        let address = self.address(self.lead());
        for (index, class) in out.classes.iter_mut().enumerate() {
            *class = (address.wrapping_add(index as u64) % 8) as u8;
        }
        let mut at = self.lead() + (4 - address % 4) as usize % 4;
        while at + 4 <= self.lead() + self.len {
            let value = word(self.around, at);
            // The distance from the start of a table of jumps, which is not far.
            let target = self.address(at).wrapping_add(extend(value));
            if value >> 16 != 0 && is_target(&self.program.layout, target) {
                self.push(out, at, Shape::Word, Relation::Relative(0), target, 26);
            }
            at += 4;
        }
    }
}

/// The scale and the part below a page that an instruction adds to its source register.
fn below_page(code: u32) -> Option<(u8, u64)> {
    let scale = if code & 0xffc0_0000 == 0x9100_0000 {
        0
    } else if code & 0x3b00_0000 == 0x3900_0000 {
        match code >> 26 & 1 == 1 && code >> 23 & 1 == 1 {
            true => 4,
            false => (code >> 30) as u8,
        }
    } else {
        return None;
    };
    Some((scale, u64::from(code >> 10 & 0xfff) << scale & 0xfff))
}
