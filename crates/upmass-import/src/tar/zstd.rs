//! Zstandard streams of any number of frames (RFC 8878).

use std::io::{BufRead, Error, ErrorKind, Read, Result};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Decodes frame after frame, passes over skippable ones, and compares their checksums.
pub(super) struct ZstdReader<R> {
    source: R,
    decoder: FrameDecoder,
    is_in_frame: bool,
}

impl<R: BufRead> ZstdReader<R> {
    /// Frames that need a larger window are refused before memory is taken for it.
    pub(super) fn new(source: R, max_window: u64) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(max_window);
        Self { source, decoder, is_in_frame: false }
    }

    /// Starts the next frame; `false` at the end.
    fn start_frame(&mut self) -> Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let len = u64::from(length);
                    let skipped =
                        std::io::copy(&mut (&mut self.source).take(len), &mut std::io::sink())?;
                    if skipped < len {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error @ FrameDecoderError::WindowSizeTooBig { .. }) => {
                    return Err(Error::new(ErrorKind::OutOfMemory, error.to_string()));
                }
                Err(error) => return Err(invalid(error)),
            }
        }
    }

    fn check_frame(&self) -> Result<()> {
        let expected = self.decoder.get_checksum_from_data();
        match expected.is_none() || expected == self.decoder.get_calculated_checksum() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::InvalidData, "the checksum of a frame is wrong")),
        }
    }
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.is_in_frame {
                if !self.start_frame()? {
                    return Ok(0);
                }
                self.is_in_frame = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(invalid)?;
            }
            match self.decoder.read(buffer)? {
                0 => {
                    self.check_frame()?;
                    self.is_in_frame = false;
                }
                n => return Ok(n),
            }
        }
    }
}

fn invalid(error: FrameDecoderError) -> Error {
    Error::new(ErrorKind::InvalidData, error.to_string())
}
