//! `.xz` streams: LZMA2 by liblzma, and around it what its encoder for threads writes. That one
//! holds each block three times in memory; here only what it was packed to is held, once.

use std::io::{self, Read, Write};

use liblzma::stream::{Action, Check, Error as LzmaError, Filters, LzmaOptions, Status, Stream};

use crate::Codec;
use crate::bounded::{CHUNK, Sink, Source};
use crate::error::{Error, Result};
use crate::memory::{xz_data_bound, xz_decoder};
use crate::recipe::{Lengths, Xz, XzBlocks, XzCheck, XzFilter};
use crate::stream::{Container, Sum};

pub(crate) fn unpack(recipe: &Xz, source: &mut Source<'_>, sink: &mut Sink<'_>) -> Result<()> {
    let stream =
        Stream::new_stream_decoder(xz_decoder(recipe), 0).map_err(|error| damaged(&error))?;
    code(stream, source, sink, damaged)
}

pub(crate) fn repack(
    recipe: &Xz,
    lengths: Lengths,
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let filters = filters(recipe)?;
    let block = match recipe.blocks {
        XzBlocks::Of(size) => size,
        XzBlocks::One => lengths.plain.max(1),
        XzBlocks::Unsized => {
            let check = match recipe.check {
                XzCheck::None => Check::None,
                XzCheck::Crc32 => Check::Crc32,
                XzCheck::Crc64 => Check::Crc64,
                XzCheck::Sha256 => Check::Sha256,
            };
            let stream = Stream::new_stream_encoder(&filters, check).map_err(failed_as)?;
            return code(stream, source, sink, failed);
        }
    };
    let stream = recipe.stream();
    let mut container = Container::start(&stream, block, sink)?;
    let mut left = lengths.plain;
    while left > 0 {
        let len = left.min(block);
        let mut data =
            Data { pieces: Vec::new(), len: 0, limit: lengths.packed.min(xz_data_bound(block)) };
        let mut plain = Checked { source, left: len, sum: Sum::new(recipe.check) };
        let stream = Stream::new_raw_encoder(&filters).map_err(failed_as)?;
        let coded = code(stream, &mut plain, &mut data, failed);
        if data.len > data.limit {
            return Err(Error::Length { what: "packed", declared: lengths.packed });
        }
        coded?;
        let Checked { sum, .. } = plain;
        container.begin(Some(data.len), len, sink)?;
        for piece in &data.pieces {
            sink.write_all(piece).map_err(Error::io("member"))?;
        }
        container.end(data.len, len, sum, sink)?;
        left -= len;
    }
    container.finish(sink)
}

/// The next bytes of the content, with their checksum.
struct Checked<'a, 'b> {
    source: &'a mut Source<'b>,
    left: u64,
    sum: Sum,
}

impl Read for Checked<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.left.min(buffer.len() as u64) as usize;
        let count = self.source.read(&mut buffer[..count])?;
        self.sum.push(&buffer[..count]);
        self.left -= count as u64;
        Ok(count)
    }
}

/// What a block was packed to; its length comes before it.
struct Data {
    pieces: Vec<Vec<u8>>,
    len: u64,
    limit: u64,
}

