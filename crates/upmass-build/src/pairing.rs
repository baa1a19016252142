//! Which old component a new one is made from.
//!
//! The graphs of both releases are walked in pairs. Components of the same name are pairs at once;
//! others by their names without hash, without numbers, and without version, in this order. Where
//! several have such a name, those that are referred to by pairs vote for them, and at last their
//! contents decide. A pair that is wrong costs bytes and nothing else.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use upmass_format::ReleaseId;
use upmass_format::release::Release;
use upmass_store::Store;

use crate::Result;
use crate::names::{package, stem, without_hash};
use crate::similar::Similarity;

/// Of components with the same name by one of the rules, those are a pair that share so much.
const ALIKE: f64 = 0.2;
/// Of components with different names, those are a pair that share so much.
const VERY_ALIKE: f64 = 0.5;
/// Components for which there is no pair take one as base that shares so much with them.
const SOMEWHAT_ALIKE: f64 = 0.1;
/// More comparisons than this are not made for one decision.
const MAX_COMPARED: usize = 1 << 16;

/// Which old component belongs to which new one.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairing {
    /// Ascending by the new component; no component is in two pairs.
    pub pairs: Vec<Pair>,
    /// For new components without a pair, an old one with a tree like theirs, and which part they
    /// share (0 to 1). Ascending.
    pub bases: Vec<(usize, usize, f64)>,
}

/// An old and a new component that are versions of one thing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Index into the components of the old release.
    pub old: usize,
    /// Index into the components of the new release.
    pub new: usize,
    /// Why they are a pair.
    pub why: Why,
}

/// Why two components are a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Why {
    /// They have the same name.
    SameName,
    /// Only they have this name without hash.
    SameNameWithoutHash,
    /// Only they have names that differ in hash and numbers alone.
    SameStem,
    /// Only they are of this package.
    SamePackage,
    /// Of several that their names allow, so many pairs refer to both or are referred to by both.
    Votes(u32),
    /// So many pairs refer to both or are referred to by both, and they share so much, though
    /// nothing in their names is the same.
    VotesAlone(u32, f64),
    /// They share so much: 0 to 1.
    Content(f64),
}

impl Why {
    /// The word for it in reports that programs read.
    pub const fn word(self) -> &'static str {
        match self {
            Why::SameName => "name",
            Why::SameNameWithoutHash => "name without hash",
            Why::SameStem => "name without numbers",
            Why::SamePackage => "package",
            Why::Votes(_) => "votes",
            Why::VotesAlone(..) => "votes, other name",
            Why::Content(_) => "content",
        }
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Why::SameName => f.write_str("the same name"),
            Why::SameNameWithoutHash => f.write_str("the same name without hash"),
            Why::SameStem => f.write_str("the same name without hash and numbers"),
            Why::SamePackage => f.write_str("the same package"),
            Why::Votes(votes) => write!(f, "most votes of components around them ({votes})"),
            Why::VotesAlone(votes, share) => {
                write!(f, "votes of components around them ({votes}), {:.0} % alike", share * 100.0)
            }
            Why::Content(share) => write!(f, "{:.0} % alike", share * 100.0),
        }
    }
}

/// Pairs the components of two releases of a store. The same releases give the same pairs.
pub fn pair(store: &Store, old: ReleaseId, new: ReleaseId) -> Result<Pairing> {
    pair_releases(store, &store.release(old)?, &store.release(new)?)
}

/// As [`pair`], with the releases at hand.
pub(crate) fn pair_releases(store: &Store, old: &Release, new: &Release) -> Result<Pairing> {
    let mut work = Work {
        old: Graph::new(old),
        new: Graph::new(new),
        old_release: old,
        new_release: new,
        of_old: vec![None; old.components.len()],
        of_new: vec![None; new.components.len()],
        similarity: Similarity::new(store),
    };
    for (index, component) in new.components.iter().enumerate() {
        if let Some(same) = old.component(&component.name) {
            work.join(same, index, Why::SameName);
        }
    }
    let full: fn(&str) -> Vec<u8> = |name| without_hash(name).into();
    let stemmed: fn(&str) -> Vec<u8> = |name| stem(without_hash(name).as_bytes());
    let of_package: fn(&str) -> Vec<u8> = |name| package(without_hash(name)).into();
    for (key, why) in
        [(full, Why::SameNameWithoutHash), (stemmed, Why::SameStem), (of_package, Why::SamePackage)]
    {
        work.by_key(key, why)?;
    }
    work.by_votes_alone()?;
    let (olds, news) = work.unpaired();
    work.by_content(&olds, &news, VERY_ALIKE)?;
    work.finish()
}

