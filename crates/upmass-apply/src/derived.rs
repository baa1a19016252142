//! Names that a device computes: from its derivations, and the new ones that are made from these.

use std::io::{self, BufReader, Read};

use upmass_delta::patch::Sink;
use upmass_disk::ReadAt;
use upmass_format::derivations::{ComputedNames, Derivations, DerivedNames, MAX_LEN};
use upmass_format::release::Release;
use upmass_store::{Scratch, ScratchContent, Store};

use crate::frames::Failure;
use crate::prelude::{Segment, decoded};
use crate::renaming::content;
use crate::{ApplyError, Result};

/// What is at hand when the front of the first segment is read.
#[derive(Clone, Copy)]
pub(crate) struct Before<'a> {
    pub(crate) store: &'a Store,
    /// The old release.
    pub(crate) base: Option<&'a Release>,
    /// Whether names are computed.
    pub(crate) derives_names: bool,
    /// Most bytes that may be written meanwhile.
    pub(crate) space: u64,
}

/// New derivations, and what follows from them.
pub(crate) struct Derived {
    /// The new derivations.
    pub(crate) content: ScratchContent,
    pub(crate) names: ComputedNames,
    /// What the content took: bytes of copy, residue and literal, and the share of each section.
    pub(crate) used: [u64; 3],
    pub(crate) spent: [f64; upmass_delta::Section::ALL.len()],
}

impl Derived {
    /// Makes the new derivations from the old ones, and computes the names of both.
    pub(crate) fn read(segment: &mut Segment<'_>, before: Before<'_>) -> Result<Self> {
        let Before { store, base, space, .. } = before;
        let refuse = |why: &str| ApplyError::Program(format!("it derives names, but {why}"));
        let base = base.ok_or_else(|| refuse("has no base"))?;
        let old = store.derivations(base)?;
        let old = old.ok_or_else(|| refuse("its base has no derivations"))?;
        let limit = MAX_LEN.min(space);
        let len = segment.program.number(limit, "length of the derivations")?;
        let (used, spent) = (segment.patches.consumed(), segment.patches.spent());
        let failure = Failure::default();
        let mut sink = ToScratch { scratch: store.scratch()?, failure: &failure };
        let from = content(store.open_object(old)?);
        decoded(&failure, segment.patches.patch(&from, len, &mut sink))?;
        let content = sink.scratch.finish()?;
        let (used_now, spent_now) = (segment.patches.consumed(), segment.patches.spent());

        let before = Derivations::read(store.object_reader(old)?)?;
        let after = Derivations::read(BufReader::new(Sequential { content: &content, at: 0 }))?;
        let program = &mut segment.program;
        let derived = DerivedNames::read(program, before.outputs(), after.outputs())?;
        let names = derived.renames(&before, &after, base)?;
        Ok(Self {
            content,
            names,
            used: std::array::from_fn(|at| used_now[at] - used[at]),
            spent: std::array::from_fn(|at| spent_now[at] - spent[at]),
        })
    }

    /// Writes the new derivations.
    pub(crate) fn write(&self, sink: &mut dyn Sink) -> io::Result<()> {
        let mut buffer = [0; 1 << 13];
        let mut at = 0;
        while at < self.content.len() {
            let part = &mut buffer[..(self.content.len() - at).min(1 << 13) as usize];
            self.content.read_exact_at(part, at)?;
            sink.write(part)?;
            at += part.len() as u64;
        }
        Ok(())
    }
}

struct ToScratch<'a> {
    scratch: Scratch,
    failure: &'a Failure,
}

impl Sink for ToScratch<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.scratch.write(bytes).map_err(|error| self.failure.keep(error))
    }

    fn write_zeros(&mut self, mut len: u64) -> io::Result<()> {
        while len > 0 {
            let part = &[0; 4096][..len.min(4096) as usize];
            self.write(part)?;
            len -= part.len() as u64;
        }
        Ok(())
    }
}

struct Sequential<'a> {
    content: &'a ScratchContent,
    at: u64,
}

impl Read for Sequential<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
