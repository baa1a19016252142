//! What the user should know although the import succeeds.

use std::collections::BTreeMap;

/// Collects warnings. Those of one kind become one sentence, however often they occur, so that
/// no source can flood the user.
#[derive(Debug, Default)]
pub(crate) struct Warnings(BTreeMap<&'static str, Seen>);

#[derive(Debug)]
struct Seen {
    first: String,
    more: u64,
}

impl Warnings {
    /// Notes that `what` (a whole sentence without its full stop) holds for `path`.
    pub(crate) fn add(&mut self, what: &'static str, path: impl ToString) {
        self.0
            .entry(what)
            .and_modify(|seen| seen.more += 1)
            .or_insert_with(|| Seen { first: path.to_string(), more: 0 });
    }

    /// Adds those of a part of the import.
    pub(crate) fn append(&mut self, part: Self) {
        for (what, seen) in part.0 {
            self.0.entry(what).and_modify(|known| known.more += 1 + seen.more).or_insert(seen);
        }
    }

    /// The sentences.
    pub(crate) fn into_sentences(self) -> Vec<String> {
        self.0
            .into_iter()
            .map(|(what, Seen { first, more })| match (first.is_empty(), more) {
                (true, _) => what.to_owned(),
                (false, 0) => format!("{what}: {first}"),
                (false, more) => format!("{what}: {first} and {more} more"),
            })
            .collect()
    }
}
