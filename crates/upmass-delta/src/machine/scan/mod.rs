//! Finds the fields in a chunk of old content.

mod code;
mod tables;
mod unwind;

use std::io;

use crate::machine::field::{Field, NAME, Relation, Shape, TYPE_NAME, Token};
use crate::machine::regions::Format;
use crate::machine::types::{self, Record, Role};
use crate::machine::{Layout, Program, Region, x86};
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
}
