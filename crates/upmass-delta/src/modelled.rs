//! Coder 2: objects as copies, literals and zeros, all of it predicted by models and written by
//! one range coder (`crates/upmass-format/spec/coder-model.md`).
//!
//! What an object copies is sent first; it says where everything has gone, so that addresses in
//! what is copied can be corrected before they are looked at.

use std::io::{self, Read};

use crate::history::History;
use crate::machine::{Field, Image, KINDS, Meaning, Relation, Scanned, Scanner, Shape};
use crate::map::Map;
use crate::model::bits::{Counter, Numbers};
use crate::model::bytes::{Bytes, CONTEXTS, Expected, Use};
use crate::model::logistic::{STRETCH, squash};
use crate::model::mixer::Mixer;
use crate::model::range::{Coding, RangeDecoder, Section};
use crate::patch::{Base, Sink};
use crate::{DeltaError, Result};
use upmass_format::FormatError;

/// What a decoder takes beside the table of contexts, in bytes: history, other counters, operations.
#[cfg(feature = "encoder")]
const MEMORY_BESIDE_TABLE: u64 = 9 << 20;
/// What a decoder with the usual table takes, in bytes.
#[cfg(feature = "encoder")]
pub const DECODER_MEMORY: u64 = MEMORY_BESIDE_TABLE + (1 << TABLE_LOG2.1);
/// Operations of an object that are sent together.
const MAX_OPERATIONS: usize = 1 << 16;
/// After so much content of an object the next operations are sent.
const WINDOW: u64 = 64 << 20;
/// Copies are predicted in pieces of this length.
const CHUNK: usize = 4096;
/// In chunks that are not exact, blocks of this length may be.
const BLOCK: usize = 64;
/// The start of the new content that is looked at for its segments.
const START: usize = 4096;
/// Entries of the table of learned targets.
const LEARNED_LOG2: u32 = 16;

/// What an operation makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What the base has at this place, corrected.
    Copy(u64),
    /// New content that may be predicted.
    Literal,
    /// New content that nothing predicts, as what is encrypted or compressed.
    Raw,
    /// Zeros.
    Zeros,
}

/// A run of new content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// What it makes.
    pub kind: Kind,
    /// How many bytes, at least 1.
    pub len: u64,
}

impl Kind {
    fn index(self) -> usize {
        match self {
            Kind::Copy(_) => 0,
            Kind::Literal => 1,
            Kind::Raw => 2,
            Kind::Zeros => 3,
        }
    }
}

/// Models of operations.
struct Control {
    /// By the kind before: three bits of the kind.
    kinds: [[Counter; 3]; 5],
    /// By kind and the kind before.
    lengths: Vec<Numbers>,
    is_along: [Counter; 4],
    goes_on: [Counter; 4],
    is_recent: [Counter; 4],
    which: [Counter; 16],
    distance: Numbers,
}

/// Where copies come from, relative to where they go.
#[derive(Default)]
struct Shifts {
    recent: [u64; 8],
}

impl Shifts {
    fn touch(&mut self, shift: u64) {
        let index = self.recent.iter().position(|s| *s == shift).unwrap_or(7);
        self.recent[..=index].rotate_right(1);
        self.recent[0] = shift;
    }
}

impl Control {
    fn new() -> Self {
        Self {
            kinds: [[Counter::NEW; 3]; 5],
            lengths: vec![Numbers::new(); 20],
            is_along: [Counter::NEW; 4],
            goes_on: [Counter::NEW; 4],
            is_recent: [Counter::NEW; 4],
            which: [Counter::NEW; 16],
            distance: Numbers::new(),
        }
    }

