//! What was decided, and why: for every entry of the system.

use std::collections::{BTreeMap, BTreeSet};

use crate::evidence::Evidence;
use crate::packages::PackageId;
use crate::tree::Id;
use crate::{Entry, Kind, Level, MinifyError, Result, Rule};

/// A decision for every entry of a system.
#[derive(Debug, Clone, PartialEq)]
pub struct Minified {
    level: Level,
    /// Ascending by path.
    entries: Vec<Entry>,
    verdicts: Vec<Verdict>,
    packages: Vec<Option<PackageId>>,
    package_names: Vec<String>,
}

/// What becomes of an entry.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It stays.
    Kept(Reason),
    /// It goes.
    Dropped(Drop),
}

/// Why an entry stays.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// What kind of evidence it is.
    pub evidence: Evidence,
    pub(crate) from: Option<Id>,
    /// The words that say it, as they are in the file that needs this one.
    pub detail: String,
}

/// Why an entry goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Drop {
    /// By what it is.
    Rule(&'static Rule),
    /// By a pattern of the user.
    User(String),
    /// Nothing that stays needs it.
    NotNeeded {
        /// What would bring it back.
        back: String,
    },
}

/// One step of a chain of reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<'a> {
    /// What stays.
    pub entry: &'a Entry,
    /// Why: because of the next step's entry, if there is one.
    pub reason: &'a Reason,
}

/// Files and bytes of some entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Regular files and symlinks; names of one inode count once.
    pub files: u64,
    /// Length of the regular files.
    pub bytes: u64,
}

impl Drop {
    /// The word for it, in reports.
    pub fn word(&self) -> &str {
        match self {
            Self::Rule(rule) => rule.name,
            Self::User(_) => "drop",
            Self::NotNeeded { .. } => "not-needed",
        }
    }

    /// What would bring an entry back, for people.
    pub fn back(&self, path: &str) -> String {
        match self {
            Self::Rule(rule) if rule.back.is_empty() => format!("--keep {path}"),
            Self::Rule(rule) => format!("{}, or --keep {path}", rule.back),
            Self::User(pattern) => format!("no --drop {pattern}, or --keep {path}"),
            Self::NotNeeded { back } => back.clone(),
        }
    }
}

impl Minified {
    pub(crate) fn new(
        level: Level,
        entries: Vec<Entry>,
        verdicts: Vec<Verdict>,
        packages: Vec<Option<PackageId>>,
        package_names: Vec<String>,
    ) -> Self {
        Self { level, entries, verdicts, packages, package_names }
    }

    /// The level that was asked for.
    pub fn level(&self) -> Level {
        self.level
    }

    /// All entries, ascending by path, with what becomes of them.
    pub fn entries(&self) -> impl Iterator<Item = (&Entry, &Verdict)> {
        self.entries.iter().zip(&self.verdicts)
    }

    /// What becomes of a path; `None` where there is nothing.
    pub fn verdict(&self, path: &[u8]) -> Option<&Verdict> {
        self.position(path).map(|index| &self.verdicts[index])
    }

    /// Whether a path is there and stays. The root always does.
    pub fn keeps(&self, path: &[u8]) -> bool {
        path.is_empty() || matches!(self.verdict(path), Some(Verdict::Kept(_)))
    }

    /// Why a path stays, from itself to a root; empty when it goes.
    ///
    /// # Errors
    /// There is no such path.
    pub fn chain(&self, path: &[u8]) -> Result<Vec<Step<'_>>> {
        let missing =
            || MinifyError::NoSuchPath { path: String::from_utf8_lossy(path).into_owned() };
        let mut next = Some(self.position(path).ok_or_else(missing)?);
        let mut steps: Vec<Step<'_>> = Vec::new();
        while let Some(index) = next {
            let Verdict::Kept(reason) = &self.verdicts[index] else { break };
            steps.push(Step { entry: &self.entries[index], reason });
            next = reason.from.map(|id| id.0 as usize);
            // Each reason is older than what it is for, so this ends; whoever doubts it is safe.
            if steps.len() > self.entries.len() {
                break;
            }
        }
        Ok(steps)
    }

    /// The package of an entry.
    pub fn package(&self, path: &[u8]) -> Option<&str> {
        let id = self.packages[self.position(path)?]?;
        Some(&self.package_names[id.0 as usize])
    }

    /// All that was there, and all that stays.
    pub fn totals(&self) -> (Count, Count) {
        let mut before = Counter::default();
        let mut after = Counter::default();
        for (entry, verdict) in self.entries() {
            before.add(entry);
            if matches!(verdict, Verdict::Kept(_)) {
                after.add(entry);
            }
        }
        (before.count, after.count)
    }

    /// What goes, by the word of its rule.
    pub fn dropped_by(&self) -> BTreeMap<&str, Count> {
        let mut counters: BTreeMap<&str, Counter> = BTreeMap::new();
        for (entry, verdict) in self.entries() {
            if let Verdict::Dropped(drop) = verdict {
                counters.entry(drop.word()).or_default().add(entry);
            }
        }
        counters.into_iter().map(|(word, counter)| (word, counter.count)).collect()
    }

    /// Before and after, by package; `None` stands for what no package brought.
    pub fn by_package(&self) -> BTreeMap<Option<&str>, (Count, Count)> {
        let mut counters: BTreeMap<Option<&str>, (Counter, Counter)> = BTreeMap::new();
        for ((entry, verdict), package) in self.entries().zip(&self.packages) {
            let name = package.map(|id| &self.package_names[id.0 as usize][..]);
            let (before, after) = counters.entry(name).or_default();
            before.add(entry);
            if matches!(verdict, Verdict::Kept(_)) {
                after.add(entry);
            }
        }
        let counts = counters.into_iter();
        counts.map(|(name, (before, after))| (name, (before.count, after.count))).collect()
    }

    fn position(&self, path: &[u8]) -> Option<usize> {
        self.entries.binary_search_by(|entry| entry.path[..].cmp(path)).ok()
    }
}

#[derive(Default)]
struct Counter {
    count: Count,
    inodes: BTreeSet<u64>,
}

impl Counter {
    fn add(&mut self, entry: &Entry) {
        let is_counted = match entry.kind {
            Kind::File { .. } | Kind::Symlink(_) => true,
            Kind::Directory | Kind::Other => false,
        };
        if is_counted && entry.inode.is_none_or(|inode| self.inodes.insert(inode)) {
            self.count.files += 1;
            self.count.bytes += entry.size();
        }
    }
}
