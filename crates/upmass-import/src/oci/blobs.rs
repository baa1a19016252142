//! Blobs by their digests, verified before they are used.

use std::sync::Arc;

use upmass_disk::ReadAt;

use super::digest::OciDigest;
use super::documents::{Descriptor, MAX_DOCUMENT, too_much};
use super::error::OciError;
use super::files::{Files, in_memory};
use crate::{ImportError, Result};

/// Where blobs come from.
pub(super) trait Blobs {
    /// The image, for people.
    fn image(&self) -> &str;

    /// A blob whose length and digest are right. `place` names it.
    fn blob(&self, descriptor: &Descriptor, place: &str) -> Result<Arc<dyn ReadAt>>;

    /// A document in memory, verified in the same way.
    fn document(&self, descriptor: &Descriptor, place: &str) -> Result<Vec<u8>> {
        if descriptor.size > MAX_DOCUMENT {
            let found = format!("{} bytes", descriptor.size);
            return Err(too_much(self.image(), place, found, MAX_DOCUMENT.to_string()));
        }
        in_memory(self.image(), place, &*self.blob(descriptor, place)?)
    }
}

/// An image layout.
pub(super) struct LayoutBlobs<'a> {
    pub(super) image: &'a str,
    pub(super) files: &'a Files,
}

impl Blobs for LayoutBlobs<'_> {
    fn image(&self) -> &str {
        self.image
    }

    fn blob(&self, descriptor: &Descriptor, place: &str) -> Result<Arc<dyn ReadAt>> {
        let digest = descriptor.digest(self.image, place)?;
        let path = format!("blobs/{}/{}", digest.algorithm(), digest.hex());
        let Some(blob) = self.files.file(self.image, &path)? else {
            let (image, place) = (self.image.to_owned(), place.to_owned());
            return Err(OciError::Missing { image, place, path }.into());
        };
        if blob.len() != descriptor.size {
            let expected = format!("{} bytes", descriptor.size);
            return Err(damaged(self.image, place, expected, format!("{} bytes", blob.len())));
        }
        verify(self.image, place, &*blob, &digest)?;
        Ok(blob)
    }
}

/// Reads all of a blob and compares its digest.
pub(super) fn verify(
    image: &str,
    place: &str,
    blob: &dyn ReadAt,
    digest: &OciDigest,
) -> Result<()> {
    let mut hasher = digest.hasher();
    let mut buffer = vec![0; blob.len().min(1 << 18) as usize];
    let mut position = 0;
    while position < blob.len() {
        let take = (blob.len() - position).min(buffer.len() as u64) as usize;
        let read = blob.read_exact_at(&mut buffer[..take], position);
        read.map_err(|error| ImportError::read("read", format!("{image}: {place}"), error))?;
        hasher.update(&buffer[..take]);
        position += take as u64;
    }
    match hasher.finish() {
        found if found == *digest => Ok(()),
        found => Err(damaged(image, place, digest.to_string(), found.to_string())),
    }
}

pub(super) fn damaged(image: &str, place: &str, expected: String, found: String) -> ImportError {
    let (image, place) = (image.to_owned(), place.to_owned());
    OciError::Damaged { image, place, expected, found }.into()
}
