//! Fields of instructions.

use super::*;

impl Chunk<'_> {
    pub(super) fn x86(&self, out: &mut Scanned) {
        let (lead, mut at) = (self.lead(), 0);
        let end = lead + self.len;
        while at < end {
            let code = &self.around[at..];
            let instruction = x86::decode(code);
            let next = at + instruction.len;
            for (index, class) in [(0, 1u8), (instruction.opcode_len, 2)] {
                let range = (at + index).clamp(lead, end)..next.clamp(lead, end);
                out.classes[range.start - lead..range.end - lead].fill(class);
            }
            if let Some(d) = instruction.displacement {
                let range = (at + d).clamp(lead, end)..(at + d + 4).clamp(lead, end);
                out.classes[range.start - lead..range.end - lead].fill(3);
            }
            if let Some(i) = instruction.immediate {
                let range = (at + i).clamp(lead, end)..(at + i + 4).clamp(lead, end);
                out.classes[range.start - lead..range.end - lead].fill(4);
            }
            if next > self.around.len() {
                break;
            }
            if let Some(d) = instruction.displacement {
                let value = extend(word(self.around, at + d));
                if instruction.is_relative {
                    let more = (instruction.len - d) as i32;
                    let target = self.address(next).wrapping_add(value);
                    self.push(out, at + d, Shape::Word, Relation::Relative(more), target, 1);
                } else if self.program.is_fixed && self.program.layout.contains(value) {
                    self.push(out, at + d, Shape::Word, Relation::Absolute, value, 2);
                }
            }
            if let Some(i) = instruction.immediate {
                let value = extend(word(self.around, at + i));
                if instruction.is_jump {
                    let is_call = self.around[at] == 0xe8;
                    let target = self.address(next).wrapping_add(value);
                    let kind = if is_call { 0 } else { 3 };
                    self.push(out, at + i, Shape::Word, Relation::Relative(4), target, kind);
                } else if self.program.is_fixed && self.program.layout.contains(value) {
                    self.push(out, at + i, Shape::Word, Relation::Absolute, value, 4);
                }
            }
            at = next;
        }
    }

    pub(super) fn a64(&self, out: &mut Scanned) {
        let lead = self.lead();
        // Instructions are where addresses are multiples of four.
        let skew = (self.address(0) as usize).wrapping_neg() & 3;
        let mut pages = [(u64::MAX, 0usize); 32];
        let mut at = skew;
        while at + 4 <= self.around.len() && at < lead + self.len {
            let code = word(self.around, at);
            let raw = u64::from(code);
            let own = self.address(at);
            let branch = |out: &mut Scanned, shape: Shape, kind| {
                let target = own.wrapping_add((shape.get(raw) << 2) as u64);
                self.push(out, at, shape, Relation::Relative(0), target, kind);
            };
            let register = (code & 31) as usize;
            let mut written = None;
            let class = 4 + ((code >> 25 & 15) >> 1) as u8;
            for index in at.max(lead)..(at + 4).min(lead + self.len) {
                out.classes[index - lead] = class;
            }
            if code & 0x7c00_0000 == 0x1400_0000 {
                let kind = if code >> 31 == 1 { 0 } else { 3 };
                branch(out, Shape::Branch26, kind);
                if kind == 0 {
                    pages[..19].fill((u64::MAX, 0));
                }
            } else if code & 0xff00_0000 == 0x5400_0000 || code & 0x7e00_0000 == 0x3400_0000 {
                branch(out, Shape::Branch19, 5);
            } else if code & 0x7e00_0000 == 0x3600_0000 {
                branch(out, Shape::Branch14, 6);
            } else if code & 0x3b00_0000 == 0x1800_0000 {
                branch(out, Shape::Branch19, 7);
                written = Some(register);
            } else if code & 0x9f00_0000 == 0x1000_0000 {
                let target = own.wrapping_add(Shape::Adr.get(raw) as u64);
                self.push(out, at, Shape::Adr, Relation::Relative(0), target, 8);
                written = Some(register);
            } else if code & 0x9f00_0000 == 0x9000_0000 {
                let page = (own >> 12).wrapping_add(Shape::Adr.get(raw) as u64) << 12;
                let low = self.low_part(at + 4, register);
                self.push(
                    out,
                    at,
                    Shape::Adr,
                    Relation::Page,
                    page | low.unwrap_or(0),
                    9 + u8::from(low.is_none()),
                );
                pages[register] = (page, at);
            } else if let Some((scale, low)) = below_page(code) {
                let from = (code >> 5 & 31) as usize;
                let (page, since) = pages[from];
                if page != u64::MAX && at - since <= A64_AROUND as usize {
                    let kind = if scale == 0 { 11 } else { 12 };
                    self.push(out, at, Shape::Low12(scale), Relation::BelowPage, page | low, kind);
                }
                let is_store = code & 0x3b00_0000 == 0x3900_0000 && code >> 22 & 3 == 0;
                written = (!is_store).then_some(register);
            } else {
                let computes = code >> 25 & 0b0111 == 0b0101 || code >> 26 & 0b0111 == 0b0100;
                let loads = code >> 25 & 0b0101 == 0b0100 && code >> 22 & 1 == 1;
                written = (computes || loads).then_some(register);
            }
            if let Some(register) = written {
                pages[register].0 = u64::MAX;
            }
            at += 4;
        }
    }

    /// The part below the page that the first use of a register adds.
    pub(super) fn low_part(&self, from: usize, register: usize) -> Option<u64> {
        for at in (from..from + A64_AROUND as usize).step_by(4) {
            if at + 4 > self.around.len() {
                break;
            }
            let code = word(self.around, at);
            if let Some((_, low)) = below_page(code)
                && (code >> 5 & 31) as usize == register
            {
                return Some(low);
            }
            if code & 0x9f00_0000 == 0x9000_0000 && (code & 31) as usize == register {
                break;
            }
        }
        None
    }

    pub(super) fn arm(&self, out: &mut Scanned) {
        let lead = self.lead();
        let skew = (self.address(0) as usize).wrapping_neg() & 3;
        // Places of constants, with where the program counter is added to them, or 0.
        let mut pools: Vec<(usize, usize)> = Vec::new();
        let mut fields = Vec::new();
        let mut at = skew;
        while at + 4 <= self.around.len() && at < lead + self.len {
            let code = word(self.around, at);
            for index in at.max(lead)..(at + 4).min(lead + self.len) {
                out.classes[index - lead] = 8 + (code >> 25 & 7) as u8;
            }
            if code & 0x0e00_0000 == 0x0a00_0000 && at >= lead {
                let target = self
                    .address(at + 8)
                    .wrapping_add((Shape::Branch24.get(u64::from(code)) << 2) as u64);
                let kind = if code >> 24 & 1 == 1 { 0 } else { 3 };
                fields.push((
                    at,
                    Shape::Branch24,
                    Relation::Relative(8),
                    target & 0xffff_ffff,
                    kind,
                ));
            } else if code & 0x0f7f_0000 == 0x051f_0000 {
                let distance = (code & 0xfff) as usize;
                let place = if code >> 23 & 1 == 1 {
                    Some(at + 8 + distance)
                } else {
                    (at + 8).checked_sub(distance)
                };
                let register = code >> 12 & 15;
                let adds = (1..=ARM_AHEAD)
                    .map(|n| at + 4 * n)
                    .take_while(|at| at + 4 <= self.around.len())
                    .find(|at| {
                        let code = word(self.around, *at);
                        // add rd, pc, rm; ldr rd, [pc, rm]
                        (code & 0x0fff_0ff0 == 0x008f_0000 || code & 0x0fff_0ff0 == 0x079f_0000)
                            && code & 15 == register
                    });
                if let Some(place) = place.filter(|p| *p >= lead && p + 4 <= lead + self.len) {
                    pools.push((place, adds.map_or(0, |at| at + 8)));
                }
            }
            at += 4;
        }
        // Of several, one to which the program counter is added counts.
        pools.sort_unstable_by_key(|pool| (pool.0, pool.1 == 0, pool.1));
        pools.dedup_by_key(|pool| pool.0);
        fields.retain(|field| pools.binary_search_by_key(&field.0, |pool| pool.0).is_err());
        for (place, adds) in pools {
            let value = word(self.around, place);
            for class in &mut out.classes[place - lead..place - lead + 4] {
                *class = 7;
            }
            if adds > 0 {
                let target = u64::from((self.address(adds) as u32).wrapping_add(value));
                let more = adds as i32 - place as i32;
                fields.push((place, Shape::Word, Relation::Relative(more), target, 1));
            } else if self.program.layout.contains(u64::from(value)) {
                fields.push((place, Shape::Word, Relation::Absolute, u64::from(value), 2));
            }
        }
        fields.sort_unstable_by_key(|field| field.0);
        for (at, shape, relation, target, kind) in fields {
            self.push(out, at, shape, relation, target, kind);
        }
    }
}

/// The scale and the part below a page that an instruction adds to its source register.
fn below_page(code: u32) -> Option<(u8, u64)> {
    let scale = if code & 0xffc0_0000 == 0x9100_0000 {
        0
    } else if code & 0x3b00_0000 == 0x3900_0000 {
        match code >> 26 & 1 == 1 && code >> 23 & 1 == 1 {
            true => 4,
            false => (code >> 30) as u8,
        }
    } else {
        return None;
    };
    Some((scale, u64::from(code >> 10 & 0xfff) << scale & 0xfff))
}
