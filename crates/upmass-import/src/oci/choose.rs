//! From an index to the one image that is wanted.

use std::collections::BTreeSet;

use super::OciSource;
use super::blobs::Blobs;
use super::documents::{Config, Descriptor, Index, Manifest, invalid, parse, too_much};
use super::error::OciError;
use super::media::{self, Document};
use super::platform::Platform;
use crate::Result;

/// An image whose documents were read.
pub(super) struct Chosen {
    pub(super) descriptor: Descriptor,
    pub(super) manifest: Manifest,
    pub(super) config: Config,
}

/// A manifest that an index lists, and the platform that the index says it is for.
struct Candidate {
    descriptor: Descriptor,
    platform: Option<Platform>,
}

/// Chooses by name and platform from what an image layout lists.
pub(super) fn from_layout(
    blobs: &dyn Blobs,
    source: &OciSource,
    entries: Vec<Descriptor>,
) -> Result<Chosen> {
    let entries = match &source.reference {
        None => entries,
        Some(wanted) => {
            let has = |entry: &Descriptor| entry.reference() == Some(wanted);
            if !entries.iter().any(has) {
                return Err(no_reference(blobs, &entries, Some(wanted)));
            }
            entries.into_iter().filter(has).collect()
        }
    };
    // Entries with names of their own are different images, not one for several platforms.
    let names: BTreeSet<_> = entries.iter().filter_map(Descriptor::reference).collect();
    let digests = entries.iter().map(|entry| entry.digest(blobs.image(), "its index"));
    let digests: BTreeSet<_> = digests.collect::<Result<_>>()?;
    if names.len() > 1 && digests.len() > 1 {
        return Err(no_reference(blobs, &entries, None));
    }
    from_entries(blobs, source.platform.as_ref(), entries)
}

/// Chooses by platform alone.
pub(super) fn from_entries(
    blobs: &dyn Blobs,
    wanted: Option<&Platform>,
    entries: Vec<Descriptor>,
) -> Result<Chosen> {
    let mut candidates = Vec::new();
    let mut search = Search { blobs, wanted, left: MAX_DOCUMENTS };
    search.collect(entries, 0, &mut candidates)?;
    let fits = |candidate: &Candidate| match (wanted, &candidate.platform) {
        (Some(wanted), Some(platform)) => wanted.runs(platform),
        // What its index does not say, its config will.
        _ => Some(0),
    };
    let best = candidates.iter().filter_map(fits).max();
    let mut fitting: Vec<&Candidate> =
        candidates.iter().filter(|candidate| best.is_some() && fits(candidate) == best).collect();
    let mut seen = BTreeSet::new();
    let mut distinct = Vec::new();
    for candidate in fitting.drain(..) {
        if seen.insert(candidate.descriptor.digest(blobs.image(), "its index")?) {
            distinct.push(candidate);
        }
    }
    let [candidate] = distinct.as_slice() else {
        return Err(no_platform(blobs, wanted, &candidates));
    };
    let chosen = search.open(candidate.descriptor.clone())?;
    let platform = chosen.config.platform();
    if let Some(wanted) = wanted.filter(|wanted| wanted.runs(&platform).is_none()) {
        let place = "the config of the image";
        return Err(invalid(
            blobs.image(),
            place,
            format!("the platform {wanted}"),
            platform.to_string(),
        ));
    }
    Ok(chosen)
}

struct Search<'a> {
    blobs: &'a dyn Blobs,
    wanted: Option<&'a Platform>,
    /// How many documents may still be read.
    left: usize,
}

