//! What packing and unpacking take: the same figures in every build, so that a device knows them
//! whatever it includes.

use crate::recipe::{Deflate, Lengths, Maker, Packer, Recipe, Xz, XzBlocks, XzParse, Zstd};

/// Bytes that [`repack`](crate::repack) needs at most.
pub fn memory(recipe: &Recipe, lengths: Lengths) -> u64 {
    match recipe {
        Recipe::Deflate(Deflate { maker: Maker::Known(packer), .. }) => deflate(*packer),
        Recipe::Deflate(Deflate { maker: Maker::Corrected(corrections), .. }) => {
            // Content, a token of 8 bytes for each byte of it at the worst, and what comes out;
            // all grow by doubling. The hash tables of the predictor.
            let tokens = lengths.plain.saturating_mul(22);
            tokens + 2 * lengths.packed + corrections.as_bytes().len() as u64 + 2 * MIB
        }
        Recipe::Xz(xz) => xz_encoder(xz, lengths) + BUFFERS,
        Recipe::Parse(parse) => parse_memory(parse, lengths.plain),
        Recipe::Zstd(zstd) => zstd_encoder(zstd, lengths.plain) + 2 * BUFFERS,
        Recipe::Lz4(_) => 2 * LZ4_BLOCK + MIB / 2,
    }
}

/// Bytes that [`unpack`](crate::unpack) needs at most.
pub fn unpack_memory(recipe: &Recipe, lengths: Lengths) -> u64 {
    match recipe {
        Recipe::Deflate(_) => 64 * KIB + BUFFERS,
        Recipe::Xz(xz) => xz_decoder(xz) + BUFFERS,
        Recipe::Parse(parse) => parse_memory(parse, lengths.plain),
        Recipe::Zstd(zstd) => (1 << zstd_window(zstd, lengths.plain)) + MIB + BUFFERS,
        Recipe::Lz4(_) => 2 * LZ4_BLOCK,
    }
}

/// What reading or writing a parse takes: moves, pages, buffers, the model; places of recent content;
/// the index of the steps of as much content, and the lengths of all blocks.
fn parse_memory(parse: &XzParse, plain: u64) -> u64 {
    let blocks = match parse.stream.blocks {
        XzBlocks::Unsized | XzBlocks::One => 1,
        XzBlocks::Of(size) => plain.div_ceil(size.max(1)),
    };
    2 * MIB + 640 * KIB + (12 << parse.places) + parse_index(plain) + 20 * blocks
}

/// What the index of the steps of an unpacked member takes as long as it is there: four bytes for each
/// 1024 steps of at least a byte, in a list that grows by doubling.
pub fn parse_index(plain: u64) -> u64 {
    plain / 128 + KIB
}

fn deflate(packer: Packer) -> u64 {
    let (hashes, symbols) = match packer {
        Packer::Zlib { mem_level, .. } => (128 << mem_level.get(), 64 << mem_level.get()),
        Packer::Gnu { .. } => (32 * KIB, 32 * KIB),
    };
    // The window of 64 KiB, places in half of it, the latest place of each hash, symbols of four
    // bytes in a list that grows by doubling; trees and buffers.
    64 * KIB + 64 * KIB + 2 * hashes + 2 * 4 * symbols + 32 * KIB
}

/// What liblzma's decoder may take.
pub(crate) fn xz_decoder(xz: &Xz) -> u64 {
    u64::from(xz.dict.size()) + 256 * KIB
}

/// What liblzma's encoder takes: its hash table, its chains or trees, its window, and the block.
fn xz_encoder(xz: &Xz, lengths: Lengths) -> u64 {
    let dict = u64::from(xz.dict.size());
    let preset = (xz.preset.level(), xz.preset.is_extreme());
    let is_tree = preset.1 || preset.0 >= 4;
    let is_short_hash = preset == (0, false);
    let mut hashes = (dict.next_power_of_two() / 2).max(64 * KIB);
    if hashes > 16 * MIB {
        hashes = if is_short_hash { 16 * MIB } else { hashes / 2 };
    }
    let links = if is_tree { 2 * dict } else { dict };
    let search = 4 * (hashes + 66 * KIB + links) + dict + dict / 2;
    // What a block becomes is collected, since its header has the length.
    let collected = match xz.blocks {
        XzBlocks::Unsized => 0,
        XzBlocks::One => lengths.packed,
        XzBlocks::Of(size) => lengths.packed.min(xz_data_bound(size)),
    };
    // The lengths of all blocks, for the index.
    let blocks = match xz.blocks {
        XzBlocks::Unsized | XzBlocks::One => 1,
        XzBlocks::Of(size) => lengths.plain.div_ceil(size.max(1)),
    };
    search + collected + blocks.saturating_mul(20).min(lengths.packed) + XZ_STATE
}

/// Most bytes that the data of a block takes: chunks of LZMA2 that are not compressed.
pub(crate) fn xz_data_bound(block: u64) -> u64 {
    block + block.div_ceil(1 << 16) * 3 + 1
}

/// The window of a frame as a power of two.
pub(crate) fn zstd_window(zstd: &Zstd, plain: u64) -> u32 {
    let window = match zstd.level.get() {
        ..=1 => 19,
        2 => 20,
        3..=8 => 21,
        9..=16 => 22,
        17..=19 => 23,
        20 => 25,
        21 => 26,
        22.. => 27,
    };
    let window = zstd.long.map_or(window, |long| u32::from(long.log()));
    if zstd.is_sized {
        window.min(plain.max(1).next_power_of_two().ilog2().max(10))
    } else {
        window
    }
}

/// What libzstd's encoder takes: measured, and rounded up.
fn zstd_encoder(zstd: &Zstd, plain: u64) -> u64 {
    let window = 1u64 << zstd_window(zstd, plain);
    // Tables as powers of two: hash and chain.
    let (hash, chain) = match zstd.level.get() {
        ..=0 => (14, 14),
        1 => (15, 14),
        2 => (16, 15),
        3 => (17, 16),
        4 => (18, 18),
        5 | 6 => (19, 18),
        7 | 8 => (20, 19),
        9 => (21, 20),
        10 | 11 => (22, 21),
        12 => (23, 22),
        13 => (22, 22),
        14 => (23, 22),
        15 => (23, 23),
        16 => (22, 22),
        17 | 18 => (22, 23),
        19 => (22, 24),
        20 => (23, 25),
        21 => (24, 26),
        _ => (25, 27),
    };
    let tables = (4u64 << hash) + (4 << chain) + (1 << hash);
    // A known length makes the tables smaller.
    let tables = if zstd.is_sized { tables.min(16 * window + 4 * MIB) } else { tables + 4 * MIB };
    let mut all = tables + window + 3 * MIB;
    if zstd.long.is_some() {
        all += window / 2 + MIB;
    }
    let is_cut = zstd.has_workers && (plain > 512 * KIB || !zstd.is_sized);
    if is_cut {
        // Jobs of four windows: one that is collected, those that wait, and what came out.
        all += 4 * (4 * window).max(MIB) + 4 * window + 8 * MIB;
    }
    all
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// What an encoder of liblzma takes beside what depends on the dictionary, rounded up.
const XZ_STATE: u64 = MIB;
/// Input and output of the codecs.
const BUFFERS: u64 = 256 * KIB;
const LZ4_BLOCK: u64 = 8 * MIB + 64 * KIB;
