//! What is around the data of blocks (The .xz File Format, 1.2, sections 2 to 4), as liblzma writes it:
//! headers of blocks say nothing of lengths, or both, and have room for those of the longest.

use std::io::Write;

use crc32fast::hash as crc32;
use upmass_format::wire::put_varint;

use super::Sum;
use crate::Codec;
use crate::bounded::Sink;
use crate::error::{Error, Result};
use crate::memory::xz_data_bound;
use crate::recipe::{XzBlocks, XzCheck, XzFilter, XzStream};

/// A stream that is written.
pub(crate) struct Container<'a> {
    recipe: &'a XzStream,
    /// Length of the header of each block.
    header: usize,
    /// The records of the index, and how many.
    records: Vec<u8>,
    count: u64,
}

impl<'a> Container<'a> {
    /// Writes the header of the stream.
    pub(crate) fn start(recipe: &'a XzStream, block: u64, sink: &mut Sink<'_>) -> Result<Self> {
        let mut container = Self { recipe, header: 0, records: Vec::new(), count: 0 };
        // What liblzma reserves for a block (`lzma_block_buffer_bound64`).
        let packed = 92 + xz_data_bound(block).next_multiple_of(4);
        let lengths = (recipe.blocks != XzBlocks::Unsized).then_some((packed, block));
        container.header = container.header_fields(lengths).len().next_multiple_of(4) + 4;
        let flags = container.flags();
        let mut out = b"\xfd7zXZ\0".to_vec();
        out.extend(flags);
        out.extend(crc32(&flags).to_le_bytes());
        write(sink, &out)?;
        Ok(container)
    }

    /// Writes the header of a block. `packed` is the length of its data, for headers with lengths.
    pub(crate) fn begin(&self, packed: Option<u64>, plain: u64, sink: &mut Sink<'_>) -> Result<()> {
        let mut header = self.header_fields(packed.map(|packed| (packed, plain)));
        header.resize(self.header - 4, 0);
        header.extend(crc32(&header).to_le_bytes());
        write(sink, &header)
    }

    /// Writes what follows the data of a block.
    pub(crate) fn end(
        &mut self,
        packed: u64,
        plain: u64,
        sum: Sum,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let sum = sum.finish();
        put_varint(&mut self.records, self.header as u64 + packed + sum.len() as u64);
        put_varint(&mut self.records, plain);
        self.count += 1;
        write(sink, &[0; 3][..padding(packed)])?;
        write(sink, &sum)
    }

    /// Writes index and footer.
    pub(crate) fn finish(self, sink: &mut Sink<'_>) -> Result<()> {
        let mut index = vec![0];
        put_varint(&mut index, self.count);
        index.extend_from_slice(&self.records);
        index.resize(index.len().next_multiple_of(4), 0);
        index.extend(crc32(&index).to_le_bytes());
        let back = u32::try_from(index.len() / 4 - 1).map_err(|_| Error::Packing {
            codec: Codec::Xz,
            why: "it has too many blocks".to_owned(),
        })?;
        let mut footer = back.to_le_bytes().to_vec();
        footer.extend(self.flags());
        write(sink, &index)?;
        write(sink, &crc32(&footer).to_le_bytes())?;
        footer.extend(b"YZ");
        write(sink, &footer)
    }

    fn flags(&self) -> [u8; 2] {
        [0, code_of_check(self.recipe.check)]
    }

    /// The header of a block, without padding and checksum. The lengths are packed and plain.
    fn header_fields(&self, lengths: Option<(u64, u64)>) -> Vec<u8> {
        const HAS_LENGTHS: u8 = 0xc0;
        const LZMA2: u8 = 0x21;
        let filter = XzFilter::ALL.iter().find(|(_, other)| *other == self.recipe.filter);
        let filter = filter.map_or(0, |(code, _)| *code);
        let mut out = vec![(self.header / 4).saturating_sub(1) as u8];
        let flags = if lengths.is_some() { HAS_LENGTHS } else { 0 };
        out.push(flags | u8::from(filter != 0));
        for length in lengths.into_iter().flat_map(|(packed, plain)| [packed, plain]) {
            put_varint(&mut out, length);
        }
        if filter != 0 {
            out.extend([filter, 0]);
        }
        out.extend([LZMA2, 1, self.recipe.dict.code()]);
        out
    }
}

fn code_of_check(check: XzCheck) -> u8 {
    XzCheck::ALL.iter().find(|(_, other)| *other == check).map_or(0, |(code, _)| *code)
}

fn padding(len: u64) -> usize {
    (len.next_multiple_of(4) - len) as usize
}

fn write(sink: &mut Sink<'_>, bytes: &[u8]) -> Result<()> {
    sink.write_all(bytes).map_err(Error::io("member"))
}