/// Who refers to whom. Systems are components too, behind the real ones, so that roots have
/// referrers.
struct Graph {
    references: Vec<BTreeSet<usize>>,
    referrers: Vec<Vec<usize>>,
}

impl Graph {
    fn new(release: &Release) -> Self {
        let of_components = release.components.iter().enumerate().map(|(index, component)| {
            component.references.iter().copied().filter(|other| *other != index).collect()
        });
        let of_systems = release.systems.iter().map(|system| {
            let boot = system.boot.iter().map(|file| file.component);
            system.roots.iter().copied().chain(boot).collect()
        });
        let references: Vec<BTreeSet<usize>> = of_components.chain(of_systems).collect();
        let mut referrers = vec![Vec::new(); references.len()];
        for (index, references) in references.iter().enumerate() {
            references.iter().for_each(|reference| referrers[*reference].push(index));
        }
        Self { references, referrers }
    }
}

struct Work<'a> {
    old: Graph,
    new: Graph,
    old_release: &'a Release,
    new_release: &'a Release,
    of_old: Vec<Option<usize>>,
    of_new: Vec<Option<(usize, Why)>>,
    similarity: Similarity<'a>,
}

/// Components that are unpaired and have the same key: old ones, new ones.
type Groups = BTreeMap<Vec<u8>, (Vec<usize>, Vec<usize>)>;

