//! An OCI image becomes a tree: all its layers on top of each other.
//!
//! An image comes as an image layout (a directory or an archive of one) or as `docker save` writes it.
//! Every document and every layer is compared with its digest and length before it is used, and the
//! archive inside a layer with the digest that the config has of it. Nothing is unpacked to a file system.

mod blobs;
mod choose;
mod digest;
mod documents;
mod error;
mod files;
mod layers;
mod layout;
mod media;
mod platform;
mod saved;

use std::path::PathBuf;

use upmass_store::Store;

pub use self::digest::OciDigest;
pub use self::documents::ImageConfig;
pub use self::error::OciError;
use self::files::Files;
pub use self::platform::Platform;
use crate::{ImportError, ImportOptions, Imported, Result};

/// An image, and which one where there are several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OciSource {
    /// Where it is.
    pub location: OciLocation,
    /// Its name in an image layout, or its tag in what `docker save` wrote. Not needed where there is
    /// one image.
    pub reference: Option<String>,
    /// For which platform. Not needed where there is one image; where it is given, it is compared.
    pub platform: Option<Platform>,
    /// Most bytes that its layers may have without compression, all together.
    pub max_size: u64,
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OciLocation {
    /// A directory, or an archive that may be compressed.
    Path(PathBuf),
}

/// An image that was imported. All of it is durable.
#[derive(Debug, Clone)]
pub struct ImportedImage {
    /// The tree.
    pub imported: Imported,
    /// The digest of its manifest; what `docker save` wrote has none.
    pub manifest: Option<OciDigest>,
    /// The digests of its layers' archives without compression, the lowest first.
    pub layers: Vec<OciDigest>,
    /// What it is made for.
    pub platform: Platform,
    /// How it wants to be run.
    pub config: ImageConfig,
}

impl OciSource {
    /// As many bytes as an image may have where nothing else is said: 8 GiB.
    pub const MAX_SIZE: u64 = 8 << 30;

    /// An image at a path, which is the only one there.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let location = OciLocation::Path(path.into());
        Self { location, reference: None, platform: None, max_size: Self::MAX_SIZE }
    }
}

/// Imports an image. `progress` and durability are as with [`import_tar`](crate::import_tar).
///
/// # Errors
/// One sentence that says what of the image is at fault, what was expected and what was found.
pub fn import_oci(
    store: &Store,
    source: &OciSource,
    options: &ImportOptions,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<ImportedImage> {
    match &source.location {
        OciLocation::Path(path) => {
            let files = Files::open(store, path, source.max_size)?;
            let import =
                Import { store, source, options, progress, image: path.display().to_string() };
            import.files(&files)
        }
    }
}

struct Import<'a> {
    store: &'a Store,
    source: &'a OciSource,
    options: &'a ImportOptions,
    progress: &'a (dyn Fn(u64) + Sync),
    /// For messages.
    image: String,
}

impl Import<'_> {
    /// Newer versions of `docker save` write a layout with their own list beside it.
    fn files(&self, files: &Files) -> Result<ImportedImage> {
        if let Some(mark) = files.document(&self.image, "oci-layout")? {
            return self.layout(files, &mark);
        }
        if let Some(list) = files.document(&self.image, "manifest.json")? {
            return self.saved(files, &list);
        }
        let expected =
            "an image layout with a file \"oci-layout\", or \"manifest.json\" of docker save";
        Err(documents::invalid(&self.image, "its files", expected, "neither"))
    }
}

fn too_large(image: &str, place: &str, found: String, limit: u64) -> ImportError {
    let (image, place) = (image.to_owned(), place.to_owned());
    let limit = format!("{limit} bytes for the image");
    let hint = "; if it may be as large, say so with \"max_size\"";
    OciError::TooMuch { image, place, found, limit, hint }.into()
}
