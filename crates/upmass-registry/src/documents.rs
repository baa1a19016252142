//! The JSON documents of a registry, as far as they lead to others. What is in them otherwise is checked
//! when the image is imported.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use upmass_import::{OciDigest, Platform};

use crate::{PullError, Result};

/// Longest manifest or index, in bytes: what registries take.
pub(crate) const MAX_DOCUMENT: u64 = 4 << 20;
/// Most images of an index, and most layers of an image.
pub(crate) const MAX_ENTRIES: usize = 1024;

/// A manifest or an index.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    #[serde(default)]
    pub(crate) media_type: String,
    #[serde(default)]
    pub(crate) manifests: Vec<Descriptor>,
    pub(crate) config: Option<Descriptor>,
    #[serde(default)]
    pub(crate) layers: Vec<Descriptor>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Descriptor {
    digest: String,
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) platform: Value,
}

/// A token, as Docker's token authentication specification has it.
#[derive(Debug, Deserialize)]
pub(crate) struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Token {
    /// Its text, if it can stand in a header.
    pub(crate) fn text(self) -> Option<String> {
        let text = self.token.or(self.access_token)?;
        let is_plain = !text.is_empty() && text.bytes().all(|b| (0x21..0x7f).contains(&b));
        is_plain.then_some(text)
    }
}

impl Descriptor {
    pub(crate) fn digest(&self, place: &str) -> Result<OciDigest> {
        self.digest.parse().map_err(|()| PullError::Invalid {
            place: place.to_owned(),
            expected: "a digest sha256:… or sha512:…".to_owned(),
            found: format!("{:?}", few(&self.digest)),
        })
    }

    pub(crate) fn platform(&self) -> Option<Platform> {
        platform(&self.platform)
    }
}

/// A platform where a document has one: in an index, or as the keys of a config.
pub(crate) fn platform(value: &Value) -> Option<Platform> {
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    let (os, architecture, variant) = (text("os"), text("architecture"), text("variant"));
    let slash = if variant.is_empty() { "" } else { "/" };
    format!("{os}/{architecture}{slash}{variant}").parse().ok()
}

/// Reads a document; `place` names it.
pub(crate) fn parse<T: DeserializeOwned>(place: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| PullError::Invalid {
        place: place.to_owned(),
        expected: "a JSON document of its kind".to_owned(),
        found: few(&error.to_string()),
    })
}

/// As much of a text of unknown length as belongs into a message.
pub(crate) fn few(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(160).collect()
}
