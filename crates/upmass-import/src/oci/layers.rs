//! The layers of an image become one tree.

use std::io::{self, Read};
use std::sync::Arc;

use upmass_disk::ReadAt;
use upmass_store::Store;

use super::blobs::damaged;
use super::digest::{Hasher, OciDigest};
use super::documents::{invalid, too_much};
use crate::read_at::Cursor;
use crate::tar::{Compression, Unpack, decompress, unpack_layer};
use crate::{ImportError, ImportOptions, Imported, Result};

/// A layer that is opened when its turn has come.
pub(super) struct Layer {
    /// For messages.
    pub(super) place: String,
    /// How its archive says that it is compressed; `None` where it does not say.
    pub(super) compression: Option<Compression>,
    /// The digest of its archive without compression.
    pub(super) diff_id: OciDigest,
}

/// Unpacks layers, the lowest first. `open` gives the blob of each.
pub(super) fn flatten(
    store: &Store,
    image: &str,
    layers: &[Layer],
    open: &dyn Fn(usize) -> Result<Arc<dyn ReadAt>>,
    max_size: u64,
    options: &ImportOptions,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Imported> {
    let mut unpack = Unpack::new(store, options, progress)?;
    let mut left = max_size;
    for (index, layer) in layers.iter().enumerate() {
        let blob = open(index)?;
        let name = format!("{image}: {}", layer.place);
        let (compression, input) = decompress(Cursor::new(&*blob)).map_err(|fault| {
            ImportError::Archive { archive: name.clone(), offset: 0, member: String::new(), fault }
        })?;
        if let Some(expected) = layer.compression.filter(|expected| *expected != compression) {
            let expected = format!("{} as its media type says", expected.name());
            return Err(invalid(image, &layer.place, expected, compression.name()));
        }
        if compression == Compression::Xz {
            let expected = "gzip, zstd or no compression";
            return Err(invalid(image, &layer.place, expected, compression.name()));
        }
        let mut plain = Plain { input, hasher: layer.diff_id.hasher(), left, is_beyond: false };
        let unpacked = unpack_layer(&mut unpack, &name, compression, &mut plain);
        if plain.is_beyond {
            let found = format!("more than {left} bytes without compression");
            return Err(super::too_large(image, &layer.place, found, max_size));
        }
        unpacked?;
        left = plain.left;
        let found = plain.hasher.finish();
        if found != layer.diff_id {
            let expected = format!("{} without compression", layer.diff_id);
            return Err(damaged(image, &layer.place, expected, found.to_string()));
        }
    }
    unpack.finish()
}

/// An archive without compression while it is read: counted and hashed.
struct Plain<'a> {
    input: Box<dyn Read + 'a>,
    hasher: Hasher,
    left: u64,
    /// Whether there was more than is allowed.
    is_beyond: bool,
}

impl Read for Plain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => self.left = left,
            None => {
                self.is_beyond = true;
                return Err(io::Error::other("it is too large"));
            }
        }
        self.hasher.update(&buffer[..n]);
        Ok(n)
    }
}

/// Refuses more layers than any builder makes.
pub(super) fn count(image: &str, count: usize, diff_ids: usize) -> Result<()> {
    if count > MAX_LAYERS {
        return Err(too_much(
            image,
            "the image",
            format!("{count} layers"),
            MAX_LAYERS.to_string(),
        ));
    }
    if count != diff_ids {
        let expected = format!("{count} digests, one for each layer");
        return Err(invalid(
            image,
            "\"rootfs.diff_ids\" of the config",
            expected,
            diff_ids.to_string(),
        ));
    }
    Ok(())
}

/// Docker has 127 at most.
const MAX_LAYERS: usize = 512;
