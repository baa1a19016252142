//! Huffman trees of deflate blocks, built as zlib and GNU gzip both build them (RFC 1951 leaves
//! the choice among equally short codes, and of codes that are cut to the longest length, open).

/// Codes for literals, the end of the block, and lengths.
pub(super) const L_CODES: usize = 286;
/// Codes for distances.
pub(super) const D_CODES: usize = 30;
/// Codes for lengths of codes.
pub(super) const BL_CODES: usize = 19;
/// The code that ends a block.
pub(super) const END_BLOCK: usize = 256;

pub(super) const EXTRA_LBITS: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
pub(super) const EXTRA_DBITS: [u8; 30] = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
    13,
];
const EXTRA_BLBITS: [u8; 19] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7];
/// The order in which lengths of the codes for lengths are written.
pub(super) const BL_ORDER: [usize; 19] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// What is the same for all trees of one kind.
pub(super) struct Kind {
    codes: usize,
    extra: &'static [u8],
    extra_base: usize,
    max_length: usize,
    /// Lengths in a block with fixed codes.
    fixed: Option<fn(usize) -> u64>,
}

pub(super) const LITERALS: Kind = Kind {
    codes: L_CODES,
    extra: &EXTRA_LBITS,
    extra_base: 257,
    max_length: 15,
    fixed: Some(|code| u64::from(fixed_length(code))),
};
pub(super) const DISTANCES: Kind =
    Kind { codes: D_CODES, extra: &EXTRA_DBITS, extra_base: 0, max_length: 15, fixed: Some(|_| 5) };
pub(super) const LENGTHS: Kind =
    Kind { codes: BL_CODES, extra: &EXTRA_BLBITS, extra_base: 0, max_length: 7, fixed: None };

/// Bits of a literal or length in a block with fixed codes (RFC 1951, 3.2.6).
pub(super) fn fixed_length(code: usize) -> u8 {
    match code {
        0..=143 => 8,
        144..=255 => 9,
        256..=279 => 7,
        _ => 8,
    }
}

/// A tree, and what a block costs with it.
pub(super) struct Tree {
    pub(super) lengths: Vec<u8>,
    pub(super) codes: Vec<u16>,
    /// The highest code that is used.
    pub(super) max_code: usize,
    /// Bits of all symbols with this tree.
    pub(super) bits: u64,
    /// Bits of all symbols with fixed codes.
    pub(super) fixed_bits: u64,
}

impl Tree {
    /// Builds the tree for so many symbols of each code.
    pub(super) fn build(kind: &Kind, counts: &[u32]) -> Self {
        let mut builder = Builder::new(kind, counts);
        builder.join();
        let (bits, fixed_bits) = builder.cut();
        let lengths = builder.lengths;
        let codes = codes_of(&lengths, builder.max_code);
        Self { lengths, codes, max_code: builder.max_code, bits, fixed_bits }
    }
}

/// The canonical codes of given lengths, with their bits in the order in which they are written.
pub(super) fn codes_of(lengths: &[u8], max_code: usize) -> Vec<u16> {
    let mut count = [0u16; 16];
    for length in &lengths[..=max_code] {
        count[usize::from(*length)] += 1;
    }
    count[0] = 0;
    let mut next = [0u16; 16];
    for bits in 1..16 {
        next[bits] = (next[bits - 1] + count[bits - 1]) << 1;
    }
    let code_of = |length: &u8| {
        let length = usize::from(*length);
        if length == 0 {
            return 0;
        }
        let code = next[length];
        next[length] += 1;
        code.reverse_bits() >> (16 - length)
    };
    lengths[..=max_code].iter().map(code_of).collect()
}

struct Builder<'a> {
    kind: &'a Kind,
    /// Of leaves, then of inner nodes.
    counts: Vec<u32>,
    depth: Vec<u8>,
    parent: Vec<usize>,
    /// From 1 on a heap of what is not joined yet, at the end all nodes sorted by count.
    heap: [usize; HEAP],
    heap_len: usize,
    heap_max: usize,
    max_code: usize,
    lengths: Vec<u8>,
    /// Codes that are only there because a tree needs two: they cost nothing.
    forced: Vec<usize>,
}

