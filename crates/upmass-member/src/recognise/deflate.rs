//! Deflate streams: of gzip files, zlib streams, zip archives.

use super::{Finder, Unpacked};
use crate::deflate::{Inflate, Sum, correct};
use crate::recipe::{Deflate, Level, Maker, Packer, Strategy, Trailer};
use crate::{Codec, Recipe};

/// A gzip file (RFC 1952). Its header is no part of the member; returns where it ends.
pub(super) fn gzip(finder: &mut Finder<'_>, at: usize, end: usize) -> Option<usize> {
    let content = &finder.content[at..end];
    let header = gzip_header(content)?;
    let level = match content[8] {
        2 => 9,
        4 => 1,
        _ => 6,
    };
    let packers = || levels(level).map(|level| Packer::Gnu { level }).chain(zlib_packers(level));
    stream(finder, at + header, end, Trailer::Gzip, packers)
}

fn gzip_header(content: &[u8]) -> Option<usize> {
    let flags = *content.get(3)?;
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16::from_le_bytes(content.get(at..at + 2)?.try_into().ok()?));
    }
    for is_set in [flags & 8 != 0, flags & 16 != 0] {
        if is_set {
            at += content.get(at..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    (at < content.len()).then_some(at)
}

/// A zlib stream that is all of a file (RFC 1950). Returns where it ends.
pub(super) fn zlib(finder: &mut Finder<'_>) -> Option<usize> {
    let [method, flags, ..] = *finder.content else {
        return None;
    };
    let is_zlib = method == 0x78 && flags & 0x20 == 0;
    if !is_zlib || (u32::from(method) << 8 | u32::from(flags)) % 31 != 0 {
        return None;
    }
    let level = [1, 5, 6, 9][usize::from(flags >> 6)];
    let before = finder.members.len();
    let end = stream(finder, 2, finder.content.len(), Trailer::Zlib, || zlib_packers(level))?;
    // Two bytes are a weak sign: other content may look so by chance.
    if end != finder.content.len() {
        finder.members.truncate(before);
        return None;
    }
    Some(end)
}

/// An entry of a zip archive, of known length.
pub(super) fn raw(finder: &mut Finder<'_>, start: usize, end: usize) {
    let packers = || zlib_packers(6).chain(levels(6).map(|level| Packer::Gnu { level }));
    stream(finder, start, end, Trailer::None, packers);
}

/// Finds who made the stream; returns where it ends with its trailer.
fn stream<P: Iterator<Item = Packer>>(
    finder: &mut Finder<'_>,
    start: usize,
    end: usize,
    trailer: Trailer,
    packers: impl Fn() -> P,
) -> Option<usize> {
    let content = finder.content;
    let Unpacked { packed_len: stream_len, plain } =
        inflate(&content[start..end], finder.limits.max_plain)?;
    let stream_end = start + stream_len;
    let mut sum = Sum::new(trailer);
    sum.update(&plain);
    let has_trailer = content[stream_end..end].starts_with(&sum.trailer());
    let trailer_len = trailer.len().min(end - stream_end);
    let trailer = if has_trailer { trailer } else { Trailer::None };
    let packed_len = stream_len + trailer.len();
    let next = stream_end + trailer_len;

    let recent = finder.recent.clone();
    let fresh = packers().filter(|packer| !recent.contains(packer));
    for packer in recent.iter().copied().chain(fresh) {
        let recipe = Recipe::Deflate(Deflate { trailer, maker: Maker::Known(packer) });
        if finder.accept(start, packed_len, &plain, &recipe) {
            finder.recent.retain(|other| *other != packer);
            finder.recent.insert(0, packer);
            return Some(next);
        }
    }
    if !finder.may_use(Codec::Preflate) {
        return Some(next);
    }
    let limit = packed_len as u64 / finder.limits.least_gain.max(1);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let corrections = correct(&content[start..stream_end], plain.len() as u64, limit);
    if let Some(corrections) = corrections {
        let maker = Maker::Corrected(corrections);
        finder.accept(start, packed_len, &plain, &Recipe::Deflate(Deflate { trailer, maker }));
    }
    Some(next)
}

fn inflate(content: &[u8], max_plain: u64) -> Option<Unpacked> {
    let mut inflate = Inflate::new();
    let mut plain = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    let mut at = 0;
    while !inflate.is_done() {
        let (read, written) = inflate.step(&content[at..], &mut buffer).ok()?;
        at += read;
        plain.extend_from_slice(&buffer[..written]);
        if plain.len() as u64 > max_plain {
            return None;
        }
    }
    Some(Unpacked { packed_len: at, plain })
}

/// All levels, the likely ones first.
fn levels(first: u8) -> impl Iterator<Item = Level> {
    let others = [6, 9, 1, 5, 7, 8, 4, 3, 2].into_iter().filter(move |level| *level != first);
    [first].into_iter().chain(others).filter_map(Level::new)
}

/// What zlib may have been told, the likely first.
fn zlib_packers(level: u8) -> impl Iterator<Item = Packer> {
    let with = |mem_level: u8, strategy| {
        let mem_level = Level::new(mem_level);
        move |level| Some(Packer::Zlib { level, mem_level: mem_level?, strategy })
    };
    let default = levels(level).filter_map(with(8, Strategy::Default));
    let large = levels(level).filter_map(with(9, Strategy::Default));
    let filtered = levels(level).filter_map(with(8, Strategy::Filtered));
    // The level makes no difference to the first two. A zlib header does not say that of the third.
    let others = [Strategy::Rle, Strategy::HuffmanOnly].into_iter();
    let others =
        others.flat_map(move |strategy| levels(level).take(1).filter_map(with(8, strategy)));
    let fixed = levels(6).filter_map(with(8, Strategy::Fixed));
    default.chain(large).chain(filtered).chain(others).chain(fixed)
}
