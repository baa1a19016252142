//! The map of blocks that mean something, version 2.0 of bmaptool's files: whoever copies an
//! image need not copy the rest.

use std::fmt::Write;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use upmass_disk::gpt::{BOOT_ONCE, FIRST_USABLE, Layout, RESERVED_AT_END, Slot};

use crate::Result;
use crate::error::Context;
use crate::ext4::used_blocks;

const BLOCK: u64 = 4096;
/// Longest range: checked at once by who reads it.
const MAX_RANGE: u64 = 16 << 20;

/// The map of an image. `slot_used` is how much of the first slot means something.
pub(crate) fn make(path: &Path, layout: &Layout, slot_used: u64) -> Result<String> {
    let len = layout.disk_sectors() * 512;
    let count = len.div_ceil(BLOCK);
    let mut ranges = vec![(0, (FIRST_USABLE * 512).div_ceil(BLOCK))];
    let one = layout.slot(Slot::One).range.start() / BLOCK;
    ranges.push((one, one + slot_used.div_ceil(BLOCK)));
    // Whatever the medium had there before must not boot.
    let two = layout.slot(Slot::Two).range.start() / BLOCK;
    ranges.push((two, two + 1));
    let directory = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    for partition in layout.partitions().skip(2) {
        let range = partition.range;
        let first = range.start() / BLOCK;
        if partition.name.to_string() == BOOT_ONCE {
            // No file system; whatever was there before must not be a one-shot.
            ranges.push((first, first + 1));
            continue;
        }
        let used = used_blocks(directory, name, range.start(), range.len())?;
        ranges.extend(used.into_iter().map(|(start, end)| (first + start, first + end)));
    }
    ranges.push(((len - RESERVED_AT_END * 512) / BLOCK, count));
    ranges.sort_unstable();
    let image = File::open(path).on("open", path)?;
    let mut mapped = 0;
    let mut map = String::new();
    for (start, end) in cut(ranges) {
        mapped += end - start;
        let bytes = (end * BLOCK).min(len) - start * BLOCK;
        let mut content = vec![0; bytes as usize];
        image.read_exact_at(&mut content, start * BLOCK).on("read", path)?;
        let digest = hex(&Sha256::digest(&content));
        let blocks = match end - start {
            1 => start.to_string(),
            _ => format!("{start}-{}", end - 1),
        };
        let _ = writeln!(map, "        <Range chksum=\"{digest}\"> {blocks} </Range>");
    }
    let text = |checksum: &str| {
        format!(
            "<?xml version=\"1.0\" ?>\n<bmap version=\"2.0\">\n\
             \x20   <ImageSize> {len} </ImageSize>\n\
             \x20   <BlockSize> {BLOCK} </BlockSize>\n\
             \x20   <BlocksCount> {count} </BlocksCount>\n\
             \x20   <MappedBlocksCount> {mapped} </MappedBlocksCount>\n\
             \x20   <ChecksumType> sha256 </ChecksumType>\n\
             \x20   <BmapFileChecksum> {checksum} </BmapFileChecksum>\n\
             \x20   <BlockMap>\n{map}    </BlockMap>\n</bmap>\n"
        )
    };
    // The checksum is that of the file with zeros in its place.
    let checksum = hex(&Sha256::digest(text(&"0".repeat(64)).as_bytes()));
    Ok(text(&checksum))
}

/// Joins ranges that touch or overlap, and cuts those that are too long.
fn cut(ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (start, end) in ranges {
        match joined.last_mut() {
            Some((_, last)) if start <= *last => *last = end.max(*last),
            _ => joined.push((start, end)),
        }
    }
    let step = (MAX_RANGE / BLOCK) as usize;
    let pieces = joined.into_iter().flat_map(|(start, end)| {
        (start..end).step_by(step).map(move |at| (at, (at + step as u64).min(end)))
    });
    pieces.collect()
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn ranges_are_joined_and_cut() {
        let step = super::MAX_RANGE / super::BLOCK;
        let found = super::cut(vec![(0, 3), (3, 4), (2, 3), (6, 7), (10, 10 + step + 1)]);
        assert_eq!(found, [(0, 4), (6, 7), (10, 10 + step), (10 + step, 11 + step)]);
    }
}
