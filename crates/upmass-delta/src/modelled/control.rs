//! Operations of an object: what is copied from where, and what is new.

use super::{Kind, Operation};
use crate::model::bits::{Counter, Numbers};
use crate::model::range::Coding;

/// Models of operations.
#[derive(Clone)]
pub(super) struct Control {
    /// By the kind before: three bits of the kind.
    kinds: [[Counter; 4]; 6],
    /// By kind and the kind before.
    lengths: Vec<Numbers>,
    is_along: [Counter; 4],
    goes_on: [Counter; 4],
    is_recent: [Counter; 4],
    which: [Counter; 16],
    distance: Numbers,
    recalled: Numbers,
}

/// Where copies come from, relative to where they go.
#[derive(Default)]
pub(super) struct Shifts {
    recent: [u64; 8],
}

impl Shifts {
    fn touch(&mut self, shift: u64) {
        let index = self.recent.iter().position(|s| *s == shift).unwrap_or(7);
        self.recent[..=index].rotate_right(1);
        self.recent[0] = shift;
    }
}

impl Control {
    pub(super) fn new() -> Self {
        Self {
            kinds: [[Counter::NEW; 4]; 6],
            lengths: vec![Numbers::new(); 30],
            is_along: [Counter::NEW; 4],
            goes_on: [Counter::NEW; 4],
            is_recent: [Counter::NEW; 4],
            which: [Counter::NEW; 16],
            distance: Numbers::new(),
            recalled: Numbers::new(),
        }
    }

    /// Codes one operation that starts at `new`; `behind` is the end of the last copy in the base.
    pub(super) fn code<C: Coding>(
        &mut self,
        coding: &mut C,
        before: usize,
        new: u64,
        [behind, recalled]: [u64; 2],
        shifts: &mut Shifts,
        operation: Operation,
    ) -> Operation {
        let index = operation.kind.index();
        let bits = &mut self.kinds[before];
        let index = if bits[0].code(coding, index == 0) {
            0
        } else if bits[1].code(coding, index == 1) {
            1
        } else {
            match bits[2].code(coding, index == 3) {
                true => 3,
                false => 2 + 2 * usize::from(bits[3].code(coding, index == 4)),
            }
        };
        let len = self.lengths[index * 6 + before].code(coding, operation.len);
        let kind = match index {
            0 => {
                let wanted = match operation.kind {
                    Kind::Copy(from) => from,
                    _ => 0,
                };
                let shift = wanted.wrapping_sub(new);
                let context = before.min(3);
                let from = if self.is_along[context].code(coding, shift == shifts.recent[0]) {
                    new.wrapping_add(shifts.recent[0])
                } else if self.goes_on[context].code(coding, wanted == behind) {
                    behind
                } else {
                    let place = shifts.recent[1..].iter().position(|s| *s == shift);
                    if self.is_recent[context].code(coding, place.is_some()) {
                        let place = place.unwrap_or(0);
                        let mut node = 1;
                        for bit in (0..3).rev() {
                            node = node << 1
                                | usize::from(self.which[node].code(coding, place >> bit & 1 == 1));
                        }
                        new.wrapping_add(shifts.recent[1 + (node - 8).min(6)])
                    } else {
                        let distance = self
                            .distance
                            .signed(coding, shift.wrapping_sub(shifts.recent[0]) as i64);
                        new.wrapping_add(shifts.recent[0]).wrapping_add(distance as u64)
                    }
                };
                shifts.touch(from.wrapping_sub(new));
                Kind::Copy(from)
            }
            1 => Kind::Literal,
            2 => Kind::Raw,
            3 => Kind::Zeros,
            _ => {
                let from = match operation.kind {
                    Kind::Recall(from) => from,
                    _ => 0,
                };
                let distance = self.recalled.code(coding, from.wrapping_sub(recalled));
                Kind::Recall(recalled.saturating_add(distance))
            }
        };
        Operation { kind, len }
    }
}