    /// Codes one operation that starts at `new`; `behind` is the end of the last copy in the base.
    fn code<C: Coding>(
        &mut self,
        coding: &mut C,
        before: usize,
        new: u64,
        behind: u64,
        shifts: &mut Shifts,
        operation: Operation,
    ) -> Operation {
        let index = operation.kind.index();
        let bits = &mut self.kinds[before];
        let index = if bits[0].code(coding, index == 0) {
            0
        } else if bits[1].code(coding, index == 1) {
            1
        } else {
            2 + usize::from(bits[2].code(coding, index == 3))
        };
        let len = self.lengths[index * 5 + before].code(coding, operation.len);
        let kind = match index {
            0 => {
                let wanted = match operation.kind {
                    Kind::Copy(from) => from,
                    _ => 0,
                };
                let shift = wanted.wrapping_sub(new);
                let context = before.min(3);
                let from = if self.is_along[context].code(coding, shift == shifts.recent[0]) {
                    new.wrapping_add(shifts.recent[0])
                } else if self.goes_on[context].code(coding, wanted == behind) {
                    behind
                } else {
                    let place = shifts.recent[1..].iter().position(|s| *s == shift);
                    if self.is_recent[context].code(coding, place.is_some()) {
                        let place = place.unwrap_or(0);
                        let mut node = 1;
                        for bit in (0..3).rev() {
                            node = node << 1
                                | usize::from(self.which[node].code(coding, place >> bit & 1 == 1));
                        }
                        new.wrapping_add(shifts.recent[1 + (node - 8).min(6)])
                    } else {
                        let distance = self
                            .distance
                            .signed(coding, shift.wrapping_sub(shifts.recent[0]) as i64);
                        new.wrapping_add(shifts.recent[0]).wrapping_add(distance as u64)
                    }
                };
                shifts.touch(from.wrapping_sub(new));
                Kind::Copy(from)
            }
            1 => Kind::Literal,
            2 => Kind::Raw,
            _ => Kind::Zeros,
        };
        Operation { kind, len }
    }
}

/// What is known of each sort of field.
#[derive(Clone, Copy)]
struct Experience {
    /// The last outcomes of each candidate, the last one lowest.
    outcomes: [u8; 4],
    /// By how much the last field that was not as predicted differed from its old value.
    growth: i64,
}

/// Old targets, and where the last field that had each of them pointed.
struct Learned {
    entries: Vec<(u64, u64)>,
    /// Entries that were set, in any order and some of them twice, until it is cheaper to clear all.
    set: Vec<u16>,
}

impl Learned {
    const NOTHING: (u64, u64) = (u64::MAX, 0);
    const MOST_NOTED: usize = 1 << 12;

    fn new() -> Self {
        Self { entries: vec![Self::NOTHING; 1 << LEARNED_LOG2], set: Vec::new() }
    }

    /// Forgets all; of a small object at no more than a small cost.
    fn clear(&mut self) {
        if self.set.len() < Self::MOST_NOTED {
            for slot in &self.set {
                self.entries[usize::from(*slot)] = Self::NOTHING;
            }
        } else {
            self.entries.fill(Self::NOTHING);
        }
        self.set.clear();
    }

    fn slot(target: u64) -> usize {
        (target.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - LEARNED_LOG2)) as usize
    }

    fn get(&self, target: u64) -> Option<u64> {
        let (old, new) = self.entries[Self::slot(target)];
        (old == target).then_some(new)
    }

    fn set(&mut self, old: u64, new: u64) {
        let slot = Self::slot(old);
        self.entries[slot] = (old, new);
        if self.set.len() < Self::MOST_NOTED {
            self.set.push(slot as u16);
        }
    }
}

/// What a field may read now, likeliest first.
struct Candidates {
    values: [i64; 4],
    /// Which sort of guess each is: learned, mapped, as it was, grown like the last.
    sorts: [u8; 4],
    count: usize,
    own: u64,
}

/// The models, for a whole segment.
struct Models {
    control: Control,
    exact: Vec<Counter>,
    flags: [Vec<Counter>; 3],
    flag_mixer: Mixer<4>,
    outcome: u8,
    hits: Vec<Counter>,
    beside: Vec<Counter>,
    growths: Vec<Numbers>,
    experience: Vec<Experience>,
    bytes: Bytes,
    history: History,
}

