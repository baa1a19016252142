//! Which outputs of old derivations became which outputs of new ones (`spec/rename.md`).

use std::io::Read;

use super::Derivations;
use crate::release::Release;
use crate::rename::Rename;
use crate::wire::{Reader, put_varint, unzigzag, zigzag};
use crate::{FormatError, Result};

/// Outputs that follow each other and became as many that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first old output.
    pub old: usize,
    /// What it became.
    pub new: usize,
    /// How many.
    pub len: usize,
}

/// New names that were computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputedNames {
    /// Those of components of the old release, ascending.
    pub renames: Vec<(usize, Rename)>,
    /// The names of all new outputs that no component has or gets, one after the other.
    pub others: Vec<u8>,
}

/// Runs, ascending by old outputs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DerivedNames(Vec<Run>);

impl DerivedNames {
    /// Takes runs, ascending by old outputs, none of which is in two.
    pub fn new(runs: Vec<Run>) -> Self {
        Self(runs)
    }

    /// Appends the encoding.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0.len() as u64);
        let (mut old, mut new) = (0, 0);
        for run in &self.0 {
            put_varint(out, (run.old - old) as u64);
            put_varint(out, zigzag(run.new as i64 - new as i64));
            put_varint(out, run.len as u64);
            (old, new) = (run.old + run.len, run.new + run.len);
        }
    }

    /// Reads runs for so many old and new outputs.
    pub fn read<R: Read>(input: &mut Reader<R>, old: usize, new: usize) -> Result<Self> {
        let mut runs = Vec::new();
        let (mut next_old, mut next_new) = (0u64, 0u64);
        for _ in 0..input.number(old as u64, "number of runs of outputs")? {
            let offset = input.offset();
            let first = next_old.saturating_add(input.varint("old output")?);
            let to = next_new.checked_add_signed(unzigzag(input.varint("new output")?));
            let len = input.varint("outputs in a run")?;
            let fits = |from: u64, all: usize| {
                from.checked_add(len).is_some_and(|end| len > 0 && end <= all as u64)
            };
            let Some(to) = to.filter(|to| fits(first, old) && fits(*to, new)) else {
                return Err(FormatError::Invalid {
                    what: "run of outputs",
                    offset,
                    expected: "one output or more, old and new ones that are there",
                    found: format!("{len} from {first} of {old}"),
                });
            };
            (next_old, next_new) = (first + len, to + len);
            runs.push(Run { old: first as usize, new: to as usize, len: len as usize });
        }
        Ok(Self(runs))
    }

    /// What the runs say of the components of the old release.
    pub fn renames(
        &self,
        old: &Derivations,
        new: &Derivations,
        release: &Release,
    ) -> Result<ComputedNames> {
        let component = |name: &String| {
            release.components.binary_search_by(|component| component.name.cmp(name)).ok()
        };
        let new: Vec<String> = new.names().collect();
        let mut is_other: Vec<bool> = new.iter().map(|name| component(name).is_none()).collect();
        let mut becomes = vec![None; old.outputs()];
        for run in &self.0 {
            (0..run.len).for_each(|at| becomes[run.old + at] = Some(run.new + at));
        }
        let mut renames = Vec::new();
        for (name, to) in old.names().zip(becomes) {
            let Some(to) = to.filter(|to| new[*to] != name) else {
                continue;
            };
            let Some(index) = component(&name) else {
                continue;
            };
            is_other[to] = false;
            let rename = Rename::between(&name, &new[to]).expect("both have a hash");
            renames.push((index, rename));
        }
        renames.sort_by_key(|(index, _)| *index);
        if let Some([twice, _]) = renames.array_windows().find(|[a, b]| a.0 == b.0) {
            return Err(FormatError::Invalid {
                what: "run of outputs",
                offset: 0,
                expected: "each component once",
                found: format!("{} twice", release.components[twice.0].name),
            });
        }
        let others = new.iter().zip(is_other).filter(|(_, is_other)| *is_other);
        let others = others.flat_map(|(name, _)| name.bytes()).collect();
        Ok(ComputedNames { renames, others })
    }
}
