use liblzma::stream::{Action, Check, Filters, LzmaOptions, MtStreamBuilder, Status, Stream};

use super::*;
use crate::Recipe;
use crate::recipe::{XzBits, XzCheck, XzDict, XzStream};

fn filters(kind: XzFilter, options: &LzmaOptions) -> Filters {
    let mut filters = Filters::new();
    match kind {
        XzFilter::None => &mut filters,
        XzFilter::X86 => filters.x86(),
        XzFilter::PowerPc => filters.powerpc(),
        XzFilter::Arm => filters.arm(),
        XzFilter::ArmThumb => filters.arm_thumb(),
        XzFilter::Arm64 => filters.arm64(),
        XzFilter::RiscV => filters.riscv(),
    }
    .lzma2(options);
    filters
}

fn run(mut stream: Stream, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(input.len() * 2 + 4096);
    loop {
        let read = stream.total_in() as usize;
        out.reserve(4096);
        let status = stream.process_vec(&input[read..], &mut out, Action::Finish).unwrap();
        if status == Status::StreamEnd {
            return out;
        }
    }
}

/// What a branch filter of liblzma makes: its packed form, unpacked without the filter.
pub(super) fn filtered_by_liblzma(kind: XzFilter, plain: &[u8]) -> Vec<u8> {
    let options = LzmaOptions::new_preset(0).unwrap();
    let packed = run(Stream::new_raw_encoder(&filters(kind, &options)).unwrap(), plain);
    run(Stream::new_raw_decoder(&filters(XzFilter::None, &options)).unwrap(), &packed)
}

struct Packer {
    check: XzCheck,
    filter: XzFilter,
    blocks: XzBlocks,
    bits: XzBits,
    nice: u32,
}

const USUAL: Packer = Packer {
    check: XzCheck::Crc32,
    filter: XzFilter::None,
    blocks: XzBlocks::Unsized,
    bits: XzBits::DEFAULT,
    nice: 64,
};

impl Packer {
    fn recipe(&self, parse: u64, base: Option<u32>) -> XzParse {
        let Self { check, filter, blocks, bits, .. } = *self;
        let dict = XzDict::new(16).unwrap();
        XzParse { stream: XzStream { check, dict, bits, filter, blocks }, parse, base, places: 12 }
    }

    fn pack(&self, plain: &[u8]) -> Vec<u8> {
        let mut options = LzmaOptions::new_preset(6).unwrap();
        options.dict_size(XzDict::new(16).unwrap().size()).nice_len(self.nice);
        options.literal_context_bits(self.bits.lc()).literal_position_bits(self.bits.lp());
        options.position_bits(self.bits.pb());
        let filters = filters(self.filter, &options);
        let check = match self.check {
            XzCheck::None => Check::None,
            XzCheck::Crc32 => Check::Crc32,
            XzCheck::Crc64 => Check::Crc64,
            XzCheck::Sha256 => Check::Sha256,
        };
        let block = match self.blocks {
            XzBlocks::Unsized => {
                return run(Stream::new_stream_encoder(&filters, check).unwrap(), plain);
            }
            XzBlocks::One => plain.len() as u64,
            XzBlocks::Of(size) => size,
        };
        let mut builder = MtStreamBuilder::new();
        builder.threads(1).filters(filters).block_size(block).check(check);
        run(builder.encoder().unwrap(), plain)
    }
}

fn old_parse(packer: &Packer, plain: &[u8]) -> OldParse {
    let packed = packer.pack(plain);
    let lengths = Lengths { packed: packed.len() as u64, plain: plain.len() as u64 };
    let (unpacked, old) = read_parse(&packer.recipe(0, None), lengths, &packed).unwrap();
    assert!(unpacked == plain);
    old
}

/// Writes the parse of what the packer makes, and makes that again. Returns the length of the parse.
fn there_and_back(packer: &Packer, old: Option<(&OldParse, &[Move])>, plain: &[u8]) -> u64 {
    let packed = packer.pack(plain);
    let base = old.map(|_| 0);
    let (old, moves) = old.unzip();
    let recipe = packer.recipe(0, base);
    let parse = write_parse(&recipe, &packed, plain, old, moves.unwrap_or(&[])).unwrap();
    let recipe = packer.recipe(parse.len() as u64, base);
    let both = [plain, &parse].concat();
    let lengths = Lengths { packed: packed.len() as u64, plain: both.len() as u64 };
    let mut made = Vec::new();
    repack_parsed(&recipe, lengths, &both, old, &mut in_memory, &mut made).unwrap();
    assert!(made == packed);
    let bytes = Recipe::Parse(recipe).to_bytes();
    assert_eq!(Recipe::from_bytes(&bytes), Ok(Recipe::Parse(recipe)));
    parse.len() as u64
}

