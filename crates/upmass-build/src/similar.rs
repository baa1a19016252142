//! How much two trees have in common, by the names and contents that are in them.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use upmass_format::TreeId;
use upmass_format::tree::{Entry, Event, Node};
use upmass_store::{Store, StoreError};

use crate::Result;
use crate::names::stem;

/// What is in a tree: a number for each entry by its path without versions, and one for each
/// content. Ascending.
type Features = Vec<u64>;

/// Compares trees, and remembers what it read of them.
pub(crate) struct Similarity<'a> {
    store: &'a Store,
    known: HashMap<TreeId, Features>,
}

impl<'a> Similarity<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, known: HashMap::new() }
    }

    /// What two trees share, of what either has: 0 to 1.
    pub(crate) fn of(&mut self, a: TreeId, b: TreeId) -> Result<f64> {
        for tree in [a, b] {
            if !self.known.contains_key(&tree) {
                let features = self.features(tree)?;
                self.known.insert(tree, features);
            }
        }
        let (a, b) = (&self.known[&a], &self.known[&b]);
        let shared = shared(a, b);
        let all = a.len() + b.len() - shared;
        Ok(if all == 0 { 1.0 } else { shared as f64 / all as f64 })
    }

    fn features(&self, tree: TreeId) -> Result<Features> {
        let damaged = |source| StoreError::Damaged { id: tree.into(), source };
        let mut reader = self.store.tree_reader(tree)?;
        let mut features = Vec::new();
        let mut open = vec![0];
        while let Some(event) = reader.next_event().map_err(damaged)? {
            let Event::Entry(Entry { name, node, .. }) = event else {
                open.pop();
                continue;
            };
            let parent = *open.last().expect("an entry is in a directory");
            let here = number(&(parent, stem(name.as_bytes())));
            features.push(here);
            match node {
                Node::Directory => open.push(here),
                Node::Object { id, .. } => features.push(number(&id)),
                other => features.push(number(&other)),
            }
        }
        features.sort_unstable();
        features.dedup();
        Ok(features)
    }
}

/// The same in every run: only whether numbers are equal matters.
fn number(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn shared(mut a: &[u64], mut b: &[u64]) -> usize {
    let mut shared = 0;
    while let (Some(x), Some(y)) = (a.first(), b.first()) {
        shared += usize::from(x == y);
        if x <= y {
            a = &a[1..];
        }
        if y <= x {
            b = &b[1..];
        }
    }
    shared
}