fn hash(parts: u64, which: u64) -> u32 {
    let mixed =
        (parts ^ which.wrapping_mul(0xd6e8_feb8_6659_fd93)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as u32
}

fn section_of(meaning: Meaning) -> Section {
    match meaning {
        Meaning::X86 | Meaning::A64 | Meaning::Arm => Section::Code,
        Meaning::Plain | Meaning::Data64 | Meaning::Data32 | Meaning::Constants => Section::Data,
        Meaning::Unwind | Meaning::UnwindIndex | Meaning::ArmIndex => Section::Unwind,
        _ => Section::Tables,
    }
}

impl Models {
    fn new(table_log2: u32) -> Self {
        Self {
            control: Control::new(),
            exact: vec![Counter::NEW; 3 * 16 * 256],
            flags: [
                vec![Counter::NEW; 1 << 16],
                vec![Counter::NEW; 1 << 16],
                vec![Counter::NEW; 1 << 16],
            ],
            flag_mixer: Mixer::new(16 * 16, 65536 / 3, 6),
            outcome: 0,
            hits: vec![Counter::NEW; KINDS * 4 * 64],
            beside: vec![Counter::NEW; KINDS],
            growths: vec![Numbers::new(); KINDS],
            experience: vec![Experience { outcomes: [0; 4], growth: 0 }; KINDS],
            bytes: Bytes::new(table_log2),
            history: History::new(),
        }
    }

    /// Codes a byte of new content without base.
    fn literal<C: Coding>(
        &mut self,
        coding: &mut C,
        meaning: Meaning,
        position: u64,
        byte: u8,
    ) -> u8 {
        let recent = self.history.recent();
        let kind = meaning as u64;
        let (a, b) = match meaning {
            Meaning::A64 | Meaning::Arm => {
                let column = position & 3;
                let partial = recent & ((1 << (8 * column)) - 1);
                let word = recent >> (8 * column);
                (
                    column << 60 | partial << 8 | word >> 24 & 0xff,
                    column << 60 | partial << 32 | word & 0xffff_ffff,
                )
            }
            Meaning::Rela64 | Meaning::Symbols64 => {
                let above = u64::from(self.history.back(24));
                (
                    (above << 8) | (position % 24) | 1 << 40,
                    u64::from(self.history.back(8)) << 16 | above << 8 | recent & 0xff | 1 << 41,
                )
            }
            Meaning::X86 => (recent & 0xff_ff00, recent & 0xff00_ffff),
            Meaning::Unwind => {
                (recent & 0xffff_0000, u64::from(self.history.back(4)) << 8 | recent & 0xff)
            }
            _ => {
                let mut word = 0u64;
                for distance in 1..=8 {
                    let byte = self.history.back(distance).to_ascii_lowercase();
                    if !byte.is_ascii_alphanumeric() && byte < 0x80 {
                        break;
                    }
                    word = (word + u64::from(byte) + 1).wrapping_mul(0x2f0b_4c47);
                }
                (word, recent & 0xff_ff00)
            }
        };
        let hashes: [u32; CONTEXTS] = [
            hash(kind, 0),
            hash(recent & 0xff, 1),
            hash(recent & 0xffff, 2),
            hash(recent & 0xff_ffff, 3),
            hash(recent & 0xffff_ffff, 4),
            hash(recent & 0xffff_ffff_ffff, 5),
            hash(a ^ kind << 56, 6),
            hash(b ^ kind << 56, 7),
        ];
        let mut expected = [Expected::default(); 2];
        if let Some((byte, length)) = self.history.expected() {
            let trust = match length {
                0..=15 => length / 2,
                16..=31 => 8 + (length - 16) / 4,
                32..=63 => 12,
                64..=255 => 13,
                256..=1023 => 14,
                _ => 15,
            };
            expected[0] = Expected { byte, trust: trust.max(1) as u8 };
        }
        let byte =
            self.bytes.code(coding, Use::Literal, &hashes, expected, (recent & 0xff) as u8, byte);
        self.history.push(byte);
        byte
    }

    /// Codes a byte of a copy where `predicted` is expected.
    fn corrected<C: Coding>(
        &mut self,
        coding: &mut C,
        meaning: Meaning,
        class: u8,
        predicted: u8,
        following: u8,
        byte: u8,
    ) -> u8 {
        let stretch = &*STRETCH;
        let kind = meaning as usize;
        let last = self.history.back(1);
        let places = [
            (kind << 12 | usize::from(class) << 8 | usize::from(self.outcome)) & 0xffff,
            (usize::from(predicted) << 8 | usize::from(last)) & 0xffff,
            (usize::from(self.outcome & 7) << 12
                | usize::from(class) << 8
                | usize::from(predicted))
                & 0xffff,
        ];
        let mut inputs = [0, 0, 0, 256];
        for (input, (counters, place)) in inputs.iter_mut().zip(self.flags.iter().zip(places)) {
            *input = stretch.of(counters[place].probability());
        }
        let set = kind << 4 | usize::from(class);
        let logit = self.flag_mixer.mix(set, &inputs);
        let one = squash(logit).clamp(32, 65504);
        let is_same = coding.bit(one, byte == predicted);
        self.flag_mixer.update(set, &inputs, logit, is_same);
        for (counters, place) in self.flags.iter_mut().zip(places) {
            counters[place].update(is_same);
        }
        self.outcome = self.outcome << 1 | u8::from(!is_same);
        if is_same {
            self.history.push(predicted);
            return predicted;
        }
        let recent = self.history.recent();
        let expected = u64::from(predicted);
        let kind = (kind as u64) << 8 | u64::from(class);
        let hashes: [u32; CONTEXTS] = [
            hash(kind, 10),
            hash(kind << 8 | expected, 11),
            hash(expected << 8 | recent & 0xff, 12),
            hash(kind << 16 | recent & 0xffff, 13),
            hash(recent & 0xff_ffff, 14),
            hash(recent & 0xffff_ffff, 15),
            hash(u64::from(following) << 16 | expected << 8 | u64::from(self.outcome & 15), 16),
            hash(kind << 32 | expected << 16 | recent & 0xffff, 17),
        ];
        let mut guesses = [Expected::default(); 2];
        if let Some((byte, length)) = self.history.expected()
            && byte != predicted
        {
            guesses[0] = Expected { byte, trust: (length / 2).clamp(1, 15) as u8 };
        }
        let byte = self.bytes.code(coding, Use::Correction, &hashes, guesses, class, byte);
        self.history.push(byte);
        byte
    }

    /// Codes whether something is exactly as predicted.
    fn exact<C: Coding>(
        &mut self,
        coding: &mut C,
        level: usize,
        meaning: Meaning,
        before: u8,
        is_exact: bool,
    ) -> bool {
        let index = (level << 4 | meaning as usize) << 8 | usize::from(before);
        self.exact[index].code(coding, is_exact)
    }
}

/// One object on its way.
struct Work<'a> {
    models: &'a mut Models,
    learned: &'a mut Learned,
    map: Map,
    scanner: Scanner<'a>,
    /// Pages that `adrp` has put into registers of the new code.
    pages: [u64; 32],
    before: [u8; 2],
    /// Offset in the new content.
    new: u64,
    start: Vec<u8>,
}

