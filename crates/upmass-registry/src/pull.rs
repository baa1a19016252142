//! From a name to a layout.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use upmass_import::{OciDigest, Platform};

use crate::client::{Client, PATIENCE, body};
use crate::documents::{Descriptor, Document, MAX_DOCUMENT, MAX_ENTRIES, parse, platform};
use crate::layout::{Layout, damaged, digest_as};
use crate::{Credentials, PullError, Reference, Result};

/// How an image is pulled.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// For which platform. Not needed where there is one image; where it is given, it is compared.
    pub platform: Option<Platform>,
    /// Most bytes of all layers together, as they travel.
    pub max_size: u64,
    /// Who is asking, where the registry wants to know.
    pub credentials: Option<Credentials>,
    /// HTTP without TLS: everybody on the way reads along, and a tag may be answered by anybody.
    pub plain_http: bool,
    /// The authorities to believe, in PEM form; those of this machine otherwise.
    pub ca: Option<PathBuf>,
    /// How long nothing may come.
    pub patience: Duration,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            platform: None,
            max_size: 8 << 30,
            credentials: None,
            plain_http: false,
            ca: None,
            patience: PATIENCE,
        }
    }
}

/// An image that is in a layout, and durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The digest of its manifest.
    pub manifest: OciDigest,
    /// Its name in the layout.
    pub reference: Option<String>,
    /// Blobs, manifest and config among them.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that had to come; the others were there.
    pub received: u64,
}

/// Pulls an image into a layout: `directory` is one, is empty, or is made. `progress` is told the bytes
/// that came.
///
/// The image counts once it is in `index.json`, which is written last. What had arrived when a pull was
/// interrupted is used by the next one.
///
/// # Errors
/// One sentence that says what is at fault; see [`PullError`].
pub fn pull(
    reference: &Reference,
    directory: &Path,
    options: &PullOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<Pulled> {
    let client = Client::new(reference, options)?;
    let mut puller =
        Puller { client, image: reference.to_string(), options, progress, received: 0 };
    // Nothing is made for an image that is not there.
    let (bytes, media_type) = puller.document(&reference.asked(), reference.digest.as_ref())?;
    let (manifest, descriptor) = puller.choose(bytes, media_type)?;
    let layout = Layout::open(directory)?;
    let (blobs, total) = puller.blobs(&layout, &manifest)?;
    puller.check_platform(&layout, &manifest)?;
    layout.put(&manifest.digest, &manifest.bytes)?;
    let mut entry = json!({
        "mediaType": manifest.media_type,
        "digest": manifest.digest.to_string(),
        "size": manifest.bytes.len(),
    });
    if let Some(descriptor) = descriptor.filter(|descriptor| descriptor.platform.is_object()) {
        entry["platform"] = descriptor.platform;
    }
    let name = reference.tag.clone().or(match reference.digest {
        Some(_) => None,
        None => Some(reference.asked()),
    });
    layout.add(name.as_deref(), entry)?;
    Ok(Pulled {
        manifest: manifest.digest,
        reference: name,
        blobs: blobs + 1,
        bytes: total + manifest.bytes.len() as u64,
        received: puller.received,
    })
}

struct Puller<'a> {
    client: Client,
    /// For messages.
    image: String,
    options: &'a PullOptions,
    progress: &'a mut dyn FnMut(u64),
    received: u64,
}

/// A manifest of one image.
struct Manifest {
    bytes: Vec<u8>,
    digest: OciDigest,
    media_type: String,
    document: Document,
}