fn noise(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 33) % below
    }
}

/// Something like a program: words, some of them calls, that come again with differences.
fn content(len: usize, seed: u64) -> Vec<u8> {
    let mut random = noise(seed);
    let words: Vec<Vec<u8>> =
        (0..200).map(|_| (0..3 + random(12)).map(|_| random(200) as u8).collect()).collect();
    let mut out = Vec::new();
    while out.len() < len {
        out.extend_from_slice(&words[random(200) as usize]);
        if random(5) == 0 {
            out.push(0xe8);
            out.extend((random(len as u64) as u32).to_le_bytes());
        }
    }
    out.truncate(len);
    out
}

#[test]
fn streams_of_every_kind_are_made_again() {
    let plain = content(300_000, 1);
    for blocks in [XzBlocks::Unsized, XzBlocks::One, XzBlocks::Of(70_000)] {
        for (_, filter) in XzFilter::ALL.into_iter().filter(|(_, kind)| Filter::is_known(*kind)) {
            there_and_back(&Packer { filter, blocks, ..USUAL }, None, &plain[..100_000]);
        }
        for (_, check) in XzCheck::ALL {
            there_and_back(&Packer { check, blocks, ..USUAL }, None, &plain);
        }
    }
    for (lc, lp, pb) in [(0, 0, 0), (4, 0, 4), (1, 3, 1), (3, 0, 0), (0, 2, 3)] {
        let bits = XzBits::new((pb * 5 + lp) * 9 + lc).unwrap();
        there_and_back(&Packer { bits, nice: 273, ..USUAL }, None, &plain);
    }
    for len in [0, 1, 2, 3, 5, 273, 274, 4096] {
        there_and_back(&USUAL, None, &plain[..len]);
    }
    // Chunks that are stored, between others; long runs.
    let mut random = noise(3);
    let mixed: Vec<u8> = (0..600_000u32)
        .map(|at| match at / 90_000 % 3 {
            0 => random(256) as u8,
            1 => 0,
            _ => (at / 7 % 251) as u8,
        })
        .collect();
    there_and_back(&USUAL, None, &mixed);
    there_and_back(&Packer { blocks: XzBlocks::Of(100_000), ..USUAL }, None, &mixed);
}

#[test]
fn an_old_parse_makes_that_of_similar_content_short() {
    let old = content(400_000, 1);
    // Three changes, one of which moves what follows.
    let mut new = old.clone();
    new[100_000..100_010].fill(7);
    new.splice(200_000..200_000, content(300, 9));
    new[350_000] ^= 1;
    let moves =
        [Move { old: 0, new: 0, len: 200_000 }, Move { old: 200_000, new: 200_300, len: 200_000 }];
    for filter in [XzFilter::None, XzFilter::X86] {
        let packer = Packer { filter, ..USUAL };
        let without = there_and_back(&packer, None, &new);
        let parse = old_parse(&packer, &old);
        let with = there_and_back(&packer, Some((&parse, &moves)), &new);
        // Calls of x86 are other bytes for LZMA behind what has moved.
        let most = if filter == XzFilter::None { 10 } else { 2 };
        assert!(with * most < without, "{filter:?}: {with} of {without}");
        // Moves that are wrong only cost bytes.
        let wrong = [Move { old: 7, new: 300, len: 390_000 }];
        there_and_back(&packer, Some((&parse, &wrong)), &new);
        there_and_back(&packer, Some((&parse, &[])), &content(50_000, 4));
    }
}

#[test]
fn what_was_said_of_memory_is_kept() {
    let parts = model::MEMORY + moves::MOVES_MEMORY;
    // Chunks, the state of LZMA, groups of steps, and what is read at once.
    let others = 512 << 10;
    let recipe = Recipe::Parse(USUAL.recipe(0, None));
    let stated = crate::memory(&recipe, Lengths { packed: 0, plain: 0 });
    assert!(parts + (12 << 12) + others <= stated, "{parts}");
    assert!(space::WINDOW_MEMORY + others <= stated);
}

