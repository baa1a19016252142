//! Image layouts, right or wrong.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Writes an image layout file by file.
pub struct Layout {
    pub dir: PathBuf,
}

pub const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
pub const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

pub fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

impl Layout {
    pub fn new(dir: &Path) -> Self {
        fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self { dir: dir.to_owned() }
    }

    /// A blob, and what describes it.
    pub fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = sha256(bytes);
        fs::write(self.path(&digest), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    /// Where a blob is.
    pub fn path(&self, digest: &str) -> PathBuf {
        self.dir.join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap())
    }

    pub fn document(&self, media_type: &str, document: &Value) -> Value {
        self.blob(media_type, document.to_string().as_bytes())
    }

    /// A config for layers with these archives, which are not compressed.
    pub fn config(&self, platform: &str, archives: &[&[u8]]) -> Value {
        let diff_ids: Vec<String> = archives.iter().map(|archive| sha256(archive)).collect();
        let mut config = platform_of(platform);
        config["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
        self.document(CONFIG, &config)
    }

    /// A manifest of plain layers.
    pub fn manifest(&self, platform: &str, archives: &[&[u8]]) -> Value {
        let layers = archives.iter().map(|archive| self.blob(PLAIN, archive)).collect();
        self.manifest_of(self.config(platform, archives), layers)
    }

    pub fn manifest_of(&self, config: Value, layers: Vec<Value>) -> Value {
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        self.document(MANIFEST, &manifest)
    }

    /// What the layout lists.
    pub fn index(&self, manifests: &[Value]) {
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        fs::write(self.dir.join("index.json"), index.to_string()).unwrap();
    }

    /// A layout with one image of plain layers, with the name "test".
    pub fn image(self, archives: &[&[u8]]) -> Self {
        let manifest = self.manifest("linux/amd64", archives);
        self.index(&[named(manifest, "test")]);
        self
    }
}

/// Gives an entry of an index a name.
pub fn named(mut entry: Value, name: &str) -> Value {
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
    entry
}

/// Gives an entry of an index a platform.
pub fn on(mut entry: Value, platform: &str) -> Value {
    entry["platform"] = platform_of(platform);
    entry
}

fn platform_of(text: &str) -> Value {
    let parts: Vec<&str> = text.split('/').collect();
    let mut platform = json!({ "os": parts[0], "architecture": parts[1] });
    if let Some(variant) = parts.get(2) {
        platform["variant"] = json!(variant);
    }
    platform
}
