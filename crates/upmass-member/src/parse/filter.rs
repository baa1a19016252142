//! Branch filters, which make addresses in machine code absolute before LZMA sees it and relative
//! again after (The .xz File Format, 1.2, section 5.3.2).

use crate::recipe::XzFilter;

/// The most bytes that a filter waits for.
const BEHIND: usize = 5;

/// A filter of one direction over a stream.
pub(super) struct Filter {
    kind: XzFilter,
    forward: bool,
    /// What came and is not complete.
    held: Vec<u8>,
    /// Where that is.
    position: u32,
    x86: X86,
}

impl Filter {
    /// Whether there is one of this kind here.
    #[cfg(feature = "recognise")]
    pub(super) fn is_known(kind: XzFilter) -> bool {
        !matches!(kind, XzFilter::RiscV)
    }

    /// `forward`: for packing.
    pub(super) fn new(kind: XzFilter, forward: bool) -> Self {
        Self { kind, forward, held: Vec::new(), position: 0, x86: X86::default() }
    }

    /// Takes bytes and gives what is complete.
    pub(super) fn push(&mut self, bytes: &[u8], mut give: impl FnMut(&[u8])) {
        if self.kind == XzFilter::None {
            return give(bytes);
        }
        self.held.extend_from_slice(bytes);
        let done = self.convert();
        give(&self.held[..done]);
        self.held.drain(..done);
        self.position = self.position.wrapping_add(done as u32);
    }

    /// What is left at the end: it stays as it is.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Converts what is held, and says how much of it is complete.
    fn convert(&mut self) -> usize {
        let Self { kind, forward, held, position, x86 } = self;
        let (position, forward) = (*position, *forward);
        let shift = |value: u32, here: u32| match forward {
            true => value.wrapping_add(here),
            false => value.wrapping_sub(here),
        };
        match kind {
            XzFilter::None | XzFilter::RiscV => held.len(),
            XzFilter::X86 => x86.convert(held, position, forward),
            XzFilter::Arm => words(held, |word, at| {
                let value = u32::from_le_bytes(word);
                // A branch with link of any condition "always".
                if value >> 24 != 0xeb {
                    return word;
                }
                let target = shift(value << 2, position.wrapping_add(at).wrapping_add(8)) >> 2;
                (0xeb00_0000 | target & 0x00ff_ffff).to_le_bytes()
            }),
            XzFilter::PowerPc => words(held, |word, at| {
                let value = u32::from_be_bytes(word);
                // A branch with link to a relative address.
                if value >> 26 != 0x12 || value & 3 != 1 {
                    return word;
                }
                let target = shift(value & 0x03ff_fffc, position.wrapping_add(at));
                (0x4800_0001 | target & 0x03ff_fffc).to_be_bytes()
            }),
            XzFilter::Arm64 => words(held, |word, at| {
                let value = u32::from_le_bytes(word);
                let here = position.wrapping_add(at);
                if value >> 26 == 0x25 {
                    // BL.
                    let target = shift(value, here >> 2);
                    return (0x9400_0000 | target & 0x03ff_ffff).to_le_bytes();
                }
                if value & 0x9f00_0000 != 0x9000_0000 {
                    return word;
                }
                // ADRP, if the address is within 512 MiB.
                let from = (value >> 29 & 3) | (value >> 3 & 0x001f_fffc);
                if from.wrapping_add(0x0002_0000) & 0x001c_0000 != 0 {
                    return word;
                }
                let target = shift(from, here >> 12);
                let mut made = value & 0x9000_001f;
                made |= (target & 3) << 29;
                made |= (target & 0x0003_fffc) << 3;
                made |= 0u32.wrapping_sub(target & 0x0002_0000) & 0x00e0_0000;
                made.to_le_bytes()
            }),
            XzFilter::ArmThumb => {
                let mut at = 0;
                while at + 4 <= held.len() {
                    let half =
                        |i: usize| u32::from(u16::from_le_bytes([held[at + i], held[at + i + 1]]));
                    let (first, second) = (half(0), half(2));
                    // The two halves of a branch with link.
                    if first >> 11 != 0x1e || second >> 11 != 0x1f {
                        at += 2;
                        continue;
                    }
                    let value = (first & 0x7ff) << 11 | second & 0x7ff;
                    let here = position.wrapping_add(at as u32).wrapping_add(4);
                    let target = shift(value << 1, here) >> 1;
                    let first = 0xf000 | (target >> 11 & 0x7ff) as u16;
                    let second = 0xf800 | (target & 0x7ff) as u16;
                    held[at..at + 2].copy_from_slice(&first.to_le_bytes());
                    held[at + 2..at + 4].copy_from_slice(&second.to_le_bytes());
                    at += 4;
                }
                at
            }
        }
    }
}

