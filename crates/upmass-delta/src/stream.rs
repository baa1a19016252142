//! The entropy coder of one stream: stored, or LZMA
//! (`crates/upmass-format/spec/coder-lzma.md`).

use std::io::{self, Read};

use lzma_rust2::LzmaReader;
use upmass_format::payload::Stream;
use upmass_format::wire::Reader;
use upmass_format::{FormatError, Result};

/// The lowest bit of the first number of a stream, whose other bits are the length of the
/// content: the bytes follow as they are.
const METHOD_STORED: u64 = 0;
/// The same: raw LZMA follows.
#[cfg(feature = "encoder")]
const METHOD_LZMA: u64 = 1;
/// The end of an LZMA stream which a decoder of known length need not read.
pub const SLACK: usize = 8;

/// Smallest LZMA dictionary, as a power of two: decoders have no smaller one.
pub const MIN_DICTIONARY_LOG2: u8 = 12;

/// Largest LZMA dictionary of a stream, as a power of two. Their sum is most of what decoding
/// needs.
pub const fn max_dictionary_log2(stream: Stream) -> u8 {
    match stream {
        Stream::Hash => 12,
        Stream::Program | Stream::Tree | Stream::Copy => 20,
        Stream::Residue => 22,
        Stream::Literal => 23,
    }
}

/// Reads a compressed stream. Nothing is read before the first byte is asked for, so that a
/// stream which is not used need not exist.
pub struct StreamDecoder<R> {
    stream: Stream,
    state: State<R>,
}

enum State<R> {
    Start(Option<R>),
    Absent,
    Stored(R, u64),
    Lzma(Box<LzmaReader<R>>),
}

impl<R: Read> StreamDecoder<R> {
    /// Takes the compressed bytes of a stream.
    pub fn new(stream: Stream, input: R) -> Self {
        Self { stream, state: State::Start(Some(input)) }
    }

    fn start(&mut self, input: R) -> Result<()> {
        let mut input = Reader::new(input);
        let Some(word) = input.varint_or_end("stream length")? else {
            self.state = State::Absent;
            return Ok(());
        };
        let len = word >> 1;
        if len == 0 {
            return Err(FormatError::NotCanonical {
                what: "stream length",
                offset: 0,
                why: "a stream without content has no bytes",
            });
        }
        self.state = match word & 1 {
            METHOD_STORED => State::Stored(input.into_inner(), len),
            _ => {
                let offset = input.offset();
                let props = input.byte("LZMA properties")?;
                let log2 = input.byte("LZMA dictionary")?;
                let what = "LZMA dictionary";
                let limit = max_dictionary_log2(self.stream);
                if log2 > limit {
                    let (found, limit) = (1 << log2.min(63), 1 << limit);
                    return Err(FormatError::TooLarge { what, offset: offset + 1, found, limit });
                }
                if log2 < MIN_DICTIONARY_LOG2 {
                    let found = log2.into();
                    return Err(FormatError::Unknown { what, offset: offset + 1, found });
                }
                let (lc, lp) = (props % 9, props / 9 % 5);
                if props >= 225 || lc + lp > 4 {
                    let found = props.into();
                    return Err(FormatError::Unknown { what: "LZMA properties", offset, found });
                }
                let input = input.into_inner();
                let reader = LzmaReader::new_with_props(input, len, props, 1 << log2, None)
                    .map_err(|error| refused(&error, offset + 2))?;
                State::Lzma(Box::new(reader))
            }
        };
        Ok(())
    }
}

/// Why raw LZMA cannot begin: what is below it failed, or it is something else.
fn refused(error: &io::Error, offset: u64) -> FormatError {
    let what = "LZMA stream";
    let below = error.get_ref().and_then(|inner| inner.downcast_ref::<FormatError>());
    match (below, error.kind()) {
        (Some(below), _) => below.clone(),
        (None, io::ErrorKind::UnexpectedEof) => FormatError::Truncated { what, offset },
        (None, _) => {
            FormatError::Invalid { what, offset, expected: "raw LZMA", found: error.to_string() }
        }
    }
}

impl<R: Read> Read for StreamDecoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let State::Start(input) = &mut self.state {
            let input = input.take().ok_or_else(|| io::Error::other("the stream is damaged"))?;
            self.start(input)?;
        }
        match &mut self.state {
            State::Start(_) => Err(io::Error::other("the stream is damaged")),
            State::Absent => Ok(0),
            State::Stored(input, left) => {
                let n = (*left).min(buffer.len() as u64) as usize;
                let n = match input.read(&mut buffer[..n])? {
                    0 if n > 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    n => n,
                };
                *left -= n as u64;
                Ok(n)
            }
            State::Lzma(input) => input.read(buffer),
        }
    }
}

#[cfg(feature = "encoder")]
pub use encode::{EncodedStream, encode, estimate};

#[cfg(feature = "encoder")]
mod encode {
    use std::io::{self, Write};

    use lzma_rust2::{EncodeMode, LzmaOptions, LzmaWriter, MfType};
    use upmass_format::payload::Stream;
    use upmass_format::wire::put_varint;

