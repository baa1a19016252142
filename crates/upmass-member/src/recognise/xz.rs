//! `.xz` streams (The .xz File Format, 1.2).

use liblzma::stream::{Action, Status, Stream};

use super::{Finder, Front, Unpacked};
use crate::recipe::{Xz, XzBits, XzBlocks, XzCheck, XzDict, XzFilter, XzPreset};
use crate::xz::pack_front;
use crate::{Codec, Recipe};

/// A stream, which says all but the preset. Returns where it ends.
pub(super) fn stream(finder: &mut Finder<'_>, at: usize, end: usize) -> Option<usize> {
    let content = &finder.content[at..end];
    let Unpacked { packed_len, plain } = unpack(content, finder.limits.max_plain)?;
    if let Some(head) = Head::read(&content[..packed_len], plain.len() as u64) {
        let block = match head.blocks {
            XzBlocks::Of(size) => plain.len().min(usize::try_from(size).unwrap_or(usize::MAX)),
            XzBlocks::Unsized | XzBlocks::One => plain.len(),
        };
        let data = &content[head.data..packed_len];
        let is_tried = finder.may_use(Codec::Xz);
        let is_known = presets(head.dict).filter(|_| is_tried).any(|preset| {
            let recipe = head.with(preset);
            fits(&recipe, &plain[..block], data)
                && finder.accept(at, packed_len, &plain, &Recipe::Xz(recipe))
        });
        if !is_known {
            finder.accept_parse(at, packed_len, &plain, head.with(XzPreset::ALL[0]).stream());
        }
    }
    Some(at + packed_len)
}

/// Whether the preset makes the front of the first block.
fn fits(recipe: &Xz, block: &[u8], data: &[u8]) -> bool {
    let mut front = Front::new(data);
    let is_all = block.len() <= SHORT;
    let front_of_block = &block[..block.len().min(LONGEST_FRONT)];
    let packed = pack_front(recipe, front_of_block, is_all, |bytes| front.take(bytes));
    packed.is_ok() && !front.differs
}

/// Presets in the order of how likely they are with a dictionary.
fn presets(dict: XzDict) -> impl Iterator<Item = XzPreset> {
    let likely = match dict.size() >> 10 {
        256 => XzPreset::new(0, false),
        2048 => XzPreset::new(2, false),
        4096 => XzPreset::new(4, false),
        _ => XzPreset::new(6, false),
    };
    let others = XzPreset::ALL.into_iter().filter(move |preset| Some(*preset) != likely);
    likely.into_iter().chain(others)
}

/// What the headers of a stream and of its first block say.
struct Head {
    check: XzCheck,
    dict: XzDict,
    bits: XzBits,
    filter: XzFilter,
    blocks: XzBlocks,
    /// Where the data of the first block begins.
    data: usize,
}

impl Head {
    fn read(stream: &[u8], plain_len: u64) -> Option<Self> {
        let check = *stream.get(7)?;
        let check = XzCheck::ALL.iter().find(|(code, _)| *code == check)?.1;
        let size = match *stream.get(12)? {
            0 => return None,
            size => (usize::from(size) + 1) * 4,
        };
        let data = 12 + size;
        let mut header = stream.get(13..data.checked_sub(4)?)?;
        let flags = byte(&mut header)?;
        let mut block_len = None;
        match flags & 0xc0 {
            0 => {}
            0xc0 => {
                number(&mut header)?;
                block_len = Some(number(&mut header)?);
            }
            _ => return None,
        }
        let mut filter = XzFilter::None;
        if flags & 3 == 1 {
            let code = byte(&mut header)?;
            filter = XzFilter::ALL[1..].iter().find(|(other, _)| *other == code)?.1;
            if byte(&mut header)? != 0 {
                return None;
            }
        } else if flags & 3 != 0 {
            return None;
        }
        if (byte(&mut header)?, byte(&mut header)?) != (LZMA2, 1) {
            return None;
        }
        let dict = XzDict::new(byte(&mut header)?)?;
        let blocks = match block_len {
            None => XzBlocks::Unsized,
            Some(len) if len >= plain_len => {
                let filters = if filter == XzFilter::None { 3 } else { 5 };
                one_block(size, filters, plain_len)?
            }
            Some(len) => XzBlocks::Of(len),
        };
        let chunk = stream.get(data..)?;
        let bits = match *chunk.first()? {
            // The chunk begins with new bits.
            0xc0.. => XzBits::new(*chunk.get(5)?)?,
            _ => XzBits::DEFAULT,
        };
        Some(Self { check, dict, bits, filter, blocks, data })
    }

    fn with(&self, preset: XzPreset) -> Xz {
        Xz {
            check: self.check,
            preset,
            dict: self.dict,
            bits: self.bits,
            filter: self.filter,
            blocks: self.blocks,
        }
    }
}

/// One block whose header has so many bytes: it was made with room for the lengths of a longer
/// block, of which only the number of bytes of its length is known.
fn one_block(header: usize, filters: usize, plain_len: u64) -> Option<XzBlocks> {
    let has_room = |block: u64| {
        let digits = |number: u64| (number.max(1).ilog2() / 7 + 1) as usize;
        let packed = block + block / 4096 + 100;
        (6 + digits(packed) + digits(block) + filters).next_multiple_of(4) == header
    };
    if has_room(plain_len) {
        return Some(XzBlocks::One);
    }
    let longer = [14, 21].map(|log| 1u64 << log).into_iter();
    longer.filter(|block| *block > plain_len).find(|block| has_room(*block)).map(XzBlocks::Of)
}

fn byte(input: &mut &[u8]) -> Option<u8> {
    let (first, rest) = input.split_first()?;
    *input = rest;
    Some(*first)
}

fn number(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let next = byte(input)?;
        value |= u64::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn unpack(content: &[u8], max_plain: u64) -> Option<Unpacked> {
    let mut stream = Stream::new_stream_decoder(1 << 30, 0).ok()?;
    let mut plain = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = stream.total_in() as usize;
        let before = stream.total_out();
        let status = stream.process(&content[read..], &mut buffer, Action::Run).ok()?;
        let written = (stream.total_out() - before) as usize;
        plain.extend_from_slice(&buffer[..written]);
        if plain.len() as u64 > max_plain {
            return None;
        }
        match status {
            Status::StreamEnd => {
                return Some(Unpacked { packed_len: stream.total_in() as usize, plain });
            }
            _ if written == 0 && stream.total_in() as usize == read => return None,
            _ => {}
        }
    }
}

const LZMA2: u8 = 0x21;
/// A block so short is packed whole at once.
const SHORT: usize = 1 << 20;
/// The front of a longer one. A chunk of LZMA2 holds at most 2 MiB.
const LONGEST_FRONT: usize = 8 << 20;
