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
    /// For each `1 << shift` bytes of the old content: how many copies begin before them.
    starts: Vec<u32>,
    shift: u32,
    last: std::cell::Cell<usize>,
}

impl Map {
    /// Takes copies as old place, new place and length.
    pub(crate) fn new(copies: impl Iterator<Item = (u64, u64, u64)>) -> Self {
        let mut moved: Vec<Moved> =
            copies.map(|(old, new, len)| Moved { old, end: old + len, new }).collect();
        moved.sort_unstable();
        let is_still = moved.iter().all(|m| m.old == m.new);
        let (starts, shift) = index(&moved);
        Self { moved, is_still, starts, shift, last: Default::default() }
    }

    /// How many copies begin at this place or before.
    fn next(&self, old: u64) -> usize {
        let Some(last) = self.starts.len().checked_sub(2) else { return 0 };
        let at = usize::try_from(old >> self.shift).map_or(last, |at| at.min(last));
        let (from, to) = (self.starts[at] as usize, self.starts[at + 1] as usize);
        from + self.moved[from..to].partition_point(|m| m.old <= old)
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
        let next = self.next(old);
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

/// Cuts the old content into as many equal parts as there are copies, or fewer, and counts the copies
/// that begin before each part, and all.
fn index(moved: &[Moved]) -> (Vec<u32>, u32) {
    let Some(last) = moved.last() else { return Default::default() };
    let mut shift = 0;
    while (last.old >> shift) as u128 >= moved.len() as u128 {
        shift += 1;
    }
    let parts = (last.old >> shift) as usize + 1;
    let mut starts = vec![0; parts + 1];
    for m in moved {
        starts[(m.old >> shift) as usize + 1] += 1;
    }
    for part in 1..starts.len() {
        starts[part] += starts[part - 1];
    }
    (starts, shift)
}