impl Search<'_> {
    fn collect(
        &mut self,
        entries: Vec<Descriptor>,
        depth: usize,
        into: &mut Vec<Candidate>,
    ) -> Result<()> {
        let image = self.blobs.image();
        for descriptor in entries {
            let platform = descriptor.platform();
            // Signatures and attestations stand beside images; they run nowhere.
            if platform.as_ref().is_some_and(|platform| platform.os == "unknown") {
                continue;
            }
            match media::document(&descriptor.media_type) {
                Some(Document::Manifest) => into.push(Candidate { descriptor, platform }),
                Some(Document::Index) => {
                    if depth == MAX_DEPTH {
                        let found = "an index in each of them".to_owned();
                        let limit = format!("{MAX_DEPTH} indexes in each other");
                        return Err(too_much(image, "its index", found, limit));
                    }
                    if let (Some(wanted), Some(platform)) = (self.wanted, &platform)
                        && wanted.runs(platform).is_none()
                    {
                        continue;
                    }
                    let bytes = self.read(&descriptor, "an index")?;
                    let index: Index = parse(image, "an index", &bytes)?;
                    self.collect(index.check(image, "an index")?.manifests, depth + 1, into)?;
                }
                None => {
                    let expected = "a manifest or an index of OCI or of Docker";
                    let found = format!("the media type {:?}", descriptor.media_type);
                    return Err(invalid(image, "an entry of its index", expected, found));
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, descriptor: Descriptor) -> Result<Chosen> {
        let image = self.blobs.image();
        let bytes = self.read(&descriptor, "the manifest")?;
        let manifest: Manifest = parse(image, "the manifest", &bytes)?;
        let manifest = manifest.check(image, "the manifest")?;
        if !media::is_config(&manifest.config.media_type) {
            let found = format!("the media type {:?}", manifest.config.media_type);
            let expected = "the config of an image of OCI or of Docker";
            return Err(invalid(image, "the config of the manifest", expected, found));
        }
        let bytes = self.read(&manifest.config, "the config")?;
        let config = parse(image, "the config", &bytes)?;
        Ok(Chosen { descriptor, manifest, config })
    }

    fn read(&mut self, descriptor: &Descriptor, place: &str) -> Result<Vec<u8>> {
        let Some(left) = self.left.checked_sub(1) else {
            let found = "more indexes".to_owned();
            return Err(too_much(
                self.blobs.image(),
                "its index",
                found,
                MAX_DOCUMENTS.to_string(),
            ));
        };
        self.left = left;
        self.blobs.document(descriptor, place)
    }
}

fn no_reference(
    blobs: &dyn Blobs,
    entries: &[Descriptor],
    wanted: Option<&str>,
) -> crate::ImportError {
    let names: BTreeSet<_> = entries.iter().filter_map(Descriptor::reference).collect();
    choice(
        blobs,
        wanted.map(|wanted| format!(" with the name {wanted:?}")),
        names.into_iter().map(|name| format!("{name:?}")),
        "name one of them with \"ref\"",
    )
}

fn no_platform(
    blobs: &dyn Blobs,
    wanted: Option<&Platform>,
    candidates: &[Candidate],
) -> crate::ImportError {
    let platforms: BTreeSet<String> = candidates
        .iter()
        .map(|candidate| match &candidate.platform {
            Some(platform) => platform.to_string(),
            None => "one for a platform that its index does not name".to_owned(),
        })
        .collect();
    choice(
        blobs,
        wanted.map(|wanted| format!(" for {wanted}")),
        platforms.into_iter(),
        "name one of their platforms with \"platform\"",
    )
}

fn choice(
    blobs: &dyn Blobs,
    wanted: Option<String>,
    found: impl Iterator<Item = String>,
    hint: &'static str,
) -> crate::ImportError {
    let mut found: Vec<String> = found.collect();
    let more = found.len().saturating_sub(FEW);
    found.truncate(FEW);
    let mut text = match found.is_empty() {
        true => "none".to_owned(),
        false => found.join(", "),
    };
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    let image = blobs.image().to_owned();
    let wanted = wanted.unwrap_or_default();
    OciError::Choice { image, wanted, found: text, hint }.into()
}

/// Indexes in each other, below the one of a layout.
const MAX_DEPTH: usize = 3;
/// Documents that are read until an image is found.
const MAX_DOCUMENTS: usize = 64;
/// How many names an error lists.
const FEW: usize = 10;
