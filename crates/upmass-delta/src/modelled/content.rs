//! What is copied: predicted by what the base has, its fields corrected.

use super::learned::Learned;
use super::models::Models;
use std::rc::Rc;

use crate::machine::field::key_of_address;
use crate::machine::{
    Field, Layout, Made, Meaning, Place, Program, Region, Relation, Scanned, Scanner, Shape,
};
use crate::map::Map;
use crate::model::range::{Coding, Section};
use crate::patch::Base;

/// In chunks that are not exact, blocks of this length may be.
const BLOCK: usize = 64;

/// What a field may read now, likeliest first.
struct Candidates {
    values: [i64; 4],
    /// Which sort of guess each is: learned, mapped, as it was, grown like the last.
    sorts: [u8; 4],
    count: usize,
    own: u64,
    from: u64,
}
/// Whether regions of this meaning never have fields with tokens.
fn has_no_tokens(meaning: Meaning) -> bool {
    use Meaning::*;
    matches!(meaning, X86 | A64 | Arm | Unwind | UnwindIndex | ArmIndex | Rela64)
}
fn section_of(meaning: Meaning) -> Section {
    match meaning {
        Meaning::X86 | Meaning::A64 | Meaning::Arm => Section::Code,
        Meaning::Plain | Meaning::Data64 | Meaning::Data32 | Meaning::Constants => Section::Data,
        Meaning::Unwind | Meaning::UnwindIndex | Meaning::ArmIndex => Section::Unwind,
        _ => Section::Tables,
    }
}
/// One object on its way.
pub(super) struct Work<'a> {
    pub(super) models: &'a mut Models,
    pub(super) learned: &'a mut Learned,
    pub(super) map: Map,
    /// The program that is copied from, and where it is now.
    pub(super) old: Rc<Program>,
    pub(super) layout: Rc<Layout>,
    pub(super) scanner: Scanner<'a>,
    /// Pages that `adrp` has put into registers of the new code.
    pub(super) pages: [u64; 32],
    pub(super) before: [u8; 2],
    /// Offset in the new content.
    pub(super) new: u64,
    pub(super) made: Made,
}

