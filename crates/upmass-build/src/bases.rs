//! Which old object a new one is made from.

use std::cmp::Reverse;
use std::sync::OnceLock;

use rayon::prelude::*;
use upmass_delta::find::similarity;
use upmass_format::{ObjectId, TreePath};

use crate::Result;
use crate::diff::NewObject;
use crate::members::may_have_members;
use crate::object::read_start;
use crate::old::OldTrees;
use crate::renamed::OldObjects;
use crate::sketch::{MIN_SIZE, Sketch, SketchIndex};

/// The object at the same place is taken at once when it has so much in common.
const GOOD: f64 = 0.5;
/// Objects that have less in common than this are no base.
const POOR: f64 = 0.02;
/// How many candidates by name, and by content, are looked into.
const MAX_LOOKS: usize = 4;
/// Shorter contents cannot be compared by samples.
const MIN_SAMPLED: usize = 256;
/// So much of each content is compared to choose.
const LOOK: usize = 16 << 20;

/// An old object that a new one is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChosenBase {
    pub(crate) id: ObjectId,
    pub(crate) size: u64,
    /// Whether it is the one at the same place, which costs nothing to name.
    pub(crate) is_here: bool,
}

/// Chooses bases: the same place, else the same name, else similar content.
pub(crate) struct BaseChooser<'a> {
    objects: OldObjects<'a>,
    old: &'a OldTrees,
    sketches: OnceLock<Result<SketchIndex>>,
}

impl<'a> BaseChooser<'a> {
    pub(crate) fn new(objects: OldObjects<'a>, old: &'a OldTrees) -> Self {
        Self { objects, old, sketches: OnceLock::new() }
    }

    /// The best base of a new object, if any is worth it.
    pub(crate) fn choose(&self, new: &NewObject) -> Result<Option<ChosenBase>> {
        if self.old.files().is_empty() {
            return Ok(None);
        }
        let content = read_start(self.objects.store, new.id, LOOK)?;
        let mut look = Look { objects: self.objects, content, best: None, best_share: POOR };
        if let Some((id, size)) = new.here
            && look.at(ChosenBase { id, size, is_here: true })? >= GOOD
        {
            return Ok(look.best);
        }
        let here = new.here.map(|(id, _)| id);
        let mut seen = Vec::new();
        for (id, size) in self.by_name(new) {
            if Some(id) != here && !seen.contains(&id) && seen.len() < MAX_LOOKS {
                seen.push(id);
                if look.at(ChosenBase { id, size, is_here: false })? >= GOOD {
                    return Ok(look.best);
                }
            }
        }
        if look.best.is_none() && new.size >= MIN_SIZE {
            for (id, size) in self.by_content(new)? {
                look.at(ChosenBase { id, size, is_here: false })?;
            }
        }
        if look.best.is_none() && may_have_members(&look.content) {
            // What is compressed is alike only when it is unpacked: the name must do.
            let by_name =
                seen.first().and_then(|id| self.old.place(*id).map(|(_, size)| (*id, size)));
            let is_here = new.here.is_some();
            let guess = new.here.or(by_name);
            return Ok(guess.map(|(id, size)| ChosenBase { id, size, is_here }));
        }
        Ok(look.best)
    }

    /// Old files of the same name, or of one that differs in numbers; closest first.
    fn by_name(&self, new: &NewObject) -> Vec<(ObjectId, u64)> {
        let Some((_, name)) = new.path.split_last() else {
            return Vec::new();
        };
        let mut files: Vec<_> = self.old.files_like(&name).collect();
        files.sort_by_key(|file| {
            let close = closeness(&file.path, &new.path);
            (Reverse(close), file.size.abs_diff(new.size), file.path.clone())
        });
        files.into_iter().map(|file| (file.id, file.size)).collect()
    }

    fn by_content(&self, new: &NewObject) -> Result<Vec<(ObjectId, u64)>> {
        match self.sketches.get_or_init(|| self.sketch_all()) {
            Ok(index) => Ok(index.most_like(&Sketch::of(self.objects.store, new.id)?, MAX_LOOKS)),
            // The error is not clonable; this makes it again.
            Err(_) => self.sketch_all().map(|_| Vec::new()),
        }
    }

    fn sketch_all(&self) -> Result<SketchIndex> {
        let mut objects: Vec<(ObjectId, u64)> =
            self.old.files().iter().map(|file| (file.id, file.size)).collect();
        objects.retain(|(_, size)| *size >= MIN_SIZE);
        objects.sort_unstable();
        objects.dedup();
        let sketches = objects
            .par_iter()
            .map(|(id, _)| Sketch::of(self.objects.store, *id))
            .collect::<Result<Vec<_>>>()?;
        let mut index = SketchIndex::default();
        for ((id, size), sketch) in objects.iter().zip(&sketches) {
            index.add(*id, *size, sketch);
        }
        Ok(index)
    }
}

/// Compares the content of candidates with that of a new object.
struct Look<'a> {
    objects: OldObjects<'a>,
    content: Vec<u8>,
    best: Option<ChosenBase>,
    best_share: f64,
}

impl Look<'_> {
    /// The share of the new object that the candidate seems to have.
    fn at(&mut self, candidate: ChosenBase) -> Result<f64> {
        let old = self.objects.start(candidate.id, LOOK)?;
        let share = match self.content.len().min(old.len()) < MIN_SAMPLED {
            // Too short to sample: an old version is the best guess.
            true => GOOD / 2.0,
            false => similarity(&old, &self.content),
        };
        if share > self.best_share {
            (self.best_share, self.best) = (share, Some(candidate));
        }
        Ok(share)
    }
}

/// How many names two paths share at their ends and starts.
fn closeness(a: &TreePath, b: &TreePath) -> usize {
    let (a, b): (Vec<&[u8]>, Vec<&[u8]>) = (a.names().collect(), b.names().collect());
    let starts = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let ends = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    starts + 2 * ends
}