impl<'a> Builder<'a> {
    fn new(kind: &'a Kind, counts: &[u32]) -> Self {
        let nodes = 2 * kind.codes + 1;
        let mut all = counts[..kind.codes].to_vec();
        all.resize(nodes, 0);
        let mut builder = Builder {
            kind,
            counts: all,
            depth: vec![0; nodes],
            parent: vec![0; nodes],
            heap: [0; HEAP],
            heap_len: 0,
            heap_max: HEAP,
            max_code: 0,
            lengths: vec![0; nodes],
            forced: Vec::new(),
        };
        let mut max_code = None;
        for code in 0..kind.codes {
            if builder.counts[code] != 0 {
                builder.heap_len += 1;
                builder.heap[builder.heap_len] = code;
                max_code = Some(code);
            }
        }
        while builder.heap_len < 2 {
            let code = match max_code {
                None => 0,
                Some(last) if last < 2 => last + 1,
                Some(_) => 0,
            };
            if max_code.is_none_or(|last| last < 2) {
                max_code = Some(code);
            }
            builder.heap_len += 1;
            builder.heap[builder.heap_len] = code;
            builder.counts[code] = 1;
            builder.forced.push(code);
        }
        builder.max_code = max_code.unwrap_or(0);
        builder
    }

    /// Joins the two rarest nodes until one is left.
    fn join(&mut self) {
        for k in (1..=self.heap_len / 2).rev() {
            self.sift_down(k);
        }
        let mut node = self.kind.codes;
        loop {
            let n = self.heap[1];
            self.heap[1] = self.heap[self.heap_len];
            self.heap_len -= 1;
            self.sift_down(1);
            let m = self.heap[1];
            self.heap_max -= 1;
            self.heap[self.heap_max] = n;
            self.heap_max -= 1;
            self.heap[self.heap_max] = m;
            self.counts[node] = self.counts[n] + self.counts[m];
            self.depth[node] = self.depth[n].max(self.depth[m]) + 1;
            self.parent[n] = node;
            self.parent[m] = node;
            self.heap[1] = node;
            node += 1;
            self.sift_down(1);
            if self.heap_len < 2 {
                break;
            }
        }
        self.heap_max -= 1;
        self.heap[self.heap_max] = self.heap[1];
    }

    fn sift_down(&mut self, mut k: usize) {
        let moved = self.heap[k];
        let mut child = 2 * k;
        while child <= self.heap_len {
            if child < self.heap_len && self.is_smaller(self.heap[child + 1], self.heap[child]) {
                child += 1;
            }
            if self.is_smaller(moved, self.heap[child]) {
                break;
            }
            self.heap[k] = self.heap[child];
            k = child;
            child *= 2;
        }
        self.heap[k] = moved;
    }

    fn is_smaller(&self, n: usize, m: usize) -> bool {
        (self.counts[n], self.depth[n]) <= (self.counts[m], self.depth[m])
    }

    /// Finds the lengths, none over the longest; returns bits with this tree and with fixed codes.
    fn cut(&mut self) -> (u64, u64) {
        let max = self.kind.max_length;
        let mut with_length = [0i32; 17];
        let mut overflow = 0;
        for at in self.heap_max + 1..HEAP {
            let node = self.heap[at];
            let mut bits = usize::from(self.lengths[self.parent[node]]) + 1;
            if bits > max {
                bits = max;
                overflow += 1;
            }
            self.lengths[node] = bits as u8;
            if node < self.kind.codes {
                with_length[bits] += 1;
            }
        }
        if overflow > 0 {
            self.redistribute(&mut with_length, overflow);
        }
        let mut sums = (0, 0);
        for code in 0..self.kind.codes {
            if self.counts[code] == 0 || self.forced.contains(&code) {
                continue;
            }
            let count = u64::from(self.counts[code]);
            let extra = match code.checked_sub(self.kind.extra_base) {
                Some(at) => u64::from(self.kind.extra[at]),
                None => 0,
            };
            sums.0 += count * (u64::from(self.lengths[code]) + extra);
            sums.1 += self.kind.fixed.map_or(0, |fixed| count * (fixed(code) + extra));
        }
        // A forced code is counted as 0 bits by the fixed codes, and with its length less one here.
        for code in &self.forced {
            sums.0 += u64::from(self.lengths[*code]) - 1;
        }
        self.lengths.truncate(self.kind.codes);
        sums
    }

    fn redistribute(&mut self, with_length: &mut [i32; 17], mut overflow: i32) {
        let max = self.kind.max_length;
        while overflow > 0 {
            let mut bits = max - 1;
            while with_length[bits] == 0 {
                bits -= 1;
            }
            with_length[bits] -= 1;
            with_length[bits + 1] += 2;
            with_length[max] -= 1;
            overflow -= 2;
        }
        let mut at = HEAP;
        for bits in (1..=max).rev() {
            let mut left = with_length[bits];
            while left != 0 {
                at -= 1;
                let node = self.heap[at];
                if node < self.kind.codes {
                    self.lengths[node] = bits as u8;
                    left -= 1;
                }
            }
        }
    }
}

const HEAP: usize = 2 * L_CODES + 1;
