//! Fields of tables: relocations, symbols, headers, pointers and what kernels have.

use super::*;

impl Chunk<'_> {
    pub(super) fn relocations(&self, out: &mut Scanned) {
        const X86_RELATIVE: u64 = 8;
        const A64_RELATIVE: u64 = 1027;
        self.classify(out, 24);
        self.records(24, |at| {
            let (offset, info, addend) =
                (long(self.around, at), long(self.around, at + 8), long(self.around, at + 16));
            self.push(out, at, Shape::Long, Relation::Absolute, offset, 13);
            if matches!(info, X86_RELATIVE | A64_RELATIVE) {
                self.push(out, at + 16, Shape::Long, Relation::Absolute, addend, 14);
            }
        });
    }

    pub(super) fn object_relocations(
        &self,
        out: &mut Scanned,
        changed: u64,
        symbols: u64,
        is_code: bool,
    ) {
        const X86_PC: [u32; 2] = [2, 4];
        self.classify(out, 24);
        self.records(24, |at| {
            let (offset, kind) = (long(self.around, at), word(self.around, at + 8));
            let (symbol, addend) = (word(self.around, at + 12), long(self.around, at + 16));
            let place = changed.wrapping_add(offset);
            self.push(out, at, Shape::Long, Relation::Offset(changed), place, 27);
            if symbol == 0 {
                return;
            }
            let entry = symbols.wrapping_add(24 * u64::from(symbol));
            self.push(out, at + 12, Shape::Word, Relation::Entry(symbols), entry, 28);
            let section = self.program.sections.get(symbol as usize).copied().unwrap_or(0);
            if let Some(Some(start)) = self.program.places.get(usize::from(section))
                && section != 0
            {
                // Instructions count from their end, which is where the field ends mostly.
                let less = if is_code && X86_PC.contains(&kind) { 4 } else { 0 };
                let target = start.wrapping_add(addend).wrapping_add(less.into());
                self.push(out, at + 16, Shape::Long, Relation::Addend(*start, less), target, 29);
            }
        });
    }

    pub(super) fn places(&self, out: &mut Scanned) {
        self.classify(out, 4);
        self.records(4, |at| {
            let address = extend(word(self.around, at));
            if self.program.layout.contains(address) {
                self.push(out, at, Shape::Word, Relation::Absolute, address, 37);
            }
        });
    }

    pub(super) fn types(
        &self,
        out: &mut Scanned,
        records: &[(u64, Record)],
        names: u64,
        is_split: bool,
    ) {
        let end = self.start + self.len as u64;
        for (start, record) in records {
            let len = record.len().unwrap_or(0);
            let words = self.start.saturating_sub(*start).div_ceil(4)..len / 4;
            for index in words {
                let place = start + 4 * index;
                if place + 4 > end {
                    break;
                }
                let at = (place - self.from) as usize;
                let value = u64::from(word(self.around, at));
                let (role, class) = record.word(index);
                out.classes[at - self.lead()..][..4].fill(class);
                let (relation, target, kind) = match role {
                    Role::Name if is_split => (Relation::Token(Token::TypeName), value, 34),
                    Role::Name => (Relation::Offset(names), names.wrapping_add(value), TYPE_NAME),
                    Role::Type => (Relation::Token(Token::Type), value, 35),
                    Role::Other => continue,
                };
                if value != 0 {
                    self.push(out, at, Shape::Word, relation, target, kind);
                }
            }
        }
    }

    pub(super) fn checksums(&self, out: &mut Scanned, size: u64, shape: Shape) {
        self.classify(out, size);
        self.records(size, |at| {
            let value = match shape {
                Shape::Long => long(self.around, at),
                _ => u64::from(word(self.around, at)),
            };
            self.push(out, at, shape, Relation::Token(Token::Checksum), value, 36);
        });
    }

    pub(super) fn header(&self, out: &mut Scanned) {
        const ENTRY: u64 = 24;
        const SECTIONS: u64 = 40;
        self.classify(out, 64);
        let start = self.program.layout.start;
        for (place, relation, kind) in
            [(ENTRY, Relation::Absolute, 30), (SECTIONS, Relation::Offset(start), 31)]
        {
            let Some(at) = (self.region.start + place).checked_sub(self.from) else { continue };
            if at + 8 <= self.around.len() as u64 {
                let value = long(self.around, at as usize);
                let target = match kind {
                    30 => value,
                    _ => start.wrapping_add(value),
                };
                if value != 0 {
                    self.push(out, at as usize, Shape::Long, relation, target, kind);
                }
            }
        }
    }

    pub(super) fn sections(&self, out: &mut Scanned) {
        const NOBITS: u32 = 8;
        self.classify(out, 64);
        let start = self.program.layout.start;
        self.records(64, |at| {
            let kind = word(self.around, at + 4);
            let [address, offset, size] = [16, 24, 32].map(|place| long(self.around, at + place));
            if address != 0 {
                self.push(out, at + 16, Shape::Long, Relation::Absolute, address, 30);
            }
            let place = start.wrapping_add(offset);
            if offset != 0 {
                self.push(out, at + 24, Shape::Long, Relation::Offset(start), place, 31);
            }
            if size != 0 && kind != NOBITS {
                let end = place.wrapping_add(size);
                self.push(out, at + 32, Shape::Long, Relation::Offset(place), end, 32);
            }
        });
    }

    pub(super) fn short_relocations(&self, out: &mut Scanned) {
        self.classify(out, 8);
        self.records(8, |at| {
            let offset = u64::from(word(self.around, at));
            self.push(out, at, Shape::Word, Relation::Absolute, offset, 13);
        });
    }

    pub(super) fn symbols(&self, out: &mut Scanned, names: u64, is_64: bool) {
        let size = if is_64 { 24 } else { 16 };
        self.classify(out, size);
        self.records(size, |at| {
            let name = names.wrapping_add(u64::from(word(self.around, at)));
            self.push(out, at, Shape::Word, Relation::Offset(names), name, NAME);
            let (section, value, length) = match is_64 {
                true => (
                    &self.around[at + 6..at + 8],
                    long(self.around, at + 8),
                    long(self.around, at + 16),
                ),
                false => (
                    &self.around[at + 14..at + 16],
                    u64::from(word(self.around, at + 4)),
                    u64::from(word(self.around, at + 8)),
                ),
            };
            if section == [0, 0] || value == 0 && (length == 0 || !self.program.is_object) {
                return;
            }
            if self.program.is_object {
                let index = usize::from(u16::from_le_bytes([section[0], section[1]]));
                if is_64 && let Some(Some(place)) = self.program.places.get(index) {
                    let target = place.wrapping_add(value);
                    self.push(out, at + 8, Shape::Long, Relation::Offset(*place), target, 16);
                    if length > 0 {
                        let end = target.wrapping_add(length);
                        self.push(out, at + 16, Shape::Long, Relation::Offset(target), end, 17);
                    }
                }
                return;
            }
            let shape = if is_64 { Shape::Long } else { Shape::Word };
            let (value_at, length_at) = if is_64 { (at + 8, at + 16) } else { (at + 4, at + 8) };
            self.push(out, value_at, shape, Relation::Absolute, value, 16);
            if length > 0 {
                self.push(
                    out,
                    length_at,
                    shape,
                    Relation::From(value),
                    value.wrapping_add(length),
                    17,
                );
            }
        });
    }

    pub(super) fn arm_index(&self, out: &mut Scanned) {
        self.classify(out, 8);
        let mut at = self.lead() + (4 - (self.start - self.region.start) % 4) as usize % 4;
        while at + 4 <= self.lead() + self.len {
            let value = word(self.around, at);
            let is_first = (self.from + at as u64 - self.region.start).is_multiple_of(8);
            // The second word may be an inline table, or the mark of a function without any.
            if value >> 31 == 0 && (is_first || value != 1) {
                let distance = Shape::Place31.get(u64::from(value)) as u64;
                let target = self.address(at).wrapping_add(distance) & 0xffff_ffff;
                self.push(
                    out,
                    at,
                    Shape::Place31,
                    Relation::Relative(0),
                    target,
                    23 + u8::from(!is_first),
                );
            }
            at += 4;
        }
    }

    pub(super) fn pointers(&self, out: &mut Scanned, width: usize) {
        let address = self.address(self.lead());
        for (index, class) in out.classes.iter_mut().enumerate() {
            *class = (address.wrapping_add(index as u64) % 8) as u8;
        }
        let mut at = self.lead() + (width as u64 - address % width as u64) as usize % width;
        while at + width <= self.lead() + self.len {
            let (value, shape) = match width {
                8 => (long(self.around, at), Shape::Long),
                _ => (u64::from(word(self.around, at)), Shape::Word),
            };
            if value >= 4096 && self.program.layout.contains(value) {
                self.push(out, at, shape, Relation::Absolute, value, 25);
            }
            at += width;
        }
    }

    pub(super) fn relatives(&self, out: &mut Scanned, is_target: impl Fn(&Layout, u64) -> bool) {
        let address = self.address(self.lead());
        for (index, class) in out.classes.iter_mut().enumerate() {
            *class = (address.wrapping_add(index as u64) % 8) as u8;
        }
        let mut at = self.lead() + (4 - address % 4) as usize % 4;
        while at + 4 <= self.lead() + self.len {
            let value = word(self.around, at);
            // The distance from the start of a table of jumps, which is not far.
            let target = self.address(at).wrapping_add(extend(value));
            if value >> 16 != 0 && is_target(&self.program.layout, target) {
                self.push(out, at, Shape::Word, Relation::Relative(0), target, 26);
            }
            at += 4;
        }
    }
}
