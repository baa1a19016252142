//! lz4's legacy format, as the kernel packs itself.

use super::Finder;
use crate::lz4::{BLOCK, PACKED_BLOCK, unpack_block};
use crate::recipe::{Lz4, Lz4Level};
use crate::{Codec, Recipe};

/// Blocks behind a magic. Nothing marks the end: a block that is not full, or what cannot be one.
pub(super) fn legacy(finder: &mut Finder<'_>, at: usize, end: usize) -> Option<usize> {
    let content = &finder.content[at..end];
    let mut packed_len = 4;
    let mut plain = Vec::new();
    let mut buffer = vec![0; BLOCK];
    while let Some(len) = content.get(packed_len..packed_len + 4) {
        let len = u32::from_le_bytes(len.try_into().ok()?) as usize;
        let start = packed_len + 4;
        let Some(block) = content.get(start..start.checked_add(len)?) else {
            break;
        };
        if len > PACKED_BLOCK {
            break;
        }
        let Ok(made) = unpack_block(block, &mut buffer) else {
            break;
        };
        plain.extend_from_slice(&buffer[..made]);
        packed_len = start + len;
        if made < BLOCK || plain.len() as u64 > finder.limits.max_plain {
            break;
        }
    }
    let levels = [9, 12, 3, 10, 11, 4, 5, 6, 7, 8].into_iter().filter_map(Lz4Level::new);
    let is_tried = finder.may_use(Codec::Lz4);
    for level in levels.filter(|_| is_tried) {
        if finder.accept(at, packed_len, &plain, &Recipe::Lz4(Lz4 { level })) {
            break;
        }
    }
    Some(at + packed_len)
}
