//! Names that a device can compute, where both releases have their derivations.

use std::collections::HashMap;

use upmass_format::ObjectId;
use upmass_format::derivations::{ComputedNames, Derivations, DerivedNames, Run};
use upmass_format::release::Release;
use upmass_format::rename::{Rename, Renames};
use upmass_store::Store;

use crate::object::read_start;
use crate::{BuildError, Result};

/// Whether an update says new names, or the device computes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names {
    /// They are computed where both releases have derivations.
    #[default]
    Auto,
    /// They are computed, or nothing is built.
    Derived,
    /// They are said.
    Sent,
}

/// The derivations of both releases.
pub(crate) struct BothDerivations {
    /// The object of the new ones.
    pub(crate) id: ObjectId,
    pub(crate) old_bytes: Vec<u8>,
    pub(crate) new_bytes: Vec<u8>,
    old: Derivations,
    new: Derivations,
}

/// Which names are computed.
pub(crate) struct Computed {
    pub(crate) runs: DerivedNames,
    /// The names that are said all the same.
    pub(crate) rest: Renames,
    /// How many of the table are computed.
    pub(crate) count: usize,
    /// New names that no old one became, one after the other.
    pub(crate) others: Vec<u8>,
}

impl BothDerivations {
    /// `None` where names are to be sent.
    pub(crate) fn find(
        store: &Store,
        names: Names,
        old: Option<&Release>,
        new: &Release,
    ) -> Result<Option<Self>> {
        let objects = match (names, old) {
            (Names::Sent, _) => return Ok(None),
            (_, None) => [None, None],
            (_, Some(old)) => [store.derivations(old)?, store.derivations(new)?],
        };
        let which = match (objects, old) {
            ([Some(before), Some(id)], _) if before == id => return Ok(None),
            ([Some(before), Some(id)], _) => {
                let [old_bytes, new_bytes] = [before, id].map(|id| read_start(store, id, MAX));
                let (old_bytes, new_bytes) = (old_bytes?, new_bytes?);
                let read = |bytes: &[u8], id| {
                    Derivations::read(bytes)
                        .map_err(|source| BuildError::Derivations { id, source })
                };
                let (old, new) = (read(&old_bytes, before)?, read(&new_bytes, id)?);
                return Ok(Some(Self { id, old_bytes, new_bytes, old, new }));
            }
            (_, None) => "an update from nothing has no old release",
            ([None, _], _) => "the old release has no derivations",
            (_, _) => "the new release has no derivations",
        };
        match names {
            Names::Derived => Err(BuildError::NotDerived { why: which }),
            _ => Ok(None),
        }
    }

    /// Takes out of the table what a device can compute.
    pub(crate) fn compute(&self, renames: &Renames, release: &Release) -> Result<Computed> {
        let new: Vec<String> = self.new.names().collect();
        let places: HashMap<&str, usize> =
            new.iter().enumerate().map(|(at, name)| (&name[..], at)).collect();
        let wanted: HashMap<usize, &Rename> =
            renames.entries().iter().map(|(index, rename)| (*index, rename)).collect();
        let mut runs: Vec<Run> = Vec::new();
        for (at, name) in self.old.names().enumerate() {
            let found =
                release.components.binary_search_by(|component| component.name.cmp(&name)).ok();
            let becomes = match found.map(|index| wanted.get(&index)) {
                Some(Some(rename)) => match rename.of(&name).and_then(|name| places.get(&name[..]))
                {
                    Some(to) => Some(*to),
                    None => continue,
                },
                // A component that keeps its name.
                Some(None) => match places.get(&name[..]) {
                    Some(to) => Some(*to),
                    None => continue,
                },
                // What no device has may become anything.
                None => None,
            };
            if let Some(last) = runs.last_mut()
                && last.old + last.len == at
                && last.new + last.len < new.len()
                && becomes.is_none_or(|to| to == last.new + last.len)
            {
                last.len += 1;
            } else if let Some(to) = becomes {
                runs.push(Run { old: at, new: to, len: 1 });
            }
        }
        let runs = DerivedNames::new(runs);
        let ComputedNames { renames: computed, others } =
            runs.renames(&self.old, &self.new, release)?;
        let is_computed = |entry: &&(usize, Rename)| {
            computed.binary_search_by_key(&entry.0, |(index, _)| *index).is_ok()
        };
        let rest = renames.entries().iter().filter(|entry| !is_computed(entry));
        let rest = Renames::new(rest.cloned().collect());
        debug_assert_eq!(rest.clone().with(computed.clone()).as_ref(), Ok(renames));
        Ok(Computed { runs, rest, count: computed.len(), others })
    }

    /// What a device holds while it computes names, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.old.memory() + self.new.memory()
    }
}

/// What a device reads it has, too.
const MAX: usize = upmass_format::derivations::MAX_LEN as usize;
