//! Deflate streams with what follows them.

mod block;
mod packer;
#[cfg(feature = "preflate")]
mod preflate;
mod tree;

use std::io::{self, Read, Write};

use flate2::{Crc, Decompress, FlushDecompress, Status};

#[cfg(feature = "recognise")]
pub(crate) use preflate::correct;

use crate::Codec;
use crate::bounded::{CHUNK, Sink, Source};
use crate::error::{Error, Result};
use crate::recipe::{Deflate, Lengths, Maker, Trailer};

pub(crate) fn unpack(recipe: &Deflate, source: &mut Source<'_>, sink: &mut Sink<'_>) -> Result<()> {
    let mut input = vec![0; CHUNK];
    let mut output = vec![0; CHUNK];
    let mut inflate = Inflate::new();
    let mut filled = 0;
    let mut taken = 0;
    while !inflate.is_done() {
        if taken == filled {
            taken = 0;
            filled = source.read(&mut input).map_err(Error::io("packed"))?;
        }
        let (read, written) = inflate.step(&input[taken..filled], &mut output)?;
        taken += read;
        sink.write_all(&output[..written]).map_err(Error::io("plain"))?;
    }
    if (filled - taken) as u64 + source.left() != recipe.trailer.len() as u64 {
        return Err(damaged("the stream does not end where the member does"));
    }
    io::copy(source, &mut io::sink()).map_err(Error::io("packed"))?;
    Ok(())
}

/// The state of unpacking a deflate stream.
pub(crate) struct Inflate {
    inner: Decompress,
    is_done: bool,
}

impl Inflate {
    pub(crate) fn new() -> Self {
        Self { inner: Decompress::new(false), is_done: false }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Returns how much was read and written. No input means that there is no more.
    pub(crate) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize)> {
        let before = (self.inner.total_in(), self.inner.total_out());
        let status = self.inner.decompress(input, output, FlushDecompress::None);
        let status = status.map_err(|error| damaged(&error.to_string()))?;
        let read = (self.inner.total_in() - before.0) as usize;
        let written = (self.inner.total_out() - before.1) as usize;
        self.is_done = status == Status::StreamEnd;
        if !self.is_done && read == 0 && written == 0 {
            return Err(damaged("the stream does not end"));
        }
        Ok((read, written))
    }
}

pub(crate) fn repack(
    recipe: &Deflate,
    lengths: Lengths,
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let mut summed = Summed { inner: source, sum: Sum::new(recipe.trailer) };
    match &recipe.maker {
        Maker::Known(packer) => {
            packer::pack(*packer, &mut summed, sink).map_err(Error::io("member"))?;
        }
        #[cfg(feature = "preflate")]
        Maker::Corrected(corrections) => {
            preflate::recreate(corrections, lengths, &mut summed, sink)?;
        }
        #[cfg(not(feature = "preflate"))]
        Maker::Corrected(_) => {
            let _ = lengths;
            return Err(Error::NotIncluded(Codec::Preflate));
        }
    }
    #[cfg(feature = "preflate")]
    let _ = lengths;
    sink.write_all(&summed.sum.trailer()).map_err(Error::io("packed"))
}

/// A reader that computes the trailer.
struct Summed<'a, 'b> {
    inner: &'a mut Source<'b>,
    sum: Sum,
}

impl Read for Summed<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sum.update(&buffer[..read]);
        Ok(read)
    }
}

/// The trailer of plain content.
pub(crate) enum Sum {
    None,
    Gzip(Crc),
    Zlib(u32, u32),
}

impl Sum {
    pub(crate) fn new(trailer: Trailer) -> Self {
        match trailer {
            Trailer::None => Self::None,
            Trailer::Gzip => Self::Gzip(Crc::new()),
            Trailer::Zlib => Self::Zlib(1, 0),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::None => {}
            Self::Gzip(crc) => crc.update(bytes),
            Self::Zlib(low, high) => {
                // So many that 32 bits are enough.
                for run in bytes.chunks(5552) {
                    for byte in run {
                        *low += u32::from(*byte);
                        *high += *low;
                    }
                    *low %= ADLER;
                    *high %= ADLER;
                }
            }
        }
    }

    /// The bytes.
    pub(crate) fn trailer(&self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Gzip(crc) => [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat(),
            // zlib is big-endian (RFC 1950).
            Self::Zlib(low, high) => {
                let [a, b] = (*high as u16).to_be_bytes();
                let [c, d] = (*low as u16).to_be_bytes();
                vec![a, b, c, d]
            }
        }
    }
}

pub(crate) fn damaged(why: &str) -> Error {
    Error::Damaged { codec: Codec::Deflate, why: why.to_owned() }
}

const ADLER: u32 = 65521;
