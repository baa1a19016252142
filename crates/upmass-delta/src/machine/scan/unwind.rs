//! Fields of unwind information.

use super::*;

impl Chunk<'_> {
    pub(super) fn unwind(&self, out: &mut Scanned, first: u64) {
        let mut at = (first - self.from) as usize;
        let end = self.lead() + self.len;
        while at < end && at + 8 <= self.around.len() {
            let len = word(self.around, at) as usize;
            if len == 0 || len > RECORD as usize {
                break;
            }
            for index in at.max(self.lead())..(at + 4 + len).min(end) {
                out.classes[index - self.lead()] = (index - at).min(15) as u8;
            }
            let back = u64::from(word(self.around, at + 4));
            let is_whole = at + 4 + len <= self.around.len();
            if back != 0 && len >= 16 && is_whole {
                let own = self.from + at as u64 + 4;
                if back <= own - self.region.start {
                    self.push(out, at + 4, Shape::Word, Relation::Back, own - back, 18);
                }
                if self.program.is_object {
                    at += 4 + len;
                    continue;
                }
                let begin = self.address(at + 8).wrapping_add(extend(word(self.around, at + 8)));
                self.push(out, at + 8, Shape::Word, Relation::Relative(0), begin, 19);
                let length = u64::from(word(self.around, at + 12));
                self.push(
                    out,
                    at + 12,
                    Shape::Word,
                    Relation::From(begin),
                    begin.wrapping_add(length),
                    20,
                );
                if len >= 17 && self.around[at + 16] == 4 {
                    let data =
                        self.address(at + 17).wrapping_add(extend(word(self.around, at + 17)));
                    self.push(out, at + 17, Shape::Word, Relation::Relative(0), data, 21);
                }
            }
            at += 4 + len;
        }
    }

    pub(super) fn unwind_index(&self, out: &mut Scanned) {
        const TABLE: u64 = 12;
        let region = self.region;
        self.classify(out, 8);
        let own = |at: usize| self.from + at as u64 - region.start;
        if self.start <= region.start + 4 {
            let at = (region.start + 4 - self.from) as usize;
            if at + 4 <= self.around.len() {
                let target = self.address(at).wrapping_add(extend(word(self.around, at)));
                self.push(out, at, Shape::Word, Relation::Relative(0), target, 22);
            }
        }
        let mut at = self.lead() + (4 - (self.start - region.start) % 4) as usize % 4;
        while at + 4 <= self.lead() + self.len {
            if own(at) >= TABLE {
                let target = region.address.wrapping_add(extend(word(self.around, at)));
                let kind = 23 + u8::from(own(at) % 8 == 0);
                self.push(out, at, Shape::Word, Relation::From(region.address), target, kind);
            }
            at += 4;
        }
    }
}