impl Work<'_> {
    fn candidates(&self, field: &Field, old: &[u8], chunk: u64) -> Candidates {
        let at = field.at as usize;
        let raw = raw(&old[at..], field.shape);
        let was = field.shape.get(raw);
        let offset = chunk + u64::from(field.at);
        let (own, from) = match field.relation {
            Relation::From(base) => (0, self.target(base)),
            Relation::Offset(base) => (0, self.map.offset(base)),
            Relation::Back => (offset, 0),
            _ => (self.map.new.address(offset), 0),
        };
        let mapped = match field.relation {
            Relation::Offset(_) | Relation::Back => self.map.offset(field.target),
            _ => self.map.address(field.target),
        };
        let mut found = Candidates { values: [0; 4], sorts: [0; 4], count: 0, own };
        let mut add = |value: i64, sort: u8| {
            if !found.values[..found.count].contains(&value) {
                found.values[found.count] = value;
                found.sorts[found.count] = sort;
                found.count += 1;
            }
        };
        if (field.is_address() || matches!(field.relation, Relation::From(_)))
            && let Some(target) = self.learned.get(field.target)
        {
            add(field.value(target, own, from), 0);
        }
        add(field.value(mapped, own, from), 1);
        add(was, 2);
        let growth = self.models.experience[usize::from(field.kind)].growth;
        add(field.shape.signed(was.wrapping_add(growth)), 3);
        found
    }

    fn target(&self, old: u64) -> u64 {
        self.learned.get(old).unwrap_or_else(|| self.map.address(old))
    }

    /// Codes `old.bytes`, which go to `self.new`.
    fn chunk<C: Coding>(
        &mut self,
        coding: &mut C,
        meaning: Meaning,
        old: &Scanned,
        actual: &[u8],
        out: &mut Vec<u8>,
    ) {
        coding.section(section_of(meaning));
        let len = old.bytes.len();
        let mut predicted = old.bytes.clone();
        if !self.map.is_still() {
            for field in &old.fields {
                let found = self.candidates(field, &old.bytes, self.new);
                put(&mut predicted[field.at as usize..], field.shape, found.values[0]);
            }
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
            return;
        }
        let fields: &[Field] = if self.map.is_still() { &[] } else { &old.fields };
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
                    let value = shape.signed(best.wrapping_add(growth));
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
        self.learn(field, shape.get(result), result, found.own);
    }

    /// Remembers what a field turned out to be.
    fn learn(&mut self, field: &Field, value: i64, raw: u64, own: u64) {
        if !field.is_address() {
            return;
        }
        if field.relation == Relation::Page {
            self.pages[raw as usize & 31] = field.target_of(value, own, 0);
            return;
        }
        let page = match field.relation {
            Relation::BelowPage => self.pages[(raw >> 5) as usize & 31],
            _ => 0,
        };
        let target = field.target_of(value, own, page);
        self.learned.set(field.target, target);
    }
}