/// Changes aligned words, and says how much they are.
fn words(bytes: &mut [u8], change: impl Fn([u8; 4], u32) -> [u8; 4]) -> usize {
    let (words, _) = bytes.as_chunks_mut::<4>();
    for (index, word) in words.iter_mut().enumerate() {
        *word = change(*word, index as u32 * 4);
    }
    words.len() * 4
}

/// CALL and JMP of x86: their addresses are told from other bytes by what came shortly before.
struct X86 {
    /// For each of the last bytes that may have been an opcode: that it was one, and whether its
    /// address could be one.
    seen: u32,
    /// Where the last opcode was.
    last: u32,
}

impl Default for X86 {
    fn default() -> Self {
        Self { seen: 0, last: 0u32.wrapping_sub(BEHIND as u32) }
    }
}

impl X86 {
    fn convert(&mut self, bytes: &mut [u8], position: u32, forward: bool) -> usize {
        let is_sign = |byte: u8| byte == 0 || byte == 0xff;
        if bytes.len() < BEHIND {
            return 0;
        }
        let mut at = 0;
        while at + BEHIND <= bytes.len() {
            if bytes[at] & 0xfe != 0xe8 {
                at += 1;
                continue;
            }
            let here = position.wrapping_add(at as u32);
            let gap = here.wrapping_sub(self.last);
            self.last = here;
            self.seen =
                if gap > 5 { 0 } else { (0..gap).fold(self.seen, |seen, _| (seen & 0x77) << 1) };
            let tried = self.seen >> 1;
            let top = bytes[at + 4];
            if !is_sign(top) || tried > 4 || tried == 3 {
                at += 1;
                self.seen |= if is_sign(top) { 0x11 } else { 1 };
                continue;
            }
            let address: [u8; 4] = bytes[at + 1..at + 5].try_into().expect("four bytes");
            let mut from = u32::from_le_bytes(address);
            let next = here.wrapping_add(BEHIND as u32);
            let target = loop {
                let target =
                    if forward { from.wrapping_add(next) } else { from.wrapping_sub(next) };
                if self.seen == 0 {
                    break target;
                }
                let bits = [0, 8, 16, 16, 24][tried as usize];
                if !is_sign((target >> (24 - bits)) as u8) {
                    break target;
                }
                from = target ^ ((1u64 << (32 - bits)) - 1) as u32;
            };
            let sign = 0u32.wrapping_sub(target >> 24 & 1) << 24;
            bytes[at + 1..at + 5].copy_from_slice(&(target & 0x00ff_ffff | sign).to_le_bytes());
            at += BEHIND;
            self.seen = 0;
        }
        at
    }
}

#[cfg(test)]
#[cfg(feature = "xz")]
mod tests {
    use super::*;

    fn filtered(kind: XzFilter, forward: bool, bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut filter = Filter::new(kind, forward);
        let mut out = Vec::new();
        for piece in bytes.chunks(piece) {
            filter.push(piece, |bytes| out.extend_from_slice(bytes));
        }
        out.extend(filter.finish());
        out
    }

    /// Bytes among which there are many that the filters look for.
    fn code(len: usize) -> Vec<u8> {
        let mut state = 7u64;
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                const LIKELY: [u8; 12] =
                    [0xe8, 0xe9, 0, 0xff, 0xeb, 0x48, 1, 0x94, 0x97, 0x90, 0xf0, 0xf8];
                match (state >> 60) as usize {
                    index @ 0..12 => LIKELY[index],
                    _ => (state >> 40) as u8,
                }
            })
            .collect()
    }

    #[test]
    fn filters_are_those_of_liblzma_however_their_input_is_cut() {
        for (_, kind) in XzFilter::ALL {
            if !Filter::is_known(kind) || kind == XzFilter::None {
                continue;
            }
            for len in [0, 1, 4, 5, 9, 1000, 100_000] {
                let plain = code(len);
                let expected = super::super::tests::filtered_by_liblzma(kind, &plain);
                for piece in [1, 7, 4096] {
                    let made = filtered(kind, true, &plain, piece);
                    assert!(made == expected, "{kind:?} {len} {piece}");
                    assert!(filtered(kind, false, &made, piece) == plain, "{kind:?} {len} {piece}");
                }
            }
        }
    }
}
