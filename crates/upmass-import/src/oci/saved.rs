//! Images as `docker save` writes them.
//!
//! Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format". There are no
//! digests of the files; those of the layers' archives are in the config, and the config is named by its
//! own.

use super::blobs::damaged;
use super::digest::sha256;
use super::documents::{Config, SavedImage, few, invalid, parse};
use super::error::OciError;
use super::files::Files;
use super::layers::{self, Layer};
use super::{Import, ImportedImage};
use crate::Result;

impl Import<'_> {
    /// `list` is the file `manifest.json`.
    pub(super) fn saved(&self, files: &Files, list: &[u8]) -> Result<ImportedImage> {
        let image = &self.image;
        let images: Vec<SavedImage> = parse(image, "manifest.json", list)?;
        let saved = self.one_of(images)?;
        let missing = |place: String, path: &str| OciError::Missing {
            image: image.clone(),
            place,
            path: few(path).to_owned(),
        };
        let bytes = files.document(image, &saved.config)?;
        let bytes = bytes.ok_or_else(|| missing("the config".to_owned(), &saved.config))?;
        let name = saved.config.trim_end_matches(".json");
        let digest = name.rsplit('/').next().unwrap_or_default();
        if let Ok(digest) = format!("sha256:{digest}").parse()
            && sha256(&bytes) != digest
        {
            let found = sha256(&bytes).to_string();
            return Err(damaged(image, "the config", digest.to_string(), found));
        }
        let config: Config = parse(image, "the config", &bytes)?;
        let platform = config.platform();
        if let Some(wanted) = &self.source.platform
            && wanted.runs(&platform).is_none()
        {
            let (place, expected) = ("the config of the image", format!("the platform {wanted}"));
            return Err(invalid(image, place, expected, platform.to_string()));
        }
        let diff_ids = config.diff_ids(image)?;
        layers::count(image, saved.layers.len(), diff_ids.len())?;
        let described: Vec<Layer> = (diff_ids.iter().enumerate())
            .map(|(index, diff_id)| Layer {
                place: format!("layer {} ({})", index + 1, diff_id.short()),
                compression: None,
                diff_id: diff_id.clone(),
            })
            .collect();
        let open = |index: usize| {
            let path = &saved.layers[index];
            let file = files.file(image, path)?;
            file.ok_or_else(|| missing(described[index].place.clone(), path).into())
        };
        let imported = layers::flatten(
            self.store,
            image,
            &described,
            &open,
            self.source.max_size,
            self.options,
            self.progress,
        )?;
        let config = config.config.unwrap_or_default();
        Ok(ImportedImage { imported, manifest: None, layers: diff_ids, platform, config })
    }

    fn one_of(&self, images: Vec<SavedImage>) -> Result<SavedImage> {
        let tags = |saved: &SavedImage| saved.repo_tags.clone().unwrap_or_default();
        let wanted = self.source.reference.as_ref();
        let fits = |saved: &SavedImage| wanted.is_none_or(|wanted| tags(saved).contains(wanted));
        let all: Vec<String> = images.iter().flat_map(tags).collect();
        let mut fitting: Vec<SavedImage> = images.into_iter().filter(fits).collect();
        match (fitting.pop(), fitting.is_empty()) {
            (Some(saved), true) => Ok(saved),
            _ => Err(OciError::Choice {
                image: self.image.clone(),
                wanted: wanted
                    .map(|wanted| format!(" with the name {wanted:?}"))
                    .unwrap_or_default(),
                found: few(&all
                    .iter()
                    .map(|tag| format!("{tag:?}"))
                    .collect::<Vec<_>>()
                    .join(", "))
                .to_owned(),
                hint: "name one of them with \"ref\"",
            }
            .into()),
        }
    }
}