fn raw(bytes: &[u8], shape: Shape) -> u64 {
    bytes[..shape.width()].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

pub(crate) fn put(bytes: &mut [u8], shape: Shape, value: i64) {
    let raw = shape.put(raw(bytes, shape), value);
    bytes[..shape.width()].copy_from_slice(&raw.to_le_bytes()[..shape.width()]);
}

/// Codes one object: the same for encoding, with `operations` and `actual`, and decoding.
#[allow(clippy::too_many_arguments, reason = "the same for both directions")]
fn object<C: Coding>(
    models: &mut Models,
    learned: &mut Learned,
    coding: &mut C,
    base: &dyn Base,
    len: u64,
    mut operations: &[Operation],
    actual: Option<&dyn Base>,
    sink: &mut dyn Sink,
) -> Result<()> {
    let image = Image::of(base);
    learned.clear();
    let mut work = Work {
        models,
        learned,
        map: Map::default(),
        scanner: Scanner::new(&image, base),
        pages: [0; 32],
        before: [0; 2],
        new: 0,
        start: Vec::new(),
    };
    let mut new_segments = None;
    let (mut before, mut behind, mut shifts) = (4, 0u64, Shifts::default());
    let mut old = Scanned::default();
    let mut out = Vec::with_capacity(CHUNK);
    let mut truth = Vec::new();
    let mut meaning = Meaning::Plain;
    while work.new < len {
        coding.section(Section::Control);
        // Its memory is needed for the next.
        work.map = Map::default();
        let mut window: Vec<Operation> = Vec::new();
        let mut position = work.new;
        while position < len && window.len() < MAX_OPERATIONS && position - work.new < WINDOW {
            let given = match operations.split_first() {
                Some((first, rest)) => {
                    operations = rest;
                    *first
                }
                None => Operation { kind: Kind::Literal, len: 1 },
            };
            let operation =
                work.models.control.code(coding, before, position, behind, &mut shifts, given);
            if coding.failed() {
                return Ok(());
            }
            let left = len - position;
            if operation.len == 0 || operation.len > left {
                return Err(DeltaError::OutsideObject { len: operation.len, left });
            }
            if let Kind::Copy(from) = operation.kind {
                let end = from.checked_add(operation.len).filter(|end| *end <= base.len());
                behind = end.ok_or(DeltaError::OutsideBase {
                    offset: i128::from(from as i64),
                    len: operation.len,
                    base_len: base.len(),
                })?;
            }
            before = operation.kind.index();
            position += operation.len;
            window.push(operation);
        }
        let mut at = work.new;
        let copies = window.iter().filter_map(|operation| {
            let new = at;
            at += operation.len;
            match operation.kind {
                Kind::Copy(from) => Some((from, new, operation.len)),
                _ => None,
            }
        });
        let segments = new_segments.clone().unwrap_or_else(|| image.segments.clone());
        work.map = Map::new(copies, image.segments.clone(), segments);
        for operation in window {
            let mut done = 0;
            while done < operation.len {
                let mut piece = (operation.len - done).min(CHUNK as u64);
                let mut region = None;
                if let Kind::Copy(from) = operation.kind {
                    let here = work.scanner.image.region(from + done);
                    // Pieces end where regions and pages of the base do.
                    piece = piece
                        .min(here.end - (from + done))
                        .min(CHUNK as u64 - (from + done) % CHUNK as u64);
                    region = Some(here);
                }
                truth.clear();
                if let Some(actual) = actual {
                    truth.resize(piece as usize, 0);
                    actual.read_exact_at(&mut truth, work.new).map_err(DeltaError::Base)?;
                }
                out.clear();
                match operation.kind {
                    Kind::Copy(from) => {
                        let region = region.expect("of a copy");
                        meaning = region.meaning;
                        let scanned =
                            work.scanner.scan(&region, from + done, piece as usize, &mut old);
                        scanned.map_err(DeltaError::Base)?;
                        work.chunk(coding, meaning, &old, &truth, &mut out);
                    }
                    Kind::Literal => {
                        coding.section(Section::Literal);
                        for index in 0..piece as usize {
                            let byte = truth.get(index).copied().unwrap_or(0);
                            out.push(work.models.literal(
                                coding,
                                meaning,
                                work.new + index as u64,
                                byte,
                            ));
                        }
                    }
                    Kind::Raw => {
                        coding.section(Section::Literal);
                        for index in 0..piece as usize {
                            let byte = truth.get(index).copied().unwrap_or(0);
                            out.push(coding.direct(8, u32::from(byte)) as u8);
                        }
                        work.models.history.extend(&out);
                    }
                    Kind::Zeros => {
                        let zeros = operation.len;
                        sink.write_zeros(zeros).map_err(DeltaError::Sink)?;
                        piece = zeros;
                    }
                }
                if coding.failed() {
                    return Ok(());
                }
                sink.write(&out).map_err(DeltaError::Sink)?;
                if work.start.len() < START && new_segments.is_none() {
                    let room = (START - work.start.len()).min(out.len());
                    work.start.extend_from_slice(&out[..room]);
                    if work.start.len() == START {
                        new_segments = crate::machine::elf::segments_of(&work.start);
                        if let Some(segments) = &new_segments {
                            work.map.new = segments.clone();
                        }
                    }
                }
                work.new += piece;
                done += piece;
            }
        }
    }
    Ok(())
}

/// Executes patches of coder 2, one object after the other.
pub struct Decoder<R> {
    state: State<R>,
}

/// Size of the table of contexts in bytes, as a power of two: the least, the usual, the most.
pub const TABLE_LOG2: (u8, u8, u8) = (16, 23, 24);

impl<R: Read> Decoder<R> {
    /// Takes the coded stream, of which nothing is read yet.
    pub fn new(input: R) -> Self {
        Self { state: State::Waiting(Some(input)) }
    }

    /// How many bytes of the stream were used up so far.
    pub fn consumed(&self) -> u64 {
        match &self.state {
            State::Waiting(_) => 0,
            State::Open(open) => 1 + open.coding.consumed(),
        }
    }

    /// Makes an object of `len` bytes from `base`.
    ///
    /// Memory: the tables, 24 bytes for each operation up to 65536 and as much again for the map,
    /// and what a region of unwind information takes, 8 bytes for each 4 KiB.
    pub fn patch(&mut self, base: &dyn Base, len: u64, sink: &mut dyn Sink) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        let stream_error = |error: io::Error| match error.downcast::<FormatError>() {
            Ok(error) => DeltaError::Format(error),
            Err(error) => DeltaError::Stream { stream: "copy", message: error.to_string() },
        };
        if let State::Waiting(input) = &mut self.state {
            let mut input = input.take().ok_or_else(|| DeltaError::Stream {
                stream: "copy",
                message: "it could not be opened".into(),
            })?;
            let mut log2 = [0];
            input.read_exact(&mut log2).map_err(stream_error)?;
            let log2 = log2[0];
            if !(TABLE_LOG2.0..=TABLE_LOG2.2).contains(&log2) {
                return Err(FormatError::Invalid {
                    what: "size of the table of contexts",
                    offset: 0,
                    expected: "a power of two from 16 to 24",
                    found: log2.to_string(),
                }
                .into());
            }
            let models = Models::new(log2.into());
            let coding = RangeDecoder::new(input);
            self.state = State::Open(Box::new(Open { models, learned: Learned::new(), coding }));
        }
        let State::Open(open) = &mut self.state else { unreachable!("opened above") };
        let Open { models, learned, coding } = &mut **open;
        let made = object(models, learned, coding, base, len, &[], None, sink);
        coding.check().map_err(stream_error)?;
        made
    }
}