impl Puller<'_> {
    /// A manifest or an index, by its tag or digest, and what the registry says it is.
    fn document(&mut self, asked: &str, digest: Option<&OciDigest>) -> Result<(Vec<u8>, String)> {
        let path = format!("manifests/{asked}");
        let place = self.client.url(&path);
        let mut answer = self.client.get(&path, ACCEPT, 0)?;
        let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        let media_type = header("content-type").unwrap_or_default();
        let said: Option<OciDigest> =
            header("docker-content-digest").and_then(|text| text.parse().ok());
        let bytes = body(&mut answer, &place, MAX_DOCUMENT)?;
        self.received += bytes.len() as u64;
        (self.progress)(bytes.len() as u64);
        if let Some(expected) = digest.or(said.as_ref()) {
            let found = digest_as(Some(expected), &bytes);
            if found != *expected {
                return Err(damaged(&place, expected, &found));
            }
        }
        Ok((bytes, media_type.split(';').next().unwrap_or_default().trim().to_owned()))
    }

    /// Follows an index to the one image that is wanted.
    fn choose(
        &mut self,
        mut bytes: Vec<u8>,
        mut said: String,
    ) -> Result<(Manifest, Option<Descriptor>)> {
        let mut chosen: Option<Descriptor> = None;
        for _ in 0..=MAX_DEPTH {
            let document: Document = parse(&self.image, &bytes)?;
            // A document knows best what it is; Docker's older ones leave it to the registry.
            let media_type = match document.media_type.is_empty() {
                true => said,
                false => document.media_type.clone(),
            };
            if !INDEXES.contains(&&media_type[..]) {
                if !MANIFESTS.contains(&&media_type[..]) {
                    return Err(PullError::Invalid {
                        place: self.image.clone(),
                        expected: "a manifest or an index of OCI or of Docker".to_owned(),
                        found: format!("the media type {:?}", crate::documents::few(&media_type)),
                    });
                }
                let digest = match &chosen {
                    Some(chosen) => chosen.digest(&self.image)?,
                    None => digest_as(None, &bytes),
                };
                return Ok((Manifest { bytes, digest, media_type, document }, chosen));
            }
            let descriptor = self.of_index(&document)?;
            let digest = descriptor.digest(&self.image)?;
            let (next, next_said) = self.document(&digest.to_string(), Some(&digest))?;
            if next.len() as u64 != descriptor.size {
                return Err(PullError::Damaged {
                    place: format!("{}: manifest {}", self.image, digest.short()),
                    expected: format!("{} bytes", descriptor.size),
                    found: format!("{} bytes", next.len()),
                });
            }
            (bytes, said) = (next, next_said);
            chosen = Some(descriptor);
        }
        Err(PullError::TooMuch {
            place: self.image.clone(),
            found: "an index in each index".to_owned(),
            limit: format!("{MAX_DEPTH} in each other"),
            hint: "",
        })
    }

    /// The entry of an index that is for the platform.
    fn of_index(&self, index: &Document) -> Result<Descriptor> {
        self.few_enough("its index", index.manifests.len())?;
        let wanted = self.options.platform.as_ref();
        // Signatures and attestations stand beside images; they run nowhere.
        let images: Vec<(&Descriptor, Option<Platform>)> = (index.manifests.iter())
            .map(|entry| (entry, entry.platform()))
            .filter(|(_, platform)| platform.as_ref().is_none_or(|p| p.os != "unknown"))
            .collect();
        let rank = |platform: &Option<Platform>| match (wanted, platform) {
            (Some(wanted), Some(platform)) => wanted.runs(platform),
            // What its index does not say, its config will.
            _ => Some(0),
        };
        let best = images.iter().filter_map(|(_, platform)| rank(platform)).max();
        let mut fitting: Vec<&Descriptor> = (images.iter())
            .filter(|(_, platform)| best.is_some() && rank(platform) == best)
            .map(|(entry, _)| *entry)
            .collect();
        fitting.dedup_by_key(|entry| entry.digest(&self.image).ok());
        match fitting[..] {
            [entry] => Ok(entry.clone()),
            _ => {
                let mut found: Vec<String> = images
                    .iter()
                    .map(|(_, platform)| {
                        platform.as_ref().map_or("?".to_owned(), ToString::to_string)
                    })
                    .collect();
                found.sort();
                found.dedup();
                found.truncate(20);
                let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
                let wanted = wanted.map(|wanted| format!(" for {wanted}")).unwrap_or_default();
                Err(PullError::Platform { image: self.image.clone(), wanted, found })
            }
        }
    }

    /// Brings config and layers. Says how many, and their bytes.
    fn blobs(&mut self, layout: &Layout, manifest: &Manifest) -> Result<(u64, u64)> {
        let document = &manifest.document;
        let Some(config) = &document.config else {
            return Err(PullError::Invalid {
                place: format!("{}: the manifest", self.image),
                expected: "a \"config\"".to_owned(),
                found: "none".to_owned(),
            });
        };
        self.few_enough("the manifest", document.layers.len())?;
        if config.size > MAX_DOCUMENT {
            return Err(self.too_much("the config", config.size, MAX_DOCUMENT, ""));
        }
        let all: Vec<(String, &Descriptor)> = std::iter::once(("the config".to_owned(), config))
            .chain(document.layers.iter().enumerate().map(|(index, layer)| {
                (format!("layer {} of {}", index + 1, document.layers.len()), layer)
            }))
            .collect();
        // Before the first of them travels.
        let total = all.iter().try_fold(0u64, |sum, (_, blob)| sum.checked_add(blob.size));
        let total = total.unwrap_or(u64::MAX);
        if total > self.options.max_size {
            let hint = "; if it may be as large, say so with --max-size";
            return Err(self.too_much("the image", total, self.options.max_size, hint));
        }
        for (place, blob) in &all {
            let place = format!("{}: {place}", self.image);
            self.blob(layout, &blob.digest(&place)?, blob.size, &place)?;
        }
        Ok((all.len() as u64, total))
    }

    /// Brings one blob, if it is not there; goes on where an earlier try has ended.
    fn blob(&mut self, layout: &Layout, digest: &OciDigest, size: u64, place: &str) -> Result<()> {
        if layout.has(digest, size)? {
            return Ok(());
        }
        let mut part = layout.part(digest, size)?;
        let mut tries = 0;
        while part.len < size {
            let before = part.len;
            let done = self.some(&mut part, digest, size, place);
            // Who brings something is asked again and again, who brings nothing a few times.
            tries = if part.len > before { 0 } else { tries + 1 };
            match done {
                Ok(()) => {}
                Err(error) if error.is_temporary() && tries < MAX_TRIES => {
                    std::thread::sleep(self.options.patience.min(Duration::from_secs(1 << tries)));
                }
                Err(error) => return Err(error),
            }
            if tries == MAX_TRIES {
                let url = self.client.url(&format!("blobs/{digest}"));
                let why = format!("the answer ends at {} of {size} bytes", part.len);
                return Err(PullError::Network { url, why });
            }
        }
        part.check(place, digest)?;
        layout.publish(part, digest)
    }

    /// As much of a blob as one answer has.
    fn some(
        &mut self,
        part: &mut crate::layout::Part,
        digest: &OciDigest,
        size: u64,
        place: &str,
    ) -> Result<()> {
        let path = format!("blobs/{digest}");
        let mut answer = match self.client.get(&path, "*/*", part.len) {
            // What begins here is not there: what has arrived is of something else.
            Err(PullError::Status { status: 416, .. }) if part.len > 0 => {
                return part.restart(digest);
            }
            answer => answer?,
        };
        if part.len > 0 {
            let begins = format!("bytes {}-", part.len);
            let range = answer.headers().get("content-range");
            let range = range.and_then(|range| range.to_str().ok());
            let goes_on = answer.status() == 206 && range.is_some_and(|r| r.starts_with(&begins));
            if !goes_on {
                part.restart(digest)?;
            }
        }
        let mut reader = answer.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let (url, why) = (self.client.url(&path), error.to_string());
                    return Err(PullError::Network { url, why });
                }
            };
            if part.len + n as u64 > size {
                part.restart(digest)?;
                let (expected, found) = (format!("{size} bytes"), "more".to_owned());
                return Err(PullError::Damaged { place: place.to_owned(), expected, found });
            }
            part.write(&buffer[..n])?;
            self.received += n as u64;
            (self.progress)(n as u64);
        }
    }

    /// Compares the platform that was asked for with what the image says of itself.
    fn check_platform(&self, layout: &Layout, manifest: &Manifest) -> Result<()> {
        let (Some(wanted), Some(config)) = (&self.options.platform, &manifest.document.config)
        else {
            return Ok(());
        };
        let place = format!("{}: the config", self.image);
        let bytes = layout.read(&config.digest(&place)?)?;
        let config: Value = parse(&place, &bytes)?;
        let found = platform(&config);
        match found.as_ref().is_some_and(|found| wanted.runs(found).is_some()) {
            true => Ok(()),
            false => Err(PullError::Platform {
                image: self.image.clone(),
                wanted: format!(" for {wanted}"),
                found: found.map_or("one that does not say".to_owned(), |found| found.to_string()),
            }),
        }
    }

    fn few_enough(&self, place: &str, found: usize) -> Result<()> {
        match found <= MAX_ENTRIES {
            true => Ok(()),
            false => Err(PullError::TooMuch {
                place: format!("{}: {place}", self.image),
                found: format!("{found} entries"),
                limit: MAX_ENTRIES.to_string(),
                hint: "",
            }),
        }
    }

    fn too_much(&self, place: &str, found: u64, limit: u64, hint: &'static str) -> PullError {
        PullError::TooMuch {
            place: format!("{}: {place}", self.image),
            found: format!("{found} bytes"),
            limit: format!("{limit} bytes"),
            hint,
        }
    }
}

const INDEXES: &[&str] = &[
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
const MANIFESTS: &[&str] = &[
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";
/// Indexes in each other.
const MAX_DEPTH: usize = 3;
/// Answers in a row that bring nothing.
const MAX_TRIES: u32 = 3;