impl Work<'_> {
    fn join(&mut self, old: usize, new: usize, why: Why) {
        self.of_old[old] = Some(new);
        self.of_new[new] = Some((old, why));
    }

    fn unpaired(&self) -> (Vec<usize>, Vec<usize>) {
        let olds = (0..self.of_old.len()).filter(|index| self.of_old[*index].is_none());
        let news = (0..self.of_new.len()).filter(|index| self.of_new[*index].is_none());
        (olds.collect(), news.collect())
    }

    fn groups(&self, key: fn(&str) -> Vec<u8>) -> Groups {
        let (olds, news) = self.unpaired();
        let mut groups = Groups::new();
        for index in olds {
            groups.entry(key(&self.old_release.components[index].name)).or_default().0.push(index);
        }
        for index in news {
            groups.entry(key(&self.new_release.components[index].name)).or_default().1.push(index);
        }
        groups.retain(|_, (olds, news)| !olds.is_empty() && !news.is_empty());
        groups
    }

    /// Pairs components with the same key: where there is one of each, then by votes as long as
    /// votes decide, then by content.
    fn by_key(&mut self, key: fn(&str) -> Vec<u8>, why: Why) -> Result<()> {
        for (olds, news) in self.groups(key).into_values() {
            if let ([old], [new]) = (&olds[..], &news[..]) {
                self.join(*old, *new, why);
            }
        }
        loop {
            let mut joined = false;
            for (olds, news) in self.groups(key).into_values() {
                let olds: BTreeSet<usize> = olds.into_iter().collect();
                joined |= self.by_votes(&olds, &news, |_, votes| Ok(Some(Why::Votes(votes))))?;
            }
            if !joined {
                break;
            }
        }
        for (olds, news) in self.groups(key).into_values() {
            self.by_content(&olds, &news, ALIKE)?;
        }
        Ok(())
    }

    /// Pairs components that have more votes for each other than for anyone else.
    fn by_votes(
        &mut self,
        olds: &BTreeSet<usize>,
        news: &[usize],
        mut accept: impl FnMut((&mut Self, usize, usize), u32) -> Result<Option<Why>>,
    ) -> Result<bool> {
        let mut best_of_old: BTreeMap<usize, Best> = BTreeMap::new();
        let mut best_of_new: BTreeMap<usize, Best> = BTreeMap::new();
        for new in news {
            for (old, votes) in self.votes(*new) {
                if olds.contains(&old) {
                    best_of_old.entry(old).or_default().add(*new, votes);
                    best_of_new.entry(*new).or_default().add(old, votes);
                }
            }
        }
        let mut joined = false;
        for (new, best) in best_of_new {
            if let Some(old) = best.only()
                && best_of_old[&old].only() == Some(new)
                && let Some(why) = accept((&mut *self, old, new), best.votes)?
            {
                self.join(old, new, why);
                joined = true;
            }
        }
        Ok(joined)
    }

    /// How many pairs refer to a new component and an old one, or are referred to by both.
    fn votes(&self, new: usize) -> BTreeMap<usize, u32> {
        let mut votes = BTreeMap::new();
        for referrer in &self.new.referrers[new] {
            if let Some(partner) = self.partner(*referrer) {
                for old in &self.old.references[partner] {
                    *votes.entry(*old).or_default() += 1;
                }
            }
        }
        for reference in &self.new.references[new] {
            if let Some(partner) = self.partner(*reference) {
                for old in &self.old.referrers[partner] {
                    *votes.entry(*old).or_default() += 1;
                }
            }
        }
        votes
    }

    /// The old one of a pair of components, or of systems with the same name.
    fn partner(&self, new: usize) -> Option<usize> {
        if let Some(paired) = self.of_new.get(new) {
            return paired.map(|(old, _)| old);
        }
        let name = &self.new_release.systems[new - self.of_new.len()].name;
        let systems = &self.old_release.systems;
        systems.iter().position(|system| system.name == *name).map(|at| self.of_old.len() + at)
    }

    fn by_votes_alone(&mut self) -> Result<()> {
        loop {
            let (olds, news) = self.unpaired();
            let olds: BTreeSet<usize> = olds.into_iter().collect();
            let accept = |(work, old, new): (&mut Self, usize, usize), votes| {
                let share = work.alike(old, new)?;
                Ok((share >= ALIKE).then_some(Why::VotesAlone(votes, share)))
            };
            if !self.by_votes(&olds, &news, accept)? {
                return Ok(());
            }
        }
    }

    fn by_content(&mut self, olds: &[usize], news: &[usize], least: f64) -> Result<()> {
        if olds.len().saturating_mul(news.len()) > MAX_COMPARED {
            return Ok(());
        }
        let mut found = Vec::new();
        for new in news {
            for old in olds {
                let share = self.alike(*old, *new)?;
                if share >= least {
                    found.push((share, Reverse(*new), Reverse(*old)));
                }
            }
        }
        found.sort_by(|a, b| b.partial_cmp(a).expect("shares are numbers"));
        for (share, Reverse(new), Reverse(old)) in found {
            if self.of_old[old].is_none() && self.of_new[new].is_none() {
                self.join(old, new, Why::Content(share));
            }
        }
        Ok(())
    }

    fn alike(&mut self, old: usize, new: usize) -> Result<f64> {
        let (old, new) = (&self.old_release.components[old], &self.new_release.components[new]);
        self.similarity.of(old.tree, new.tree)
    }

    fn finish(mut self) -> Result<Pairing> {
        let (_, news) = self.unpaired();
        let mut bases = Vec::new();
        if news.len().saturating_mul(self.of_old.len()) <= MAX_COMPARED {
            for new in news {
                let mut best = None;
                for old in 0..self.of_old.len() {
                    let share = self.alike(old, new)?;
                    if share >= SOMEWHAT_ALIKE && best.is_none_or(|(_, most)| share > most) {
                        best = Some((old, share));
                    }
                }
                bases.extend(best.map(|(old, share)| (new, old, share)));
            }
        }
        let pairs = self.of_new.iter().enumerate();
        let pairs =
            pairs.filter_map(|(new, paired)| paired.map(|(old, why)| Pair { old, new, why }));
        Ok(Pairing { pairs: pairs.collect(), bases })
    }
}

/// Who has most votes.
#[derive(Default)]
struct Best {
    votes: u32,
    who: usize,
    is_tie: bool,
}

impl Best {
    fn add(&mut self, who: usize, votes: u32) {
        match votes.cmp(&self.votes) {
            std::cmp::Ordering::Greater => *self = Self { votes, who, is_tie: false },
            std::cmp::Ordering::Equal => self.is_tie = true,
            std::cmp::Ordering::Less => {}
        }
    }

    fn only(&self) -> Option<usize> {
        (self.votes > 0 && !self.is_tie).then_some(self.who)
    }
}
