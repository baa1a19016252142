//! Deflate streams of unknown packers: predicted by `preflate-rs`, and corrected.
//!
//! That crate forbids unsafe code but does not promise to refuse damaged corrections, and holds
//! everything in memory. So a panic of it is caught (a device that aborts on panics should not
//! include it), and [`memory`](super::super::memory()) counts what it takes at the worst.

use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use preflate_rs::recreate_whole_deflate_stream;

use crate::Codec;
use crate::bounded::Sink;
use crate::error::{Error, Result};
use crate::recipe::{Corrections, Lengths};

pub(super) fn recreate(
    corrections: &Corrections,
    lengths: Lengths,
    plain: &mut dyn Read,
    sink: &mut Sink<'_>,
) -> Result<()> {
    if lengths.plain > MAX_PLAIN {
        return Err(failed("the content is too long"));
    }
    let mut content = Vec::new();
    plain.read_to_end(&mut content).map_err(Error::io("plain"))?;
    let recreate = || recreate_whole_deflate_stream(&content, corrections.as_bytes());
    let packed = catch_unwind(AssertUnwindSafe(recreate))
        .map_err(|_| failed("the corrections are damaged"))?
        .map_err(|error| failed(&error.to_string()))?;
    sink.write_all(&packed).map_err(Error::io("packed"))
}

/// Finds the corrections of a stream; returns them if they are few.
#[cfg(feature = "recognise")]
pub(crate) fn correct(stream: &[u8], plain_len: u64, limit: usize) -> Option<Corrections> {
    use preflate_rs::{PreflateConfig, PreflateStreamProcessor};
    if plain_len > MAX_PLAIN {
        return None;
    }
    let config = PreflateConfig { verify_compression: false, ..PreflateConfig::default() };
    let find = || PreflateStreamProcessor::new(&config).decompress(stream);
    let found = catch_unwind(AssertUnwindSafe(find)).ok()?.ok()?;
    let fits = found.corrections.len() <= limit && found.compressed_size == stream.len();
    if fits { Corrections::new(&found.corrections) } else { None }
}

fn failed(why: &str) -> Error {
    Error::Packing { codec: Codec::Preflate, why: why.to_owned() }
}

/// What one member may hold in memory.
pub(crate) const MAX_PLAIN: u64 = 64 << 20;
