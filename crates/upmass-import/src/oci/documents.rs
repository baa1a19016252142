//! The JSON documents of an image.
//!
//! OCI image specification 1.1: "Image Index", "Image Manifest", "Image Configuration", "Content
//! Descriptors". Docker's own formats differ in their media types alone, but for `manifest.json`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::digest::OciDigest;
use super::error::OciError;
use super::platform::Platform;
use crate::Result;

/// What a blob is, and how to know it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    digest: String,
    pub(super) size: u64,
    platform: Option<PlatformOf>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Deserialize)]
struct PlatformOf {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: String,
}

/// `index.json`, and an index that a registry gives.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    schema_version: u64,
    pub(super) manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    schema_version: u64,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// `manifest.json` of `docker save`: its images.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SavedImage {
    pub(super) config: String,
    pub(super) repo_tags: Option<Vec<String>>,
    pub(super) layers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LayoutMark {
    pub(super) image_layout_version: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Config {
    #[serde(flatten)]
    platform: PlatformOf,
    pub(super) config: Option<ImageConfig>,
    rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    diff_ids: Option<Vec<String>>,
}

/// How an image wants to be run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    /// The user, and the group behind a colon: names or numbers.
    pub user: Option<String>,
    /// Variables as `NAME=value`.
    pub env: Option<Vec<String>>,
    /// The program and its first arguments.
    pub entrypoint: Option<Vec<String>>,
    /// The arguments behind these, or the program where there is none.
    pub cmd: Option<Vec<String>>,
    /// Where the program starts.
    pub working_dir: Option<String>,
    /// The name of the signal that ends it.
    pub stop_signal: Option<String>,
}

impl Descriptor {
    pub(super) fn digest(&self, image: &str, place: &str) -> Result<OciDigest> {
        self.digest.parse().map_err(|()| {
            invalid(
                image,
                place,
                "a digest sha256:… or sha512:…",
                format!("{:?}", few(&self.digest)),
            )
        })
    }

    pub(super) fn platform(&self) -> Option<Platform> {
        let PlatformOf { os, architecture, variant } = self.platform.as_ref()?;
        Some(Platform::new(os, architecture, variant))
    }

    /// The name that a layout gives it.
    pub(super) fn reference(&self) -> Option<&str> {
        self.annotations.as_ref()?.get(REFERENCE).map(String::as_str)
    }
}

impl Config {
    pub(super) fn platform(&self) -> Platform {
        let PlatformOf { os, architecture, variant } = &self.platform;
        Platform::new(os, architecture, variant)
    }

    /// The digests of the layers' archives without compression.
    pub(super) fn diff_ids(&self, image: &str) -> Result<Vec<OciDigest>> {
        let ids = self.rootfs.diff_ids.as_deref().unwrap_or_default();
        let parse = |id: &String| {
            let expected = "digests sha256:… or sha512:…";
            let place = "\"rootfs.diff_ids\" of the config";
            id.parse().map_err(|()| invalid(image, place, expected, format!("{:?}", few(id))))
        };
        ids.iter().map(parse).collect()
    }
}

impl Index {
    pub(super) fn check(self, image: &str, place: &str) -> Result<Self> {
        version(image, place, self.schema_version)?;
        if self.manifests.len() > MAX_MANIFESTS {
            let (found, limit) = (self.manifests.len(), MAX_MANIFESTS);
            return Err(too_much(image, place, format!("{found} manifests"), limit.to_string()));
        }
        Ok(self)
    }
}

impl Manifest {
    pub(super) fn check(self, image: &str, place: &str) -> Result<Self> {
        version(image, place, self.schema_version)?;
        Ok(self)
    }
}

/// Reads a document; `place` names it.
pub(super) fn parse<T: DeserializeOwned>(image: &str, place: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        let found = few(&error.to_string()).to_owned();
        invalid(image, place, "a valid JSON document of its kind", found)
    })
}

fn version(image: &str, place: &str, found: u64) -> Result<()> {
    match found {
        2 => Ok(()),
        other => Err(invalid(image, place, "schemaVersion 2", other.to_string())),
    }
}

pub(super) fn invalid(
    image: &str,
    place: &str,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> crate::ImportError {
    let (image, place) = (image.to_owned(), place.to_owned());
    OciError::Invalid { image, place, expected: expected.into(), found: found.into() }.into()
}

pub(super) fn too_much(
    image: &str,
    place: &str,
    found: impl Into<String>,
    limit: impl Into<String>,
) -> crate::ImportError {
    let (image, place) = (image.to_owned(), place.to_owned());
    OciError::TooMuch { image, place, found: found.into(), limit: limit.into(), hint: "" }.into()
}

/// As much of a text of unknown length as belongs into a message.
pub(super) fn few(text: &str) -> &str {
    let end = text.char_indices().nth(160).map_or(text.len(), |(end, _)| end);
    &text[..end]
}

/// Longest document, in bytes: what registries take.
pub(super) const MAX_DOCUMENT: u64 = 4 << 20;
/// Most images that an index lists.
const MAX_MANIFESTS: usize = 1024;
const REFERENCE: &str = "org.opencontainers.image.ref.name";
