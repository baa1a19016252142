//! zstd frames (RFC 8878).

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::{Finder, Front, Unpacked};
use crate::recipe::{MAX_ZSTD_WINDOW, Zstd, ZstdLevel, ZstdWindow};
use crate::zstd::pack_front;
use crate::{Codec, Recipe};

/// A frame, whose header has flags but not the level. Returns where it ends.
pub(super) fn frame(finder: &mut Finder<'_>, at: usize, end: usize) -> Option<usize> {
    let content = &finder.content[at..end];
    let Unpacked { packed_len, plain } = unpack(content, finder.limits.max_plain)?;
    if !finder.may_use(Codec::Zstd) {
        return Some(at + packed_len);
    }
    let packed = &content[..packed_len];
    let flags = *packed.get(4)?;
    let is_single_segment = flags & 0x20 != 0;
    let has_size = flags >> 6 != 0 || is_single_segment;
    let has_checksum = flags & 4 != 0;
    let window = (!is_single_segment).then(|| packed.get(5).map(|byte| (byte >> 3) + 10));
    let window = window.flatten().filter(|log| *log <= MAX_ZSTD_WINDOW).and_then(ZstdWindow::new);
    let long = ZstdWindow::new(MAX_ZSTD_WINDOW);
    let windows = [None, if is_single_segment { long } else { window }];

    for long in windows.into_iter().enumerate().filter(|(at, long)| *at == 0 || long.is_some()) {
        for level in LEVELS.into_iter().filter_map(ZstdLevel::new) {
            let recipe =
                Zstd { level, has_workers: false, is_sized: has_size, has_checksum, long: long.1 };
            // Shorter content is never cut into jobs.
            let is_cut = plain.len() > SHORTEST_CUT || !has_size;
            // With a long window the front of a job is not that of the frame.
            let is_worth = long.1.is_some() && is_cut && LIKELY.contains(&level.get());
            if !is_worth && !fits(&recipe, &plain, packed) {
                continue;
            }
            for has_workers in if is_cut { &[true, false][..] } else { &[false] } {
                let recipe = Recipe::Zstd(Zstd { has_workers: *has_workers, ..recipe });
                if finder.accept(at, packed_len, &plain, &recipe) {
                    return Some(at + packed_len);
                }
            }
        }
    }
    Some(at + packed_len)
}

fn fits(recipe: &Zstd, plain: &[u8], packed: &[u8]) -> bool {
    let mut front = Front::new(packed);
    let done = pack_front(recipe, plain, |bytes| front.take(bytes));
    done.is_ok() && !front.differs
}

fn unpack(content: &[u8], max_plain: u64) -> Option<Unpacked> {
    let mut context = DCtx::try_create()?;
    context.set_parameter(DParameter::WindowLogMax(u32::from(MAX_ZSTD_WINDOW))).ok()?;
    let mut plain = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    let mut from = InBuffer::around(content);
    loop {
        let read = from.pos();
        let mut to = OutBuffer::around(&mut buffer[..]);
        let left = context.decompress_stream(&mut to, &mut from).ok()?;
        plain.extend_from_slice(to.as_slice());
        if plain.len() as u64 > max_plain {
            return None;
        }
        if left == 0 {
            return Some(Unpacked { packed_len: from.pos(), plain });
        }
        if from.pos() == read && to.as_slice().is_empty() {
            return None;
        }
    }
}

/// All levels, the likely ones first.
const LEVELS: [i8; 29] = [
    3, 19, 9, 1, 6, 22, 15, 12, 18, 10, 5, 7, 8, 2, 4, 16, 11, 13, 14, 17, 20, 21, -1, -2, -3, -4,
    -5, -6, -7,
];
/// Those that are tried on all of a frame.
const LIKELY: [i8; 4] = [3, 19, 9, 1];
const SHORTEST_CUT: usize = 512 << 10;
