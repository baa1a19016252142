//! `.xz` streams, by liblzma.

use std::io::{Read, Write};

use liblzma::stream::{
    Action, Check, Error as LzmaError, Filters, LzmaOptions, MtStreamBuilder, Status, Stream,
};

use crate::bounded::{CHUNK, Sink, Source};
use crate::error::{Error, Result};
use crate::memory::xz_decoder;
use crate::recipe::{Codec, Lengths, Xz, XzBlocks, XzCheck, XzFilter};

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
    code(encoder(recipe, lengths)?, source, sink, failed)
}

/// The encoder that makes the stream.
fn encoder(recipe: &Xz, lengths: Lengths) -> Result<Stream> {
    let filters = filters(recipe)?;
    let check = match recipe.check {
        XzCheck::None => Check::None,
        XzCheck::Crc32 => Check::Crc32,
        XzCheck::Crc64 => Check::Crc64,
        XzCheck::Sha256 => Check::Sha256,
    };
    if recipe.blocks == XzBlocks::Unsized {
        return Stream::new_stream_encoder(&filters, check).map_err(failed_as);
    }
    sized(filters, recipe, lengths).check(check).encoder().map_err(failed_as)
}

/// One thread makes what any number of them would.
fn sized(filters: Filters, recipe: &Xz, lengths: Lengths) -> MtStreamBuilder {
    let mut builder = MtStreamBuilder::new();
    builder.threads(1).filters(filters).block_size(block_size(recipe, lengths));
    builder
}

/// What the encoder collects before it begins. The header of a block has room for the length of
/// the largest.
fn block_size(recipe: &Xz, lengths: Lengths) -> u64 {
    match recipe.blocks {
        XzBlocks::Of(size) => size,
        XzBlocks::Unsized | XzBlocks::One => lengths.plain.max(1),
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
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
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
    use super::*;
    use crate::Recipe;
    use crate::recipe::{XzBits, XzDict, XzPreset};

    #[test]
    fn the_memory_that_is_stated_is_what_liblzma_states_and_little_more() {
        for preset in XzPreset::ALL {
            for dict in (8..=30).filter_map(XzDict::new) {
                for plain in [1000, 300_000, 5_000_000, 200_000_000] {
                    let recipe = Xz {
                        check: XzCheck::Crc32,
                        preset,
                        dict,
                        bits: XzBits::DEFAULT,
                        filter: XzFilter::X86,
                        blocks: XzBlocks::Of(u64::from(dict.size()) * 3),
                    };
                    let lengths = Lengths { packed: 1000, plain };
                    let filters = filters(&recipe).unwrap();
                    let theirs = sized(filters, &recipe, lengths).memusage();
                    let ours = crate::memory(&Recipe::Xz(recipe), lengths);
                    assert!(
                        theirs <= ours && ours <= theirs + theirs / 4 + (1 << 20),
                        "{recipe:?} {plain}: {theirs} {ours}"
                    );
                }
            }
        }
    }
}
