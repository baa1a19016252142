//! What each component of the new release takes from the old one: names and trees.

use std::collections::HashMap;

use upmass_delta::rename::Renamer;
use upmass_format::payload::TreeSource;
use upmass_format::release::Release;
use upmass_format::rename::Renames;
use upmass_store::Store;

use crate::Result;
use crate::diff::TreeDiff;
use crate::old::OldTrees;
use crate::pairing::pair_releases;
use crate::renamed::renames;

/// The partners of all components of the new release.
#[derive(Default)]
pub(crate) struct Partners {
    /// Which names become which.
    pub(crate) renames: Renames,
    /// Old components by their names, renamed.
    by_name: HashMap<String, usize>,
    /// For each new component the old one that its tree is likely made from.
    bases: Vec<Option<usize>>,
    /// Names of the old components.
    old_names: Vec<String>,
    /// The skeleton of the old release, renamed.
    pub(crate) skeleton: Vec<u8>,
}

/// Where the tree of a component comes from.
pub(crate) struct Source {
    pub(crate) source: TreeSource,
    /// Whether a device writes a tree.
    pub(crate) makes_tree: bool,
}

impl Partners {
    pub(crate) fn find(store: &Store, old: &Release, new: &Release) -> Result<Self> {
        let pairing = pair_releases(store, old, new)?;
        let mut bases = vec![None; new.components.len()];
        pairing.bases.iter().for_each(|(new, old, _)| bases[*new] = Some(*old));
        pairing.pairs.iter().for_each(|pair| bases[pair.new] = Some(pair.old));
        let renames = renames(old, new, &pairing);
        let renamer = Renamer::new(renames.tokens(old)?);
        let (renamed, order) = renames.release(old, &|text| renamer.rename(text))?;
        let names = renamed.components.iter().map(|component| component.name.clone());
        let by_name = names.zip(order).collect();
        let old_names = old.components.iter().map(|component| component.name.clone()).collect();
        let skeleton = renamed.skeleton().expect("what was renamed is valid");
        Ok(Self { renames, by_name, bases, old_names, skeleton })
    }

    /// Decides where the tree of a component comes from, and writes its edits, if it has any.
    pub(crate) fn tree(
        &self,
        store: &Store,
        old: &OldTrees,
        new: &Release,
        index: usize,
        diff: &mut TreeDiff<'_>,
    ) -> Result<Source> {
        let component = &new.components[index];
        let by_name = self.by_name.get(&component.name).copied();
        let has_same_tree = |old_index: usize| old.roots()[old_index].tree == component.tree;
        let same = |source| Ok(Source { source, makes_tree: false });
        let is_renamed = by_name.is_some_and(|old| self.old_names[old] != component.name);
        match by_name {
            Some(by_name) if !is_renamed && has_same_tree(by_name) => {
                return same(TreeSource::Same);
            }
            _ => {}
        }
        let (tree, policy) = store.tree(component.tree)?;
        if let Some(by_name) = by_name.filter(|_| is_renamed)
            && diff.keep(&tree, policy, by_name)
        {
            return Ok(Source { source: TreeSource::Same, makes_tree: true });
        }
        if let Some(same_tree) = (0..old.roots().len()).find(|index| has_same_tree(*index)) {
            return same(TreeSource::SameAs(same_tree as u64));
        }
        let base = self.bases.get(index).copied().flatten();
        let base = base.filter(|base| old.roots()[*base].policy == policy);
        diff.component(index, &tree, policy, base);
        let source = match base {
            None => TreeSource::New,
            Some(base) if Some(base) == by_name => TreeSource::Edit,
            Some(base) => TreeSource::EditOf(base as u64),
        };
        Ok(Source { source, makes_tree: true })
    }
}