impl Work<'_> {
    /// What a field may read now, at `self.new` or so much behind it.
    fn candidates(&self, field: &Field, old: &[u8], chunk: u64) -> Candidates {
        let at = field.at as usize;
        let raw = raw(&old[at..], field.shape);
        let was = field.shape.get(raw);
        let (own, from) = self.places(field, chunk);
        let mapped = self.mapped(field);
        let mut found = Candidates { values: [0; 4], sorts: [0; 4], count: 0, own, from };
        let mut add = |value: i64, sort: u8| {
            if !found.values[..found.count].contains(&value) {
                found.values[found.count] = value;
                found.sorts[found.count] = sort;
                found.count += 1;
            }
        };
        let key = field.key(self.old.layout.start);
        if let Some(target) = key.and_then(|key| self.learned.get(key)) {
            add(field.value(target, own, from), 0);
        }
        add(field.value(mapped, own, from), 1);
        add(was, 2);
        let growth = self.models.experience[usize::from(field.kind)].growth;
        add(field.shape.cut(was.wrapping_add(growth)), 3);
        found
    }

    /// The first of the candidates.
    fn likeliest(&self, field: &Field, chunk: u64) -> i64 {
        let (own, from) = self.places(field, chunk);
        let learned = field.key(self.old.layout.start).and_then(|key| self.learned.get(key));
        field.value(learned.unwrap_or_else(|| self.mapped(field)), own, from)
    }

    /// Where a field is, and what it counts from.
    fn places(&self, field: &Field, chunk: u64) -> (u64, u64) {
        let offset = chunk + u64::from(field.at);
        let from = match field.relation {
            Relation::From(base) => self.target(base),
            Relation::Offset(base) | Relation::Addend(base, _) | Relation::Entry(base) => {
                self.map.offset(base)
            }
            _ => 0,
        };
        let own = match field.relation {
            Relation::Back => offset,
            _ if field.is_address() => self.layout.address(offset),
            _ => 0,
        };
        (own, from)
    }

    /// Where what a field means is by the map.
    fn mapped(&self, field: &Field) -> u64 {
        match field.relation {
            Relation::Token(token) => self.learned.near(token, field.target),
            _ if field.is_address() => self.address(field.target),
            _ => self.map.offset(field.target),
        }
    }

    /// Where an old address is now, as far as is known.
    fn target(&self, old: u64) -> u64 {
        let key = key_of_address(old, self.old.layout.start);
        self.learned.get(key).unwrap_or_else(|| self.address(old))
    }

    /// Where an old address is now, by the map.
    fn address(&self, old: u64) -> u64 {
        match self.old.layout.place(old) {
            Place::File(offset) => self.layout.address(self.map.offset(offset)),
            Place::Behind(segment, distance) => match self.layout.end(segment) {
                Some(end) => end.wrapping_add(distance),
                None => old,
            },
            Place::Nowhere => old,
        }
    }

    /// Takes what is copied next from this program.
    pub(super) fn enter(&mut self, program: Rc<Program>) {
        let start = self.map.offset(program.layout.start);
        // A program that should begin where nothing is known yet is laid out as it was, until its
        // header is there.
        self.layout = match self.made.last() {
            Some(layout) if start < self.made.searched() => layout.clone(),
            _ if start == program.layout.start => program.layout.clone(),
            _ if !Rc::ptr_eq(&program, &self.old) || self.layout.start != start => {
                Rc::new(Layout { start, segments: program.layout.segments.clone() })
            }
            _ => self.layout.clone(),
        };
        self.old = program;
    }

    /// Finds the fields of what is copied next.
    fn scan(
        &mut self,
        region: &Region,
        start: u64,
        len: usize,
        out: &mut Scanned,
    ) -> std::io::Result<()> {
        self.scanner.scan(&self.old, region, start, len, out)
    }

    /// Whether all addresses are as they were.
    fn is_still(&self) -> bool {
        self.map.is_still() && self.layout == self.old.layout
    }

    /// Codes bytes of `base`, which go to `self.new`. `old` is for its own use.
    ///
    /// # Errors
    /// When the base cannot be read.
    #[allow(clippy::too_many_arguments, reason = "they change together")]
    pub(super) fn chunk<C: Coding>(
        &mut self,
        coding: &mut C,
        base: &dyn Base,
        region: &Region,
        range: std::ops::Range<u64>,
        old: &mut Scanned,
        actual: &[u8],
        out: &mut Vec<u8>,
    ) -> std::io::Result<()> {
        let meaning = region.meaning;
        coding.section(section_of(meaning));
        let len = (range.end - range.start) as usize;
        let is_still = self.is_still();
        // Where nothing has moved and nothing else can be meant, fields are not looked for; classes only
        // where something is not exact.
        let is_read_only = is_still && has_no_tokens(meaning);
        if is_read_only {
            old.bytes.resize(len, 0);
            base.read_exact_at(&mut old.bytes, range.start)?;
        } else {
            self.scan(region, range.start, len, old)?;
            if is_still {
                // Tokens may still stand for something else.
                old.fields.retain(|f| matches!(f.relation, Relation::Token(_)));
            }
        }
        let mut predicted = old.bytes.clone();
        let fields: &[Field] = if is_read_only { &[] } else { &old.fields };
        for field in fields {
            let likeliest = self.likeliest(field, self.new);
            put(&mut predicted[field.at as usize..], field.shape, likeliest);
        }
        let is_exact = self.models.exact(
            coding,
            0,
            meaning,
            self.before[0],
            C::ENCODES && predicted == actual,
        );
        self.before[0] = self.before[0] << 1 | u8::from(!is_exact);
        if is_exact {
            self.models.history.extend(&predicted);
            out.extend_from_slice(&predicted);
            return Ok(());
        }
        if is_read_only {
            self.scan(region, range.start, len, old)?;
            old.fields.clear();
        }
        let fields = &old.fields;
        let mut next = 0;
        let mut at = 0;
        while at < len {
            // A field that starts in the block belongs to it as a whole.
            let mut end = (at / BLOCK * BLOCK + BLOCK).min(len);
            let count = fields[next..].iter().take_while(|f| (f.at as usize) < end).count();
            let inside = &fields[next..next + count];
            if let Some(last) = inside.last() {
                end = end.max(last.at as usize + last.shape.width());
            }
            let wanted = C::ENCODES && predicted[at..end] == actual[at..end];
            let is_exact = self.models.exact(coding, 1, meaning, self.before[1], wanted);
            self.before[1] = self.before[1] << 1 | u8::from(!is_exact);
            if is_exact {
                self.models.history.extend(&predicted[at..end]);
                out.extend_from_slice(&predicted[at..end]);
            } else {
                self.block(coding, meaning, old, inside, at..end, &predicted, actual, out);
            }
            next += count;
            at = end;
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "they change together")]
    fn block<C: Coding>(
        &mut self,
        coding: &mut C,
        meaning: Meaning,
        old: &Scanned,
        fields: &[Field],
        range: std::ops::Range<usize>,
        predicted: &[u8],
        actual: &[u8],
        out: &mut Vec<u8>,
    ) {
        let mut fields = fields.iter().peekable();
        let mut at = range.start;
        while at < range.end {
            if let Some(field) = fields.next_if(|f| f.at as usize == at) {
                let actual =
                    if C::ENCODES { &actual[at..at + field.shape.width()] } else { &[][..] };
                self.field(coding, meaning, field, old, actual, out);
                at += field.shape.width();
                continue;
            }
            let byte = if C::ENCODES { actual[at] } else { 0 };
            let following = predicted.get(at + 1).copied().unwrap_or(0);
            out.push(self.models.corrected(
                coding,
                meaning,
                old.classes[at],
                predicted[at],
                following,
                byte,
            ));
            at += 1;
        }
    }

    fn field<C: Coding>(
        &mut self,
        coding: &mut C,
        meaning: Meaning,
        field: &Field,
        old: &Scanned,
        actual: &[u8],
        out: &mut Vec<u8>,
    ) {
        let at = field.at as usize;
        let kind = usize::from(field.kind);
        let shape = field.shape;
        let width = shape.width();
        let found = self.candidates(field, &old.bytes, self.new);
        let was = raw(&old.bytes[at..], shape);
        let now = if C::ENCODES { raw(actual, shape) } else { 0 };
        let models = &mut *self.models;
        let mut value = None;
        for index in 0..found.count {
            let sort = usize::from(found.sorts[index]);
            let outcomes = models.experience[kind].outcomes[sort];
            let context = (kind * 4 + sort) * 64 + usize::from(outcomes & 15) * 4 + index;
            let guess = shape.put(was, found.values[index]);
            let is_hit = models.hits[context].code(coding, C::ENCODES && guess == now);
            models.experience[kind].outcomes[sort] = outcomes << 1 | u8::from(!is_hit);
            if is_hit {
                value = Some(found.values[index]);
                break;
            }
        }
        let result;
        match value {
            Some(value) => result = shape.put(was, value),
            None => {
                let is_beside_same = shape.mask() == u64::MAX
                    || shape == Shape::Word
                    || models.beside[kind]
                        .code(coding, C::ENCODES && (now ^ was) & !shape.mask() & 0xffff_ffff == 0);
                if is_beside_same {
                    let best = found.values[0];
                    let growth = shape.signed(shape.get(now).wrapping_sub(best));
                    let growth = models.growths[kind].signed(coding, growth);
                    let value = shape.cut(best.wrapping_add(growth));
                    result = shape.put(was, value);
                    models.experience[kind].growth = value.wrapping_sub(shape.get(was));
                } else {
                    let guess = shape.put(was, found.values[0]).to_le_bytes();
                    let mut bytes = [0; 8];
                    for index in 0..width {
                        let byte = if C::ENCODES { actual[index] } else { 0 };
                        let following = guess[(index + 1) & 7];
                        let class = old.classes[at + index];
                        bytes[index] =
                            models.corrected(coding, meaning, class, guess[index], following, byte);
                    }
                    out.extend_from_slice(&bytes[..width]);
                    return;
                }
            }
        }
        let bytes = result.to_le_bytes();
        self.models.history.extend(&bytes[..width]);
        out.extend_from_slice(&bytes[..width]);
        self.learn(field, shape.get(result), result, &found);
    }

    /// Remembers what a field turned out to be.
    fn learn(&mut self, field: &Field, value: i64, raw: u64, found: &Candidates) {
        let page = match field.relation {
            Relation::Page => {
                self.pages[raw as usize & 31] = field.target_of(value, found.own, 0, 0);
                return;
            }
            // How far something reaches says nothing of what begins there.
            Relation::From(_) => return,
            Relation::BelowPage => self.pages[(raw >> 5) as usize & 31],
            _ => 0,
        };
        if let Some(key) = field.key(self.old.layout.start) {
            let target = field.target_of(value, found.own, found.from, page);
            self.learned.set(key, target);
            if let Relation::Token(token) = field.relation {
                self.learned.moved(token, field.target, target);
            }
        }
    }
}
fn raw(bytes: &[u8], shape: Shape) -> u64 {
    bytes[..shape.width()].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

pub(crate) fn put(bytes: &mut [u8], shape: Shape, value: i64) {
    let raw = shape.put(raw(bytes, shape), value);
    bytes[..shape.width()].copy_from_slice(&raw.to_le_bytes()[..shape.width()]);
}
