//! Coder 2: objects as copies, literals and zeros, all of it predicted by models and written by
//! one range coder (`crates/upmass-format/spec/coder-model.md`).
//!
//! What an object copies is sent first; it says where everything has gone, so that addresses in
//! what is copied can be corrected before they are looked at.

mod content;
mod control;
mod decoder;
#[cfg(feature = "encoder")]
mod encoder;
mod learned;
mod models;

pub use decoder::{Contexts, Decoder, SIZES_LOG2, Sizes};
#[cfg(feature = "encoder")]
pub use encoder::Encoder;

#[cfg(feature = "encoder")]
pub(crate) use content::put;

use crate::machine::{Images, Made, Meaning, Scanned, Scanner};
use crate::map::Map;
use crate::model::range::{Coding, Section};
use crate::patch::{Base, Sink};
use crate::{DeltaError, Result};
use content::Work;
use control::Shifts;
use learned::Learned;
use models::Models;

/// After so much content of an object the next operations are sent.
const WINDOW: u64 = 64 << 20;
/// Copies are predicted in pieces of this length.
const CHUNK: usize = 4096;

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
    /// Makes nothing: says that what follows is like what the base has at this place.
    Recall(u64),
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
            Kind::Recall(_) => 4,
        }
    }
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
    let most_operations = models.operations;
    let images = Images::of(base, len);
    learned.clear();
    let mut work = Work {
        models,
        learned,
        map: Map::default(),
        old: Default::default(),
        layout: Default::default(),
        scanner: Scanner::new(base),
        pages: [0; 32],
        before: [0; 2],
        new: 0,
        made: Made::default(),
    };
    let (mut before, mut behind, mut shifts) = (5, 0u64, Shifts::default());
    let mut recalled = 0u64;
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
        while position < len && window.len() < most_operations && position - work.new < WINDOW {
            let given = match operations.split_first() {
                Some((first, rest)) => {
                    operations = rest;
                    *first
                }
                None => Operation { kind: Kind::Literal, len: 1 },
            };
            let operation = work.models.control.code(
                coding,
                before,
                position,
                [behind, recalled],
                &mut shifts,
                given,
            );
            if coding.failed() {
                return Ok(());
            }
            if let Kind::Recall(from) = operation.kind {
                let end = from.checked_add(operation.len).filter(|end| *end <= base.len());
                recalled = end.filter(|_| operation.len > 0).ok_or(DeltaError::OutsideBase {
                    offset: i128::from(from as i64),
                    len: operation.len,
                    base_len: base.len(),
                })?;
                before = operation.kind.index();
                window.push(operation);
                continue;
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
            if !matches!(operation.kind, Kind::Recall(_)) {
                at += operation.len;
            }
            match operation.kind {
                Kind::Copy(from) => Some((from, new, operation.len)),
                _ => None,
            }
        });
        work.map = Map::new(copies);
        for operation in window {
            if let Kind::Recall(from) = operation.kind {
                let mut at = from;
                while at < from + operation.len {
                    out.resize((from + operation.len - at).min(CHUNK as u64) as usize, 0);
                    base.read_exact_at(&mut out, at).map_err(DeltaError::Base)?;
                    work.models.history.recall(&out);
                    at += out.len() as u64;
                }
                continue;
            }
            let mut done = 0;
            while done < operation.len {
                let mut piece = (operation.len - done).min(CHUNK as u64);
                let mut region = None;
                if let Kind::Copy(from) = operation.kind {
                    let (program, here) = images.region(from + done);
                    piece = piece.min(here.chunk_end(from + done, CHUNK as u64) - (from + done));
                    work.enter(program);
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
                        let range = from + done..from + done + piece;
                        work.chunk(coding, base, &region, range, &mut old, &truth, &mut out)
                            .map_err(DeltaError::Base)?;
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
                    Kind::Recall(_) => unreachable!("makes nothing"),
                }
                if coding.failed() {
                    return Ok(());
                }
                sink.write(&out).map_err(DeltaError::Sink)?;
                match operation.kind {
                    Kind::Zeros => work.made.push_zeros(piece, work.new + piece),
                    _ => work.made.push(&out, work.new + piece),
                }
                work.new += piece;
                done += piece;
            }
        }
    }
    Ok(())
}
