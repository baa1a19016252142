//! Images whose manifest is known by a digest.

use super::blobs::{Blobs, LayoutBlobs};
use super::choose::{self, Chosen};
use super::documents::{Index, LayoutMark, invalid, parse};
use super::files::Files;
use super::layers::{self, Layer};
use super::{Import, ImportedImage, media};
use crate::Result;

impl Import<'_> {
    /// OCI image specification 1.1, "Image Layout". `mark` is the file `oci-layout`.
    pub(super) fn layout(&self, files: &Files, mark: &[u8]) -> Result<ImportedImage> {
        let image = &self.image;
        let mark: LayoutMark = parse(image, "oci-layout", mark)?;
        if !mark.image_layout_version.starts_with("1.") {
            let expected = "imageLayoutVersion 1.0.0";
            return Err(invalid(
                image,
                "oci-layout",
                expected,
                format!("{:?}", mark.image_layout_version),
            ));
        }
        let place = "index.json";
        let bytes = files.document(image, place)?;
        let bytes =
            bytes.ok_or_else(|| invalid(image, "its files", "a file \"index.json\"", "none"))?;
        let index: Index = parse(image, place, &bytes)?;
        let blobs = LayoutBlobs { image, files };
        let chosen =
            choose::from_layout(&blobs, self.source, index.check(image, place)?.manifests)?;
        self.chosen(&blobs, chosen)
    }

    /// Unpacks the layers of a manifest.
    pub(super) fn chosen(&self, blobs: &dyn Blobs, chosen: Chosen) -> Result<ImportedImage> {
        let Chosen { descriptor, manifest, config } = chosen;
        let image = &self.image;
        let diff_ids = config.diff_ids(image)?;
        layers::count(image, manifest.layers.len(), diff_ids.len())?;
        let mut described = Vec::new();
        for (index, (layer, diff_id)) in manifest.layers.iter().zip(&diff_ids).enumerate() {
            let place = format!("layer {}", index + 1);
            let digest = layer.digest(image, &place)?;
            let place = format!("{place} ({})", digest.short());
            let compression = media::layer(&layer.media_type).ok_or_else(|| {
                let expected = "a tar archive, plain or compressed with gzip or zstd";
                invalid(image, &place, expected, format!("the media type {:?}", layer.media_type))
            })?;
            described.push(Layer {
                place,
                compression: Some(compression),
                diff_id: diff_id.clone(),
            });
        }
        let open = |index: usize| blobs.blob(&manifest.layers[index], &described[index].place);
        let imported = layers::flatten(
            self.store,
            image,
            &described,
            &open,
            self.source.max_size,
            self.options,
            self.progress,
        )?;
        Ok(ImportedImage {
            imported,
            manifest: Some(descriptor.digest(image, "its index")?),
            layers: diff_ids,
            platform: config.platform(),
            config: config.config.unwrap_or_default(),
        })
    }
}
