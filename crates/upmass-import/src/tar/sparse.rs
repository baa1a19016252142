//! Which parts of a sparse file an archive holds. The rest are holes.

use super::fault::ArchiveFault;
use super::header::{BLOCK, Header};
use super::number;
use super::stream::Stream;

/// The data of a sparse file: what is between two segments, and behind the last, is zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Map {
    /// Ascending, without overlap, within the size.
    pub(super) segments: Vec<Segment>,
    /// Length of the file with its holes.
    pub(super) size: u64,
}

/// A range of a file that has data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) offset: u64,
    pub(super) len: u64,
}

impl Map {
    /// Checks a map against the number of bytes that the archive holds.
    pub(super) fn new(
        segments: Vec<Segment>,
        size: u64,
        stored: u64,
    ) -> Result<Self, ArchiveFault> {
        let mut end = 0;
        let mut sum = 0u64;
        for segment in &segments {
            if segment.offset < end {
                return Err(damaged("its segments overlap or do not ascend"));
            }
            end = segment.offset.saturating_add(segment.len);
            sum = sum.saturating_add(segment.len);
        }
        if end > size {
            return Err(damaged("it reaches behind the end of the file"));
        }
        if sum != stored {
            return Err(damaged("it has more or less data than the archive"));
        }
        Ok(Self { segments, size })
    }
}

/// Offsets and lengths that alternate.
pub(super) fn pairs(numbers: &[u64]) -> Result<Vec<Segment>, ArchiveFault> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() > MAX_SEGMENTS {
        return Err(damaged("it has an offset without a length, or too many of them"));
    }
    Ok(pairs.iter().map(|[offset, len]| Segment { offset: *offset, len: *len }).collect())
}

/// The old format of GNU tar: four segments in the header, the others in blocks behind it.
/// Gives the segments, and the length of the file with its holes.
pub(super) fn read_old(
    header: &Header,
    stream: &mut Stream<'_>,
) -> Result<(Vec<Segment>, u64), ArchiveFault> {
    let size = unsigned(&header.0[483..495])?;
    let mut segments = Vec::new();
    let mut has_more = add_old(&header.0[386..482], &mut segments)? && header.0[482] != 0;
    while has_more {
        let block = stream.block("a map of sparse data")?;
        let block = block.ok_or(ArchiveFault::Truncated { part: "a map of sparse data" })?;
        has_more = add_old(&block[..504], &mut segments)? && block[504] != 0;
        if segments.len() > MAX_SEGMENTS {
            return Err(damaged("it has too many segments"));
        }
    }
    Ok((segments, size))
}

/// The newest format of GNU tar, 1.0: decimal numbers, one a line, at the front of the data,
/// filled up to a block. Gives the segments, and the length of what was read.
pub(super) fn read_new(
    stream: &mut Stream<'_>,
    stored: u64,
) -> Result<(Vec<Segment>, u64), ArchiveFault> {
    let mut lines = Lines { stream, block: [0; BLOCK], at: BLOCK, read: 0, stored };
    let count = lines.number()?;
    if count > MAX_SEGMENTS as u64 {
        return Err(damaged("it has too many segments"));
    }
    let mut segments = Vec::new();
    for _ in 0..count {
        segments.push(Segment { offset: lines.number()?, len: lines.number()? });
    }
    Ok((segments, lines.read))
}

struct Lines<'a, 'b> {
    stream: &'a mut Stream<'b>,
    block: [u8; BLOCK],
    at: usize,
    read: u64,
    stored: u64,
}

impl Lines<'_, '_> {
    fn number(&mut self) -> Result<u64, ArchiveFault> {
        let mut digits = Vec::new();
        loop {
            if self.at == BLOCK {
                if self.read + BLOCK as u64 > self.stored.next_multiple_of(BLOCK as u64) {
                    return Err(damaged("it is longer than the entry"));
                }
                let part = "a map of sparse data";
                let block = self.stream.block(part)?;
                self.block = block.ok_or(ArchiveFault::Truncated { part })?;
                self.read += BLOCK as u64;
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            if byte == b'\n' {
                return number::decimal(&digits).ok_or_else(|| damaged("a line is no number"));
            }
            if digits.len() == MAX_DIGITS {
                return Err(damaged("a line is no number"));
            }
            digits.push(byte);
        }
    }
}

/// Adds the segments of a block; `false` when it has less than there is room for.
fn add_old(bytes: &[u8], segments: &mut Vec<Segment>) -> Result<bool, ArchiveFault> {
    for entry in bytes.chunks_exact(24) {
        if entry[12] == 0 {
            return Ok(false);
        }
        segments.push(Segment { offset: unsigned(&entry[..12])?, len: unsigned(&entry[12..])? });
    }
    Ok(true)
}

fn unsigned(field: &[u8]) -> Result<u64, ArchiveFault> {
    number::field(field)
        .and_then(|value| u64::try_from(value).ok())
        .ok_or_else(|| damaged("a field is no number"))
}

fn damaged(why: &'static str) -> ArchiveFault {
    ArchiveFault::Sparse { why }
}

/// Bounds the memory that a hostile map can take, at 16 MiB.
const MAX_SEGMENTS: usize = 1 << 20;
/// Digits of the largest number of 64 bits.
const MAX_DIGITS: usize = 20;
