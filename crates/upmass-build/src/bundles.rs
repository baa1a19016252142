//! New objects that have other new ones in them: initial RAM disks, archives, programs with their
//! parts linked in.
//!
//! What is in a bundle has changed together with it, so its old version helps little, and the new
//! objects all. A bundle is made later than all others, from what it had before and these.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use rayon::prelude::*;
use upmass_format::payload::{MAX_LATER, MAX_PARTS};
use upmass_store::Store;

use crate::Result;
use crate::diff::NewObject;
use crate::members::{Allowed, expand_all, is_archive};
use crate::object::{MAX_WHOLE_BASE, WINDOW, read_start};
use crate::sketch::{MIN_SIZE, Sketch, chunks_of};

/// An object is in another one when that has so much of its sketch.
const CONTAINED: f64 = 0.5;
/// Smaller objects are no bundles.
const MIN_BUNDLE: u64 = 16 << 10;

/// Which new objects are made later than others, and from which; by their places in the list.
#[derive(Debug, Default)]
pub(crate) struct Bundles(HashMap<usize, Vec<usize>>);

impl Bundles {
    /// Looks for bundles. Where members can be unpacked, it looks into them.
    pub(crate) fn find(
        store: &Store,
        objects: &[NewObject],
        unpacking: Option<Allowed>,
    ) -> Result<Self> {
        let sketches: Vec<Option<Sketch>> = objects
            .par_iter()
            .map(|object| match object.size >= MIN_SIZE {
                true => Sketch::of(store, object.id).map(Some),
                false => Ok(None),
            })
            .collect::<Result<_>>()?;
        let mut by_chunk: HashMap<u64, Vec<usize>> = HashMap::new();
        for (index, sketch) in sketches.iter().enumerate() {
            for hash in sketch.iter().flat_map(Sketch::hashes) {
                by_chunk.entry(*hash).or_default().push(index);
            }
        }
        // What all have says nothing.
        by_chunk.retain(|_, objects| objects.len() <= MAX_PARTS as usize);
        let found: Vec<(usize, Vec<usize>)> = (0..objects.len())
            .into_par_iter()
            .filter(|index| (MIN_BUNDLE..=WINDOW).contains(&objects[*index].size))
            .map(|index| {
                let chunks = chunks(store, &objects[index], unpacking)?;
                Ok((index, parts(index, objects, &sketches, &by_chunk, &chunks)))
            })
            .collect::<Result<_>>()?;
        Ok(Self::choose(objects, found))
    }

    /// Takes the largest bundles first. None is a part of another one.
    fn choose(objects: &[NewObject], mut found: Vec<(usize, Vec<usize>)>) -> Self {
        found.sort_by_key(|(index, _)| (Reverse(objects[*index].size), *index));
        let mut bundles: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut is_part = HashSet::new();
        for (index, mut parts) in found {
            if is_part.contains(&index) || bundles.len() as u64 >= MAX_LATER {
                continue;
            }
            parts.retain(|part| !bundles.contains_key(part));
            parts.sort_by_key(|part| (Reverse(objects[*part].size), *part));
            // One more is what the bundle had before, and may be as long as itself.
            parts.truncate(MAX_PARTS as usize - 1);
            let mut left = MAX_WHOLE_BASE - WINDOW;
            parts.retain(|part| match left.checked_sub(objects[*part].size) {
                Some(rest) => {
                    left = rest;
                    true
                }
                None => false,
            });
            parts.sort_unstable();
            if !parts.is_empty() {
                is_part.extend(parts.iter().copied());
                bundles.insert(index, parts);
            }
        }
        Self(bundles)
    }

    /// Whether an object is a bundle.
    pub(crate) fn has(&self, index: usize) -> bool {
        self.0.contains_key(&index)
    }

    /// Puts bundles behind all others. Gives for each object the places of its parts.
    pub(crate) fn arrange(self, objects: Vec<NewObject>) -> (Vec<NewObject>, Vec<Vec<usize>>) {
        let mut order: Vec<usize> = (0..objects.len()).collect();
        order.sort_by_key(|index| self.has(*index));
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, index)| places[*index] = place);
        let parts = order.iter().map(|index| {
            let parts = self.0.get(index).map_or(&[][..], Vec::as_slice);
            parts.iter().map(|part| places[*part]).collect()
        });
        let parts = parts.collect();
        let mut objects: Vec<Option<NewObject>> = objects.into_iter().map(Some).collect();
        let arranged = order.iter().map(|index| objects[*index].take().expect("each comes once"));
        (arranged.collect(), parts)
    }
}

/// The chunks of what may be a bundle.
fn chunks(store: &Store, object: &NewObject, unpacking: Option<Allowed>) -> Result<HashSet<u64>> {
    if let Some(allowed) = unpacking
        && is_archive(&read_start(store, object.id, 8)?)
    {
        let packed = read_start(store, object.id, object.size as usize)?;
        return chunks_of(&expand_all(&packed, allowed)[..], object.id);
    }
    chunks_of(store.object_reader(object.id)?, object.id)
}

/// The smaller objects that are in a bundle.
fn parts(
    bundle: usize,
    objects: &[NewObject],
    sketches: &[Option<Sketch>],
    by_chunk: &HashMap<u64, Vec<usize>>,
    chunks: &HashSet<u64>,
) -> Vec<usize> {
    let mut shared: HashMap<usize, usize> = HashMap::new();
    for chunk in chunks {
        for part in by_chunk.get(chunk).map_or(&[][..], Vec::as_slice) {
            *shared.entry(*part).or_default() += 1;
        }
    }
    let all = |part: usize| sketches[part].as_ref().map_or(0, |sketch| sketch.hashes().len());
    let mut parts: Vec<usize> = shared
        .into_iter()
        .filter(|(part, _)| *part != bundle && objects[*part].size <= objects[bundle].size)
        .filter(|(part, shared)| *shared > 1 && *shared as f64 >= CONTAINED * all(*part) as f64)
        .map(|(part, _)| part)
        .collect();
    parts.sort_unstable();
    parts
}
