//! Where old content has gone: what the copies of an object say.

/// A copy, as far as it says where old content is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moved {
    old: u64,
    end: u64,
    new: u64,
}

/// Maps offsets of the old content to the new.
#[derive(Debug, Default)]
pub(crate) struct Map {
    /// Ascending in `old`.
    moved: Vec<Moved>,
    /// Whether every copy goes where it was.
    is_still: bool,
    last: std::cell::Cell<usize>,
}

impl Map {
    /// Takes copies as old place, new place and length.
    pub(crate) fn new(copies: impl Iterator<Item = (u64, u64, u64)>) -> Self {
        let mut moved: Vec<Moved> =
            copies.map(|(old, new, len)| Moved { old, end: old + len, new }).collect();
        moved.sort_unstable();
        let is_still = moved.iter().all(|m| m.old == m.new);
        Self { moved, is_still, last: Default::default() }
    }

    /// Whether every copy goes where it was.
    pub(crate) fn is_still(&self) -> bool {
        self.is_still
    }

    /// Where a byte of the old content is now. What was not copied is guessed to have gone with its nearest
    /// neighbour.
    pub(crate) fn offset(&self, old: u64) -> u64 {
        let shifted = |m: &Moved| m.new.wrapping_add(old.wrapping_sub(m.old));
        if let Some(m) = self.moved.get(self.last.get())
            && m.old <= old
            && old < m.end
        {
            return shifted(m);
        }
        let next = self.moved.partition_point(|m| m.old <= old);
        let before = next.checked_sub(1).map(|index| self.moved[index]);
        match (before, self.moved.get(next)) {
            (Some(m), _) if old < m.end => {
                self.last.set(next - 1);
                shifted(&m)
            }
            (Some(m), Some(after)) if after.old - old < old - m.end => shifted(after),
            (Some(m), _) => {
                // A longer copy that began earlier may still hold it.
                let holder =
                    self.moved[next.saturating_sub(4)..next].iter().rev().find(|m| old < m.end);
                shifted(holder.unwrap_or(&m))
            }
            (None, Some(after)) => shifted(after),
            (None, None) => old,
        }
    }
}
