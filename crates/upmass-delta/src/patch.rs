//! One new object as literals, zeros and copies with residues
//! (`crates/upmass-format/spec/coder-lzma.md`).
//!
//! Three streams work together: `copy` says how long each operation is and where it copies
//! from, `residue` holds the differences inside copies, `literal` what is in no base.

use std::cell::RefCell;
use std::io::{self, BufReader, Read};

use upmass_format::payload::Stream;
use upmass_format::wire::Reader;

use crate::stream::StreamDecoder;
use crate::{DeltaError, Result};

/// Length of the buffers between streams, base and sink.
const BUFFER: usize = 1 << 15;

/// Old content that a patch copies from.
pub trait Base {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether there is no content.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buffer` from `offset` on. Never called outside the content.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// Short reads of a base go through a buffer of this size, which doubles, up to the second size, while one read
/// follows the other.
const WINDOW: usize = 1 << 14;
const LONGEST_WINDOW: usize = 1 << 17;

/// Content that is read with a function, short reads through a buffer.
pub struct Buffered<F> {
    len: u64,
    read: F,
    window: RefCell<(u64, Vec<u8>)>,
}

impl<F: Fn(&mut [u8], u64) -> io::Result<()>> Buffered<F> {
    /// Content of `len` bytes; `read` fills a buffer from an offset on.
    pub fn new(len: u64, read: F) -> Self {
        Self { len, read, window: RefCell::default() }
    }
}

impl<F: Fn(&mut [u8], u64) -> io::Result<()>> Base for Buffered<F> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if buffer.len() >= WINDOW {
            return (self.read)(buffer, offset);
        }
        let mut window = self.window.borrow_mut();
        let (start, bytes) = &mut *window;
        let end = offset + buffer.len() as u64;
        if offset < *start || end > *start + bytes.len() as u64 {
            let is_next = bytes.len() >= WINDOW
                && (*start..*start + bytes.len() as u64 + 1).contains(&offset);
            let window = if is_next { (2 * bytes.len()).min(LONGEST_WINDOW) } else { WINDOW };
            *start = offset;
            bytes.resize(window.min(self.len.saturating_sub(offset) as usize), 0);
            let read = (self.read)(bytes, offset);
            if read.is_err() {
                bytes.clear();
            }
            read?;
        }
        let from = (offset - *start) as usize;
        let Some(found) = bytes.get(from..from + buffer.len()) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        buffer.copy_from_slice(found);
        Ok(())
    }
}

impl Base for &[u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(buffer.len()).filter(|end| *end <= <[u8]>::len(self));
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(&self[start..end]);
        Ok(())
    }
}

/// What takes new content, front to back.
pub trait Sink {
    /// Appends bytes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Appends zeros.
    fn write_zeros(&mut self, len: u64) -> io::Result<()>;
}

impl Sink for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn write_zeros(&mut self, len: u64) -> io::Result<()> {
        self.resize(self.len() + usize::try_from(len).map_err(io::Error::other)?, 0);
        Ok(())
    }
}

/// Executes patches, one object after the other.
///
/// Memory: the dictionaries of the three streams and a few buffers, whatever the sizes of base
/// and object.
pub struct Decoder<R> {
    copy: Reader<BufReader<StreamDecoder<R>>>,
    residue: Reader<StreamDecoder<R>>,
    literal: Reader<StreamDecoder<R>>,
    buffer: Vec<u8>,
    residue_buffer: Vec<u8>,
}

impl<R: Read> Decoder<R> {
    /// Takes the compressed bytes of the three streams.
    pub fn new(copy: R, residue: R, literal: R) -> Self {
        let copy = BufReader::with_capacity(4096, StreamDecoder::new(Stream::Copy, copy));
        Self {
            copy: Reader::new(copy),
            residue: Reader::new(StreamDecoder::new(Stream::Residue, residue)),
            literal: Reader::new(StreamDecoder::new(Stream::Literal, literal)),
            buffer: vec![0; BUFFER],
            residue_buffer: vec![0; BUFFER],
        }
    }

    /// How many bytes of copy, residue and literal were used up so far.
    pub fn consumed(&self) -> [u64; 3] {
        [self.copy.offset(), self.residue.offset(), self.literal.offset()]
    }

    /// Appends `len` bytes of literal content to `sink`.
    pub fn whole(&mut self, len: u64, sink: &mut dyn Sink) -> Result<()> {
        self.patch(&&[][..], len, sink)
    }

    /// Makes an object of `len` bytes from `base`.
    pub fn patch(&mut self, base: &dyn Base, len: u64, sink: &mut dyn Sink) -> Result<()> {
        let mut left = len;
        let mut position = 0u64;
        while left > 0 {
            let literal = self.copy.varint("literal length")?;
            left = subtract(left, literal)?;
            self.copy_literal(literal, sink)?;
            if left == 0 {
                break;
            }
            let word = self.copy.varint("copy length")?;
            let (count, is_zeros) = (word >> 1, word & 1 == 1);
            left = subtract(left, count)?;
            if literal == 0 && count == 0 {
                let what = "copy length";
                let offset = self.copy.offset();
                let why = "an operation must make something";
                return Err(upmass_format::FormatError::NotCanonical { what, offset, why }.into());
            }
            if is_zeros {
                sink.write_zeros(count).map_err(DeltaError::Sink)?;
            } else if count > 0 {
                let from = i128::from(position) + i128::from(self.copy.signed("copy position")?);
                let end = from + i128::from(count);
                if from < 0 || end > i128::from(base.len()) {
                    let base_len = base.len();
                    return Err(DeltaError::OutsideBase { offset: from, len: count, base_len });
                }
                self.copy_from(base, from as u64, count, sink)?;
                position = end as u64;
            }
        }
        Ok(())
    }

    fn copy_literal(&mut self, mut len: u64, sink: &mut dyn Sink) -> Result<()> {
        while len > 0 {
            let piece = &mut self.buffer[..len.min(BUFFER as u64) as usize];
            self.literal.fill(piece, "literal stream")?;
            sink.write(piece).map_err(DeltaError::Sink)?;
            len -= piece.len() as u64;
        }
        Ok(())
    }

    /// A copy: runs that are exact and runs with a residue, in turn.
    fn copy_from(
        &mut self,
        base: &dyn Base,
        mut from: u64,
        mut len: u64,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let mut is_exact = true;
        while len > 0 {
            let mut run = self.copy.varint("run length")?;
            len = subtract(len, run)?;
            while run > 0 {
                let n = run.min(BUFFER as u64) as usize;
                let piece = &mut self.buffer[..n];
                base.read_exact_at(piece, from).map_err(DeltaError::Base)?;
                if !is_exact {
                    let residue = &mut self.residue_buffer[..n];
                    self.residue.fill(residue, "residue stream")?;
                    for (byte, difference) in piece.iter_mut().zip(residue) {
                        *byte = byte.wrapping_add(*difference);
                    }
                }
                sink.write(piece).map_err(DeltaError::Sink)?;
                from += n as u64;
                run -= n as u64;
            }
            is_exact = !is_exact;
        }
        Ok(())
    }
}

fn subtract(left: u64, len: u64) -> Result<u64> {
    left.checked_sub(len).ok_or(DeltaError::OutsideObject { len, left })
}

#[cfg(feature = "encoder")]
pub use encode::{Copied, Encoder, RawStreams};

#[cfg(feature = "encoder")]
mod encode {
    use upmass_format::wire::{put_varint, zigzag};

    /// A run of the new content that looks like a run of the base.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Copied {
        /// Where it is in the new content.
        pub new: u64,
        /// Where it is in the base.
        pub old: u64,
        /// How many bytes.
        pub len: u64,
    }

    /// The three streams of one or more objects before compression.
    #[derive(Debug, Clone, PartialEq, Eq, Default)]
    pub struct RawStreams {
        /// Lengths and positions.
        pub copy: Vec<u8>,
        /// Differences.
        pub residue: Vec<u8>,
        /// New content.
        pub literal: Vec<u8>,
        /// Growing lengths of copy, residue and literal: what a decoder has used up at some
        /// points of its work.
        pub marks: Vec<[u64; 3]>,
    }

    impl RawStreams {
        /// Appends the streams of the next object.
        pub fn append(&mut self, next: &RawStreams) {
            let lengths = self.lengths();
            let shifted = next.marks.iter().map(|mark| [0, 1, 2].map(|i| lengths[i] + mark[i]));
            self.marks.extend(shifted);
            self.copy.extend_from_slice(&next.copy);
            self.residue.extend_from_slice(&next.residue);
            self.literal.extend_from_slice(&next.literal);
        }

        /// Lengths of copy, residue and literal.
        pub fn lengths(&self) -> [u64; 3] {
            [&self.copy, &self.residue, &self.literal].map(|stream| stream.len() as u64)
        }

        /// Notes the lengths when much was added since the last note. The last `run` bytes of
        /// stream `index` are one run, which is noted in steps from its start on, so that no
        /// other stream waits behind all of it.
        fn mark(&mut self, index: usize, run: u64) {
            let lengths = self.lengths();
            let mut point = lengths;
            if run >= MARK_EVERY {
                for position in (lengths[index] - run..lengths[index]).step_by(MARK_EVERY as usize)
                {
                    point[index] = position;
                    self.marks.push(point);
                }
            }
            let last = self.marks.last().copied().unwrap_or_default();
            if (0..3).any(|i| lengths[i] - last[i] >= MARK_EVERY) {
                self.marks.push(lengths);
            }
        }
    }

    /// Indexes into lengths of streams.
    const RESIDUE: usize = 1;
    const LITERAL: usize = 2;
    /// How much may be added to a stream before its length is noted.
    const MARK_EVERY: u64 = 1 << 14;

    /// Runs of at least so many exact bytes inside a copy are skipped by their length. Shorter
    /// ones stay in the residue as zeros, where their rhythm helps the compressor.
    const MIN_EXACT: usize = 256;
    /// Runs of at least so many zeros become zeros without base.
    const MIN_ZEROS: usize = 4096;

    /// Writes one object piece by piece, so that objects of any size pass in windows.
    #[derive(Default)]
    pub struct Encoder {
        streams: RawStreams,
        /// Literal bytes that are not yet announced in the copy stream.
        literal_len: u64,
        position: u64,
    }

    impl Encoder {
        /// Starts an object.
        pub fn new() -> Self {
            Self::default()
        }

        /// Appends a window of the new content. `copies` are ascending in `new`, which counts
        /// from the start of `new_window`, and do not overlap there; `old` counts from the
        /// start of the base, of which `old_window` starts at `old_start`.
        ///
        /// # Panics
        /// When a copy is outside its windows.
        pub fn window(
            &mut self,
            new_window: &[u8],
            old_window: &[u8],
            old_start: u64,
            copies: &[Copied],
        ) {
            let mut done = 0;
            for copy in copies {
                let start = copy.new as usize;
                let end = start + copy.len as usize;
                self.unmatched(&new_window[done..start]);
                let from = (copy.old - old_start) as usize;
                let old = &old_window[from..from + copy.len as usize];
                self.copy(copy.old, old, &new_window[start..end]);
                done = end;
            }
            self.unmatched(&new_window[done..]);
        }

        /// The streams of the object. A last literal is announced here.
        pub fn finish(mut self) -> RawStreams {
            if self.literal_len > 0 {
                self.announce_literal();
            }
            self.streams.marks.push(self.streams.lengths());
            self.streams
        }

        /// Appends zeros.
        pub fn zeros(&mut self, len: u64) {
            if len > 0 {
                self.announce_literal();
                put_varint(&mut self.streams.copy, len << 1 | 1);
            }
        }

        fn announce_literal(&mut self) {
            let len = std::mem::take(&mut self.literal_len);
            put_varint(&mut self.streams.copy, len);
            self.streams.mark(LITERAL, len);
        }

        fn unmatched(&mut self, mut content: &[u8]) {
            while !content.is_empty() {
                let (start, end) = next_zeros(content);
                self.streams.literal.extend_from_slice(&content[..start]);
                self.literal_len += start as u64;
                self.zeros((end - start) as u64);
                content = &content[end..];
            }
        }

        fn copy(&mut self, at: u64, old: &[u8], new: &[u8]) {
            self.announce_literal();
            let out = &mut self.streams.copy;
            put_varint(out, (new.len() as u64) << 1);
            put_varint(out, zigzag(at.wrapping_sub(self.position) as i64));
            self.position = at + new.len() as u64;
            let mut done = 0;
            while done < new.len() {
                let (start, end) = next_haze(&old[done..], &new[done..]);
                let out = &mut self.streams.copy;
                put_varint(out, start as u64);
                if end > start {
                    put_varint(out, (end - start) as u64);
                }
                let range = done + start..done + end;
                let run = range.len() as u64;
                let pairs = new[range.clone()].iter().zip(&old[range]);
                self.streams.residue.extend(pairs.map(|(new, old)| new.wrapping_sub(*old)));
                self.streams.mark(RESIDUE, run);
                done += end;
            }
        }
    }

    /// The first run of many zeros, or the empty end.
    fn next_zeros(content: &[u8]) -> (usize, usize) {
        let mut start = 0;
        while start < content.len() {
            let zeros = content[start..].iter().take_while(|byte| **byte == 0).count();
            if zeros >= MIN_ZEROS {
                return (start, start + zeros);
            }
            start += zeros;
            start += content[start..].iter().take_while(|byte| **byte != 0).count();
        }
        (content.len(), content.len())
    }

    /// The first run that differs, with short exact runs inside it, or the empty end.
    fn next_haze(old: &[u8], new: &[u8]) -> (usize, usize) {
        let start = equal(old, new);
        let mut end = start;
        while end < new.len() {
            end += old[end..].iter().zip(&new[end..]).take_while(|(a, b)| a != b).count();
            let exact = equal(&old[end..], &new[end..]);
            if exact >= MIN_EXACT || end + exact == new.len() {
                break;
            }
            end += exact;
        }
        (start, end)
    }

    fn equal(old: &[u8], new: &[u8]) -> usize {
        let blocks = old.chunks(64).zip(new.chunks(64)).take_while(|(a, b)| a == b).count();
        let start = (blocks * 64).min(new.len());
        let rest = old[start..].iter().zip(&new[start..]);
        start + rest.take_while(|(a, b)| a == b).count()
    }
}