enum State<R> {
    /// Until the first object is asked for. `None` after a stream that could not be opened.
    Waiting(Option<R>),
    Open(Box<Open<R>>),
}

struct Open<R> {
    models: Models,
    learned: Learned,
    coding: RangeDecoder<R>,
}

#[cfg(feature = "encoder")]
pub use encode::Encoder;

#[cfg(feature = "encoder")]
mod encode {
    use super::*;
    use crate::model::range::RangeEncoder;

    /// Takes what an encoder makes sure of.
    struct Nowhere;

    impl Sink for Nowhere {
        fn write(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }

        fn write_zeros(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }
    }

    /// Writes patches of coder 2.
    pub struct Encoder {
        models: Models,
        learned: Learned,
        coding: RangeEncoder,
        log2: u8,
        is_empty: bool,
    }

    impl Default for Encoder {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Encoder {
        /// Starts a stream.
        pub fn new() -> Self {
            Self::with_table(TABLE_LOG2.1)
        }

        /// Starts a stream whose decoder has a table of contexts of `2^log2` bytes.
        ///
        /// # Panics
        /// When that is outside [`TABLE_LOG2`].
        pub fn with_table(log2: u8) -> Self {
            assert!((TABLE_LOG2.0..=TABLE_LOG2.2).contains(&log2));
            let models = Models::new(log2.into());
            Self {
                models,
                learned: Learned::new(),
                coding: RangeEncoder::new(),
                log2,
                is_empty: true,
            }
        }

        /// Memory of the decoder, in bytes.
        pub fn decoder_memory(&self) -> u64 {
            MEMORY_BESIDE_TABLE + (1 << self.log2)
        }

        /// Appends an object. The operations make all of `new`, in its order.
        pub fn object(
            &mut self,
            base: &dyn Base,
            new: &dyn Base,
            operations: &[Operation],
        ) -> Result<()> {
            let Self { models, learned, coding, is_empty, .. } = self;
            *is_empty &= new.is_empty();
            object(models, learned, coding, base, new.len(), operations, Some(new), &mut Nowhere)
        }

        /// Bytes of the stream that a decoder needs for all objects so far.
        pub fn needed(&self) -> u64 {
            1 + self.coding.needed()
        }

        /// Bytes spent so far, by section.
        pub fn spent(&self) -> Vec<(Section, f64)> {
            let spent = self.coding.spent();
            Section::ALL.iter().zip(spent).map(|(section, bits)| (*section, bits / 8.0)).collect()
        }

        /// The stream; empty when all objects are.
        pub fn finish(self) -> Vec<u8> {
            if self.is_empty {
                return Vec::new();
            }
            let mut stream = vec![self.log2];
            stream.extend(self.coding.finish());
            stream
        }
    }
}
