//! Deflate blocks: symbols are collected, then written with the codes that cost least.

use std::io::{self, Write};

use super::tree::{
    BL_ORDER, D_CODES, DISTANCES, END_BLOCK, EXTRA_DBITS, EXTRA_LBITS, L_CODES, LENGTHS, LITERALS,
    Tree, codes_of, fixed_length,
};

/// The symbols of a block, as distance (0: a literal) and literal or length - 3.
pub(super) struct Symbols {
    all: Vec<(u16, u8)>,
    literals: [u32; L_CODES],
    distances: [u32; D_CODES],
    matches: usize,
}

impl Symbols {
    pub(super) fn new() -> Self {
        let mut symbols =
            Self { all: Vec::new(), literals: [0; L_CODES], distances: [0; D_CODES], matches: 0 };
        symbols.clear();
        symbols
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn literal(&mut self, byte: u8) {
        self.all.push((0, byte));
        self.literals[usize::from(byte)] += 1;
    }

    /// `distance` from 1 to 32768, `length` from 3 to 258.
    pub(super) fn repeat(&mut self, distance: usize, length: usize) {
        let length = (length - 3) as u8;
        self.all.push((distance as u16, length));
        self.literals[257 + length_code(length)] += 1;
        self.distances[distance_code(distance - 1)] += 1;
        self.matches += 1;
    }

    pub(super) fn matches(&self) -> usize {
        self.matches
    }

    /// Bits of all distances if each code had five.
    pub(super) fn bits_of_distances(&self) -> u64 {
        let costs = EXTRA_DBITS.iter().map(|extra| 5 + u64::from(*extra));
        self.distances.iter().zip(costs).map(|(count, cost)| u64::from(*count) * cost).sum()
    }

    fn clear(&mut self) {
        self.all.clear();
        self.literals = [0; L_CODES];
        self.distances = [0; D_CODES];
        self.literals[END_BLOCK] = 1;
        self.matches = 0;
    }
}

/// Writes the block and forgets its symbols. `stored` is its content, if the packer still has it.
pub(super) fn put_block(
    out: &mut Bits<'_>,
    symbols: &mut Symbols,
    stored: Option<&[u8]>,
    only_fixed: bool,
    is_last: bool,
) -> io::Result<()> {
    let literals = Tree::build(&LITERALS, &symbols.literals);
    let distances = Tree::build(&DISTANCES, &symbols.distances);
    let lengths = [
        runs_of(&literals.lengths[..=literals.max_code]),
        runs_of(&distances.lengths[..=distances.max_code]),
    ]
    .concat();
    let mut counts = [0; BL_ORDER.len()];
    for (code, _) in &lengths {
        counts[*code] += 1;
    }
    let of_lengths = Tree::build(&LENGTHS, &counts);
    let used = BL_ORDER.iter().rposition(|code| of_lengths.lengths[*code] != 0).unwrap_or(0);
    let used = used.max(3) + 1;

    let head = of_lengths.bits + 3 * used as u64 + 5 + 5 + 4;
    let dynamic = (literals.bits + distances.bits + head + 3 + 7) >> 3;
    let fixed = (literals.fixed_bits + distances.fixed_bits + 3 + 7) >> 3;
    let is_fixed = fixed <= dynamic || only_fixed;
    let best = if is_fixed { fixed } else { dynamic };
    let last = u32::from(is_last);
    match stored {
        Some(content) if content.len() as u64 + 4 <= best => {
            out.put(last, 3)?;
            out.align()?;
            let len = content.len() as u16;
            out.put(u32::from(len), 16)?;
            out.put(u32::from(!len), 16)?;
            out.raw(content)?;
        }
        _ if is_fixed => {
            out.put((1 << 1) + last, 3)?;
            let lengths: Vec<u8> = (0..L_CODES + 2).map(fixed_length).collect();
            let codes = codes_of(&lengths, L_CODES + 1);
            let five = vec![5; D_CODES];
            let distances = codes_of(&five, D_CODES - 1);
            put_symbols(out, symbols, (&codes, &lengths), (&distances, &five))?;
        }
        _ => {
            out.put((2 << 1) + last, 3)?;
            out.put((literals.max_code + 1 - 257) as u32, 5)?;
            out.put(distances.max_code as u32, 5)?;
            out.put((used - 4) as u32, 4)?;
            for code in &BL_ORDER[..used] {
                out.put(u32::from(of_lengths.lengths[*code]), 3)?;
            }
            for (code, times) in &lengths {
                out.put(u32::from(of_lengths.codes[*code]), of_lengths.lengths[*code])?;
                match code {
                    16 => out.put(*times, 2)?,
                    17 => out.put(*times, 3)?,
                    18 => out.put(*times, 7)?,
                    _ => {}
                }
            }
            let with_literals = (&literals.codes[..], &literals.lengths[..]);
            let with_distances = (&distances.codes[..], &distances.lengths[..]);
            put_symbols(out, symbols, with_literals, with_distances)?;
        }
    }
    symbols.clear();
    Ok(())
}

type Code<'a> = (&'a [u16], &'a [u8]);

fn put_symbols(
    out: &mut Bits<'_>,
    symbols: &Symbols,
    literals: Code<'_>,
    distances: Code<'_>,
) -> io::Result<()> {
    let put = |out: &mut Bits<'_>, code: Code<'_>, symbol: usize| {
        out.put(u32::from(code.0[symbol]), code.1[symbol])
    };
    for (distance, byte) in &symbols.all {
        if *distance == 0 {
            put(out, literals, usize::from(*byte))?;
            continue;
        }
        let code = length_code(*byte);
        put(out, literals, 257 + code)?;
        out.put(u32::from(*byte) - LENGTH_BASE[code], EXTRA_LBITS[code])?;
        let distance = usize::from(*distance) - 1;
        let code = distance_code(distance);
        put(out, distances, code)?;
        out.put((distance - DISTANCE_BASE[code]) as u32, EXTRA_DBITS[code])?;
    }
    put(out, literals, END_BLOCK)
}

/// Lengths of codes as codes for lengths, with how often beyond the least the code repeats.
fn runs_of(lengths: &[u8]) -> Vec<(usize, u32)> {
    let mut runs = Vec::new();
    let mut previous = None;
    let (mut max, mut min) = if lengths[0] == 0 { (138, 3) } else { (7, 4) };
    let mut count = 0;
    for (at, length) in lengths.iter().enumerate() {
        let next = lengths.get(at + 1);
        count += 1;
        if count < max && next == Some(length) {
            continue;
        }
        let code = usize::from(*length);
        if count < min {
            runs.extend((0..count).map(|_| (code, 0)));
        } else if code != 0 {
            if previous != Some(*length) {
                runs.push((code, 0));
                count -= 1;
            }
            runs.push((16, count - 3));
        } else if count <= 10 {
            runs.push((17, count - 3));
        } else {
            runs.push((18, count - 11));
        }
        count = 0;
        previous = Some(*length);
        (max, min) = match next {
            Some(0) => (138, 3),
            next if next == Some(length) => (6, 3),
            _ => (7, 4),
        };
    }
    runs
}

const fn bases<const N: usize>(extra: &[u8; N]) -> [usize; N] {
    let mut bases = [0; N];
    let mut code = 1;
    while code < N {
        bases[code] = bases[code - 1] + (1 << extra[code - 1]);
        code += 1;
    }
    bases
}

const DISTANCE_BASE: [usize; 30] = bases(&EXTRA_DBITS);
const LENGTH_BASE: [u32; 29] = {
    let bases = bases(&EXTRA_LBITS);
    let mut narrow = [0; 29];
    let mut code = 0;
    while code < 28 {
        narrow[code] = bases[code] as u32;
        code += 1;
    }
    // The longest length has a code of its own.
    narrow[28] = 255;
    narrow
};

/// The code, from 257 on, of a length less 3.
fn length_code(length: u8) -> usize {
    match length {
        0..=7 => usize::from(length),
        255 => 28,
        _ => {
            let log = length.ilog2() as usize;
            4 * (log - 2) + 4 + (usize::from(length) >> (log - 2)) - 4
        }
    }
}

/// The code of a distance less 1.
fn distance_code(distance: usize) -> usize {
    match distance {
        0..=3 => distance,
        _ => {
            let log = distance.ilog2() as usize;
            2 * log + (distance >> (log - 1)) - 2
        }
    }
}

/// Writes bits, the lowest first.
pub(super) struct Bits<'a> {
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
    bits: u64,
    count: u8,
}

impl<'a> Bits<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, buffer: Vec::with_capacity(BUFFER + 8), bits: 0, count: 0 }
    }

    fn put(&mut self, value: u32, count: u8) -> io::Result<()> {
        self.bits |= u64::from(value) << self.count;
        self.count += count;
        while self.count >= 8 {
            self.buffer.push(self.bits as u8);
            self.bits >>= 8;
            self.count -= 8;
        }
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn align(&mut self) -> io::Result<()> {
        let rest = (8 - self.count) % 8;
        self.put(0, rest)
    }

    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.flush()?;
        self.out.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.align()?;
        self.flush()
    }
}

const BUFFER: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_lengths_and_distances_are_those_of_their_ranges() {
        for length in 0..=255u8 {
            let last = LENGTH_BASE.iter().rposition(|base| *base <= u32::from(length));
            assert_eq!(Some(length_code(length)), last, "{length}");
        }
        for distance in 0..32768 {
            let last = DISTANCE_BASE.iter().rposition(|base| *base <= distance);
            assert_eq!(Some(distance_code(distance)), last, "{distance}");
        }
    }
}
