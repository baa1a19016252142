//! What a power cut leaves of the writes between two flushes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Epoch, SECTOR_LEN, Sector, Sectors};

/// Up to so many combinations all are tried.
const ALL: usize = 4096;

impl Epoch {
    /// Calls `found` with what may be on the disk when the power fails in this epoch.
    pub(super) fn survivors(&self, random: u64, found: &mut dyn FnMut(Sectors)) {
        let fates: BTreeMap<u64, Vec<Sector>> = self
            .versions()
            .into_iter()
            .map(|(number, versions)| (number, fates(versions)))
            .collect();
        let combinations =
            fates.values().try_fold(1usize, |product, fates| product.checked_mul(fates.len()));
        match combinations.filter(|count| *count <= ALL) {
            Some(count) => self.all(&fates, count, found),
            None => self.some(&fates, random, found),
        }
    }

    /// Each sector that was written, with all that was in it, the oldest first.
    fn versions(&self) -> BTreeMap<u64, Vec<Sector>> {
        let mut versions: BTreeMap<u64, Vec<Sector>> = BTreeMap::new();
        for write in &self.writes {
            for (number, sector) in (write.first..).zip(&write.sectors) {
                let versions = versions.entry(number).or_insert_with(|| vec![self.old(number)]);
                if !versions.contains(sector) {
                    versions.push(sector.clone());
                }
            }
        }
        versions
    }

    fn old(&self, number: u64) -> Sector {
        self.durable.get(&number).cloned().unwrap_or_else(zeros)
    }

    fn all(
        &self,
        fates: &BTreeMap<u64, Vec<Sector>>,
        count: usize,
        found: &mut dyn FnMut(Sectors),
    ) {
        for mut choice in 0..count {
            let mut sectors = self.durable.clone();
            for (number, fates) in fates {
                sectors.insert(*number, fates[choice % fates.len()].clone());
                choice /= fates.len();
            }
            found(sectors);
        }
    }

    fn some(
        &self,
        fates: &BTreeMap<u64, Vec<Sector>>,
        random: u64,
        found: &mut dyn FnMut(Sectors),
    ) {
        let count = self.writes.len();
        let everything: BTreeSet<usize> = (0..count).collect();
        found(self.durable.clone());
        for index in 0..count {
            // A prefix, one alone, all but one; and the last of each comes in halves.
            let prefix: BTreeSet<usize> = (0..=index).collect();
            found(self.with(&prefix, None));
            found(self.with(&prefix, Some((index, Half::First))));
            found(self.with(&prefix, Some((index, Half::Second))));
            found(self.with(&BTreeSet::from([index]), None));
            let but_one: BTreeSet<usize> =
                everything.iter().copied().filter(|other| *other != index).collect();
            found(self.with(&but_one, None));
        }
        // One sector that is damaged, all else done.
        for (number, fates) in fates {
            let mut sectors = self.with(&everything, None);
            for fate in fates {
                sectors.insert(*number, fate.clone());
                found(sectors.clone());
            }
        }
        for seed in 0..random {
            let mut chance = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut sectors = self.durable.clone();
            for (number, fates) in fates {
                chance ^= chance << 13;
                chance ^= chance >> 7;
                chance ^= chance << 17;
                let fate = (chance >> 32) as usize % fates.len();
                sectors.insert(*number, fates[fate].clone());
            }
            found(sectors);
        }
    }

    /// These writes are done, one of them by half.
    fn with(&self, done: &BTreeSet<usize>, half: Option<(usize, Half)>) -> Sectors {
        let mut sectors = self.durable.clone();
        for index in done {
            let write = &self.writes[*index];
            let middle = write.sectors.len() / 2;
            for (position, sector) in write.sectors.iter().enumerate() {
                let is_done = match half {
                    Some((of, Half::First)) if of == *index => position < middle,
                    Some((of, Half::Second)) if of == *index => position >= middle,
                    _ => true,
                };
                if is_done {
                    sectors.insert(write.first + position as u64, sector.clone());
                }
            }
        }
        sectors
    }
}

#[derive(Clone, Copy)]
enum Half {
    First,
    Second,
}

fn zeros() -> Sector {
    Sector::Content(Arc::new([0; SECTOR_LEN as usize]))
}

/// Any version, torn between the oldest and the newest, or unreadable.
fn fates(versions: Vec<Sector>) -> Vec<Sector> {
    let mut fates = versions.clone();
    if let (Some(Sector::Content(old)), Some(Sector::Content(new))) =
        (versions.first(), versions.last())
    {
        // Most of what tells headers apart is in their first 92 bytes: a tear in there matters.
        for at in [24, 48, 256] {
            for (front, back) in [(old, new), (new, old)] {
                let mut torn = **back;
                torn[..at].copy_from_slice(&front[..at]);
                let torn = Sector::Content(Arc::new(torn));
                if !fates.contains(&torn) {
                    fates.push(torn);
                }
            }
        }
    }
    fates.push(Sector::Unreadable);
    fates
}