#[test]
fn damaged_streams_and_parses_are_refused() {
    let old = content(6_000, 1);
    let mut new = old.clone();
    new[2_000..2_010].fill(7);
    let packer = Packer { filter: XzFilter::X86, ..USUAL };
    let parse_of_old = old_parse(&packer, &old);
    let moves = [Move { old: 0, new: 0, len: 6_000 }];
    let packed = packer.pack(&new);
    let recipe = packer.recipe(0, Some(0));
    let parse = write_parse(&recipe, &packed, &new, Some(&parse_of_old), &moves).unwrap();
    let made = |parse: &[u8], base: Option<&OldParse>| {
        let recipe = packer.recipe(parse.len() as u64, Some(0));
        let both = [&new[..], parse].concat();
        let lengths = Lengths { packed: packed.len() as u64, plain: both.len() as u64 };
        let mut made = Vec::new();
        repack_parsed(&recipe, lengths, &both, base, &mut in_memory, &mut made).map(|()| made)
    };
    assert!(made(&parse, Some(&parse_of_old)).unwrap() == packed);
    assert!(made(&parse, None).is_err());
    for len in 0..parse.len() {
        // Zeros at the end may be left out.
        assert!(
            made(&parse[..len], Some(&parse_of_old)).is_ok_and(|made| made == packed)
                <= (len + 4 >= parse.len())
        );
    }
    for bit in 0..8 * parse.len() {
        let mut changed = parse.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let _ = made(&changed, Some(&parse_of_old));
    }
    // A stream that is read as an old one.
    let read = |packed: &[u8]| {
        let lengths = Lengths { packed: packed.len() as u64, plain: new.len() as u64 };
        read_parse(&packer.recipe(0, None), lengths, packed).map(|(plain, _)| plain)
    };
    assert!(read(&packed).unwrap() == new);
    // What is behind the block is not looked at.
    for len in 0..packed.len() - 40 {
        assert!(read(&packed[..len]).is_err(), "{len}");
    }
    for bit in (0..8 * packed.len()).step_by(3) {
        let mut changed = packed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let _ = read(&changed);
    }
}

#[test]
fn parses_are_what_they_were() {
    let old = content(60_000, 1);
    let mut new = old.clone();
    new[20_000..20_010].fill(7);
    new.splice(40_000..40_000, content(30, 9));
    let moves =
        [Move { old: 0, new: 0, len: 40_000 }, Move { old: 40_000, new: 40_030, len: 20_000 }];
    let packer = Packer { filter: XzFilter::X86, ..USUAL };
    let base = old_parse(&packer, &old);
    let packed = packer.pack(&new);
    let recipe = packer.recipe(0, Some(0));
    let parse = write_parse(&recipe, &packed, &new, Some(&base), &moves).unwrap();
    let alone = write_parse(&packer.recipe(0, None), &packed, &new, None, &[]).unwrap();
    let sum = |bytes: &[u8]| format!("{} {:08x}", bytes.len(), crc32fast::hash(bytes));
    let sums = [sum(&packed), sum(&parse), sum(&alone)];
    assert_eq!(sums, ["18556 c61e265d", "262 bb1a0995", "4283 b76f60d0"]);
}

#[test]
fn the_mark_of_an_end_and_other_matches_from_nowhere_are_refused() {
    // A stream of one chunk that LZMA of another kind would end so.
    let mut writer = Writer::new();
    let mut lzma = Lzma::new(XzBits::DEFAULT);
    struct Nothing;
    impl Past for Nothing {
        fn back(&mut self, _: u32) -> u8 {
            0
        }
    }
    lzma.code(&mut writer, 0, &mut Nothing, Token::Literal, 7);
    let end = Token::Match { distance: 0, len: 2, repeated: None };
    lzma.code(&mut writer, 1, &mut Nothing, end, 0);
    let chunk = Chunk { kind: Kind::Lzma(Reset::All), plain: 3, data: writer.finish() };
    let header = chunk.header(XzBits::DEFAULT).unwrap();
    let packed = [&[0; 12][..], &[0x02; 12], &header, &chunk.data, &[0; 40]].concat();
    let lengths = Lengths { packed: packed.len() as u64, plain: 3 };
    let refused = read_parse(&USUAL.recipe(0, None), lengths, &packed).map(|_| ());
    assert_eq!(refused, Err(damaged("a match reaches outside")));
    let too_long = Lengths { plain: MAX_PARSED + 1, ..lengths };
    assert!(read_parse(&USUAL.recipe(0, None), too_long, &packed).is_err());
}