impl Write for Data {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.len += bytes.len() as u64;
        if self.len > self.limit {
            return Err(io::Error::other("a block is longer than what was declared"));
        }
        // Pieces of one size, so that nothing is copied when there are more.
        match self.pieces.last_mut() {
            Some(last) if last.len() + bytes.len() <= CHUNK => last.extend_from_slice(bytes),
            _ => {
                let mut piece = Vec::with_capacity(CHUNK);
                piece.extend_from_slice(bytes);
                self.pieces.push(piece);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn filters(recipe: &Xz) -> Result<Filters> {
    let extreme = if recipe.preset.is_extreme() { EXTREME } else { 0 };
    let preset = u32::from(recipe.preset.level()) | extreme;
    let mut options = LzmaOptions::new_preset(preset).map_err(failed_as)?;
    options
        .dict_size(recipe.dict.size())
        .literal_context_bits(recipe.bits.lc())
        .literal_position_bits(recipe.bits.lp())
        .position_bits(recipe.bits.pb());
    let mut filters = Filters::new();
    match recipe.filter {
        XzFilter::None => &mut filters,
        XzFilter::X86 => filters.x86(),
        XzFilter::PowerPc => filters.powerpc(),
        XzFilter::Arm => filters.arm(),
        XzFilter::ArmThumb => filters.arm_thumb(),
        XzFilter::Arm64 => filters.arm64(),
        XzFilter::RiscV => filters.riscv(),
    }
    .lzma2(&options);
    Ok(filters)
}

/// Packs the front of a block, for as long as `take` wants more of it.
#[cfg(feature = "recognise")]
pub(crate) fn pack_front(
    recipe: &Xz,
    plain: &[u8],
    is_all: bool,
    mut take: impl FnMut(&[u8]) -> bool,
) -> Result<()> {
    let mut stream = Stream::new_raw_encoder(&filters(recipe)?).map_err(failed_as)?;
    let mut output = vec![0; CHUNK];
    loop {
        let read = stream.total_in() as usize;
        let action = if is_all { Action::Finish } else { Action::Run };
        let end = plain.len().min(read + CHUNK);
        let input = if is_all { &plain[read..] } else { &plain[read..end] };
        let before = stream.total_out();
        let status = stream.process(input, &mut output, action).map_err(failed_as)?;
        let written = (stream.total_out() - before) as usize;
        let is_done = status == Status::StreamEnd
            || !is_all && written < output.len() && stream.total_in() as usize == plain.len();
        if !take(&output[..written]) || is_done {
            return Ok(());
        }
    }
}

fn code(
    mut stream: Stream,
    source: &mut dyn Read,
    sink: &mut dyn Write,
    refused: impl Fn(&LzmaError) -> Error,
) -> Result<()> {
    let mut input = vec![0; CHUNK];
    let mut output = vec![0; CHUNK];
    let (mut taken, mut filled) = (0, 0);
    let mut action = Action::Run;
    loop {
        if taken == filled && matches!(action, Action::Run) {
            taken = 0;
            filled = source.read(&mut input).map_err(Error::io("member"))?;
            if filled == 0 {
                action = Action::Finish;
            }
        }
        let before = (stream.total_in(), stream.total_out());
        let status = stream.process(&input[taken..filled], &mut output, action);
        let status = status.map_err(|error| refused(&error))?;
        let read = (stream.total_in() - before.0) as usize;
        let written = (stream.total_out() - before.1) as usize;
        taken += read;
        sink.write_all(&output[..written]).map_err(Error::io("member"))?;
        match status {
            Status::StreamEnd if taken < filled => return Err(refused(&LzmaError::Data)),
            Status::StreamEnd => return Ok(()),
            // A stream that is cut off.
            Status::MemNeeded => return Err(refused(&LzmaError::MemLimit)),
            _ if matches!(action, Action::Finish) && read == 0 && written == 0 => {
                return Err(refused(&LzmaError::Data));
            }
            _ => {}
        }
    }
}

fn damaged(error: &LzmaError) -> Error {
    Error::Damaged { codec: Codec::Xz, why: error.to_string() }
}

fn failed(error: &LzmaError) -> Error {
    Error::Packing { codec: Codec::Xz, why: error.to_string() }
}

fn failed_as(error: LzmaError) -> Error {
    failed(&error)
}

/// `LZMA_PRESET_EXTREME`.
const EXTREME: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use liblzma::stream::MtStreamBuilder;

    use super::*;
    use crate::Recipe;
    use crate::recipe::{XzBits, XzDict, XzPreset};

    #[test]
    fn the_memory_that_is_stated_is_what_liblzma_states_and_little_more() {
        for preset in XzPreset::ALL {
            for dict in (8..=30).filter_map(XzDict::new) {
                for packed in [1000, 300_000, 200_000_000] {
                    let block = u64::from(dict.size()) * 3;
                    let recipe = Xz {
                        check: XzCheck::Crc32,
                        preset,
                        dict,
                        bits: XzBits::DEFAULT,
                        filter: XzFilter::X86,
                        blocks: XzBlocks::Of(block),
                    };
                    let lengths = Lengths { packed, plain: 5_000_000 };
                    let collected = packed.min(crate::memory::xz_data_bound(block));
                    // An encoder for threads with next to nothing beside the filters.
                    let mut least = MtStreamBuilder::new();
                    least.threads(1).filters(filters(&recipe).unwrap()).block_size(4096);
                    let theirs = least.memusage() + collected;
                    let ours = crate::memory(&Recipe::Xz(recipe), lengths);
                    assert!(
                        theirs <= ours && ours <= theirs + theirs / 4 + (1 << 20),
                        "{recipe:?} {packed}: {theirs} {ours}"
                    );
                }
            }
        }
    }

    /// What liblzma's own encoder for threads makes, in one thread.
    fn by_liblzma(recipe: &Xz, block: u64, plain: &[u8]) -> Vec<u8> {
        let check = match recipe.check {
            XzCheck::None => Check::None,
            XzCheck::Crc32 => Check::Crc32,
            XzCheck::Crc64 => Check::Crc64,
            XzCheck::Sha256 => Check::Sha256,
        };
        let mut builder = MtStreamBuilder::new();
        builder.threads(1).filters(filters(recipe).unwrap()).block_size(block).check(check);
        let mut packed = Vec::new();
        code(builder.encoder().unwrap(), &mut &plain[..], &mut packed, failed).unwrap();
        packed
    }

    #[test]
    fn containers_are_those_of_liblzma_with_every_check_filter_and_length() {
        let mut state = 1u64;
        let mut noise = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 56) as u8
        };
        // Some of it is compressed, some is not; 300,000 bytes are more than a chunk of LZMA2.
        let content: Vec<u8> = (0..300_000u32)
            .map(|at| if at / 70_000 % 2 == 0 { (at / 5 % 251) as u8 } else { noise() })
            .collect();
        for (_, check) in XzCheck::ALL {
            for filter in [XzFilter::None, XzFilter::X86, XzFilter::Arm64] {
                for (len, block) in [
                    (0, 1000),
                    (1, 1000),
                    (1000, 1000),
                    (1001, 1000),
                    (100_000, 16_384),
                    (100_000, 1 << 21),
                    (300_000, 131_072),
                    (300_000, 300_000),
                ] {
                    let recipe = Xz {
                        check,
                        preset: XzPreset::new(1, false).unwrap(),
                        dict: XzDict::new(8).unwrap(),
                        bits: XzBits::DEFAULT,
                        filter,
                        blocks: XzBlocks::Of(block),
                    };
                    let plain = &content[..len];
                    let expected = by_liblzma(&recipe, block, plain);
                    let lengths =
                        Lengths { packed: expected.len() as u64, plain: plain.len() as u64 };
                    let mut made = Vec::new();
                    crate::repack(&Recipe::Xz(recipe), lengths, &mut &plain[..], &mut made)
                        .unwrap();
                    assert!(made == expected, "{recipe:?} {len} {block}");
                }
            }
        }
    }
}
