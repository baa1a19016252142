//! zstd frames, by libzstd.

use std::io::{Read, Write};

use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, get_error_name};
// Named only so that its version is pinned beside that of its wrapper.
use zstd_sys as _;

use crate::Codec;
use crate::bounded::{CHUNK, Sink, Source, read_full};
use crate::error::{Error, Result};
use crate::memory::zstd_window;
use crate::recipe::{Lengths, Zstd};

pub(crate) fn unpack(
    recipe: &Zstd,
    lengths: Lengths,
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let mut context = DCtx::try_create().ok_or_else(|| damaged("no memory"))?;
    let refused = |code| damaged(get_error_name(code));
    let largest = zstd_window(recipe, lengths.plain).max(10);
    context.set_parameter(DParameter::WindowLogMax(largest)).map_err(refused)?;
    let mut input = vec![0; CHUNK];
    let mut output = vec![0; CHUNK];
    loop {
        let filled = source.read(&mut input).map_err(Error::io("packed"))?;
        if filled == 0 {
            return Err(damaged("the frame does not end"));
        }
        let mut from = InBuffer::around(&input[..filled]);
        loop {
            let mut to = OutBuffer::around(&mut output[..]);
            let left = context.decompress_stream(&mut to, &mut from).map_err(refused)?;
            let written = to.as_slice().len();
            sink.write_all(to.as_slice()).map_err(Error::io("plain"))?;
            if left == 0 {
                let is_end = from.pos() == filled && source.left() == 0;
                return if is_end { Ok(()) } else { Err(damaged("the frame ends early")) };
            }
            if from.pos() == filled && written < CHUNK {
                break;
            }
        }
    }
}

pub(crate) fn repack(
    recipe: &Zstd,
    lengths: Lengths,
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let mut context = context(recipe, lengths.plain)?;
    let mut output = vec![0; CCtx::out_size()];
    let mut input = vec![0; CCtx::in_size()];
    let mut left = lengths.plain;
    loop {
        let filled = read_full(source, &mut input).map_err(Error::io("plain"))?;
        left -= filled as u64;
        // The command knows the end of a file while it reads it, that of a pipe only behind it.
        let is_last = if recipe.is_sized { left == 0 } else { filled == 0 };
        let pack = |bytes: &[u8]| sink.write_all(bytes).map_err(Error::io("packed"));
        step(&mut context, &input[..filled], is_last, &mut output, pack)?;
        if is_last {
            return Ok(());
        }
    }
}

fn step(
    context: &mut CCtx<'_>,
    input: &[u8],
    is_last: bool,
    output: &mut [u8],
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    use ZSTD_EndDirective::{ZSTD_e_continue, ZSTD_e_end};
    let directive = if is_last { ZSTD_e_end } else { ZSTD_e_continue };
    let mut from = InBuffer::around(input);
    loop {
        let mut to = OutBuffer::around(&mut output[..]);
        let left = context.compress_stream2(&mut to, &mut from, directive).map_err(failed)?;
        take(to.as_slice())?;
        let is_done = if is_last { left == 0 } else { from.pos() == input.len() };
        if is_done {
            return Ok(());
        }
    }
}

fn context(recipe: &Zstd, plain: u64) -> Result<CCtx<'static>> {
    let no_memory = || Error::Packing { codec: Codec::Zstd, why: "no memory".to_owned() };
    let mut context = CCtx::try_create().ok_or_else(no_memory)?;
    let mut set = |parameter| context.set_parameter(parameter).map(drop).map_err(failed);
    set(CParameter::CompressionLevel(i32::from(recipe.level.get())))?;
    set(CParameter::ChecksumFlag(recipe.has_checksum))?;
    if recipe.has_workers {
        set(CParameter::NbWorkers(1))?;
    }
    if let Some(window) = recipe.long {
        set(CParameter::EnableLongDistanceMatching(true))?;
        set(CParameter::WindowLog(u32::from(window.log())))?;
    }
    if recipe.is_sized {
        context.set_pledged_src_size(Some(plain)).map_err(failed)?;
    }
    Ok(context)
}

/// Packs the front of a frame, for as long as `take` wants more of it.
#[cfg(feature = "recognise")]
pub(crate) fn pack_front(
    recipe: &Zstd,
    plain: &[u8],
    mut take: impl FnMut(&[u8]) -> bool,
) -> Result<()> {
    let mut context = context(&Zstd { has_workers: false, ..*recipe }, plain.len() as u64)?;
    let mut output = vec![0; CCtx::out_size()];
    let mut wants_more = true;
    let chunk = CCtx::in_size();
    // Behind the front a job may end, and its end be packed otherwise.
    for at in (0..plain.len().min(FRONT)).step_by(chunk) {
        let end = plain.len().min(at + chunk);
        let is_last = end == plain.len() && end < FRONT && recipe.is_sized;
        step(&mut context, &plain[at..end], is_last, &mut output, |bytes| {
            wants_more = wants_more && take(bytes);
            Ok(())
        })?;
        if !wants_more {
            break;
        }
    }
    Ok(())
}

fn damaged(why: &str) -> Error {
    Error::Damaged { codec: Codec::Zstd, why: why.to_owned() }
}

fn failed(code: usize) -> Error {
    Error::Packing { codec: Codec::Zstd, why: get_error_name(code).to_owned() }
}

#[cfg(feature = "recognise")]
const FRONT: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Recipe, ZstdLevel, ZstdWindow};

    /// Content that no search finds short.
    fn content(len: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 & 0x3f
        };
        (0..len).map(|_| next()).collect()
    }

    fn taken(recipe: &Zstd, plain: &[u8]) -> usize {
        let mut context = context(recipe, plain.len() as u64).unwrap();
        let mut output = vec![0; CCtx::out_size()];
        let mut most = 0;
        let chunks = plain.chunks(CCtx::in_size());
        let count = chunks.len();
        for (at, chunk) in chunks.enumerate() {
            step(&mut context, chunk, at + 1 == count, &mut output, |_| Ok(())).unwrap();
            most = most.max(context.sizeof());
        }
        most
    }

    #[test]
    fn the_memory_that_is_stated_is_enough() {
        let mut wrong = Vec::new();
        for level in [-5, 1, 3, 6, 9, 12, 15, 17, 19, 20].into_iter().filter_map(ZstdLevel::new) {
            for (has_workers, long) in [(false, None), (true, None), (false, ZstdWindow::new(24))] {
                for (len, is_sized) in [(10_000, true), (200_000, false), (1_500_000, true)] {
                    let recipe = Zstd { level, has_workers, is_sized, has_checksum: true, long };
                    let lengths = Lengths { packed: 0, plain: len as u64 };
                    let taken = taken(&recipe, &content(len)) as u64;
                    let stated = crate::memory(&Recipe::Zstd(recipe), lengths);
                    if taken > stated || stated > 2 * taken + (16 << 20) {
                        wrong.push(format!("{recipe:?} {len}: {taken} {stated}"));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
