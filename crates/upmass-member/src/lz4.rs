//! lz4's legacy format: a magic, then blocks of 8 MiB that are packed each by itself.

use std::io::{Read, Write};

use lz4::block::{CompressionMode, compress_bound, compress_to_buffer, decompress_to_buffer};

use crate::Codec;
use crate::bounded::{Sink, Source, read_full};
use crate::error::{Error, Result};
use crate::recipe::Lz4;

/// 0x184c2102, little-endian.
pub(crate) const MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
/// What a block holds, but for the last.
pub(crate) const BLOCK: usize = 8 << 20;
/// What it can be packed to.
pub(crate) const PACKED_BLOCK: usize = BLOCK + BLOCK / 255 + 16;

pub(crate) fn unpack(source: &mut Source<'_>, sink: &mut Sink<'_>) -> Result<()> {
    let mut magic = [0; 4];
    source.read_exact(&mut magic).map_err(Error::io("packed"))?;
    if magic != MAGIC {
        return Err(damaged("no magic"));
    }
    let mut packed = Vec::new();
    let mut plain = vec![0; BLOCK];
    while source.left() > 0 {
        let mut len = [0; 4];
        source.read_exact(&mut len).map_err(Error::io("packed"))?;
        let len = u32::from_le_bytes(len) as usize;
        if len > PACKED_BLOCK {
            return Err(damaged("a block is too long"));
        }
        packed.resize(len, 0);
        source.read_exact(&mut packed).map_err(Error::io("packed"))?;
        let made = unpack_block(&packed, &mut plain)?;
        sink.write_all(&plain[..made]).map_err(Error::io("plain"))?;
    }
    Ok(())
}

/// Unpacks a block into at most the buffer.
pub(crate) fn unpack_block(packed: &[u8], plain: &mut [u8]) -> Result<usize> {
    let longest = plain.len() as i32;
    decompress_to_buffer(packed, Some(longest), plain).map_err(|error| damaged(&error.to_string()))
}

pub(crate) fn repack(recipe: &Lz4, source: &mut Source<'_>, sink: &mut Sink<'_>) -> Result<()> {
    let failed =
        |error: std::io::Error| Error::Packing { codec: Codec::Lz4, why: error.to_string() };
    sink.write_all(&MAGIC).map_err(Error::io("packed"))?;
    let mode = CompressionMode::HIGHCOMPRESSION(i32::from(recipe.level.get()));
    let mut plain = vec![0; BLOCK];
    let mut packed = vec![0; compress_bound(BLOCK).map_err(failed)?];
    loop {
        let len = read_full(source, &mut plain).map_err(Error::io("plain"))?;
        if len == 0 {
            return Ok(());
        }
        let made = compress_to_buffer(&plain[..len], Some(mode), false, &mut packed);
        let made = made.map_err(failed)?;
        sink.write_all(&(made as u32).to_le_bytes()).map_err(Error::io("packed"))?;
        sink.write_all(&packed[..made]).map_err(Error::io("packed"))?;
    }
}

fn damaged(why: &str) -> Error {
    Error::Damaged { codec: Codec::Lz4, why: why.to_owned() }
}