    use super::{METHOD_LZMA, METHOD_STORED, MIN_DICTIONARY_LOG2, max_dictionary_log2};

    /// A compressed stream.
    pub struct EncodedStream {
        /// The bytes, from the length on. Empty when the stream is empty.
        pub bytes: Vec<u8>,
        /// Ascending pairs: with so many bytes of content, so many compressed bytes were out.
        pub marks: Vec<(u64, u64)>,
        /// Memory that a decoder needs for it, in bytes.
        pub memory: u64,
    }

    impl EncodedStream {
        /// How many compressed bytes a decoder may need for the first `len` bytes of content.
        /// At most 64 KiB of content too many.
        pub fn needed_for(&self, len: u64) -> u64 {
            let next = self.marks.partition_point(|(content, _)| *content < len);
            self.marks
                .get(next)
                .map_or(u64::MAX, |(_, compressed)| *compressed)
                .min(self.bytes.len() as u64)
        }
    }

    /// The literal context, literal position and position bits that are tried.
    const TRIED: [(u32, u32, u32); 4] = [(3, 0, 2), (3, 0, 0), (0, 0, 0), (1, 2, 2)];
    /// How much content is compressed to choose between them.
    const SAMPLE: usize = 1 << 18;
    /// Longer literals are compressed with less effort: 1 % larger, in half the time.
    const LONG: usize = 2 << 20;
    const STEP: usize = 1 << 14;
    /// How far the encoder may look ahead before it puts anything out.
    const LOOK_AHEAD: u64 = 1 << 14;
    /// How many bytes the range decoder is ahead of what the range encoder has put out.
    const RANGE_CODER_AHEAD: u64 = 16;

    /// Compresses a stream, or stores it when that is smaller.
    pub fn encode(stream: Stream, content: &[u8]) -> EncodedStream {
        if content.is_empty() {
            return EncodedStream { bytes: Vec::new(), marks: Vec::new(), memory: 0 };
        }
        let sample_start = (content.len() / 2).saturating_sub(SAMPLE / 2);
        let sample = &content[sample_start..content.len().min(sample_start + SAMPLE)];
        let best = TRIED
            .iter()
            .map(|properties| lzma(stream, sample, *properties))
            .zip(TRIED)
            .min_by_key(|(encoded, _)| encoded.bytes.len())
            .map(|(encoded, properties)| match sample.len() == content.len() {
                true => encoded,
                false => lzma(stream, content, properties),
            })
            .expect("there are properties to try");
        let mut bytes = Vec::new();
        put_varint(&mut bytes, (content.len() as u64) << 1 | METHOD_STORED);
        let head = bytes.len() as u64;
        if best.bytes.len() < bytes.len() + content.len() {
            return best;
        }
        bytes.extend_from_slice(content);
        let marks = (0..=content.len() as u64).step_by(STEP).map(|n| (n, n + head)).collect();
        EncodedStream { bytes, marks, memory: 0 }
    }

    /// About how many bytes content takes when it is compressed; fast.
    pub fn estimate(content: &[u8]) -> usize {
        let options = LzmaOptions::with_preset(1);
        let compressed = LzmaWriter::new_no_header(Vec::new(), &options, false)
            .and_then(|mut writer| writer.write_all(content).and_then(|()| writer.finish()))
            .expect("compressing to memory with valid options cannot fail");
        compressed.len()
    }

    fn lzma(stream: Stream, content: &[u8], (lc, lp, pb): (u32, u32, u32)) -> EncodedStream {
        let needed = usize::BITS - (content.len() - 1).leading_zeros();
        let largest = max_dictionary_log2(stream).into();
        let dictionary_log2 = needed.clamp(MIN_DICTIONARY_LOG2.into(), largest);
        let options = LzmaOptions {
            dict_size: 1 << dictionary_log2,
            lc,
            lp,
            pb,
            mode: EncodeMode::Normal,
            nice_len: match stream {
                Stream::Literal if content.len() > LONG => 64,
                _ => LzmaOptions::NICE_LEN_MAX,
            },
            mf: MfType::Bt4,
            depth_limit: 0,
            preset_dict: None,
        };
        let mut head = Vec::new();
        put_varint(&mut head, (content.len() as u64) << 1 | METHOD_LZMA);
        head.extend_from_slice(&[((pb * 5 + lp) * 9 + lc) as u8, dictionary_log2 as u8]);
        let mut marks = Vec::new();
        let compressed = (|| -> io::Result<Vec<u8>> {
            let mut writer = LzmaWriter::new_no_header(head, &options, false)?;
            for (index, piece) in content.chunks(STEP).enumerate() {
                writer.write_all(piece)?;
                let sure = (index * STEP) as u64;
                if sure > LOOK_AHEAD {
                    let out = writer.inner().len() as u64;
                    marks.push((sure - LOOK_AHEAD, out + RANGE_CODER_AHEAD));
                }
            }
            writer.finish()
        })()
        .expect("compressing to memory with valid options cannot fail");
        EncodedStream { bytes: compressed, marks, memory: 1 << dictionary_log2 }
    }
}
