//! Which image is taken where a layout has several.

use super::*;
use crate::layout::{INDEX, named, on};
use crate::support::{Archive, memory_store};
use serde_json::{Value, json};

/// A layout with an image of one file for each platform; the file is named as the platform.
struct Several {
    place: Place,
    layout: Layout,
}

impl Several {
    fn new() -> Self {
        let place = Place::new();
        let layout = Layout::new(&place.home().join("image"));
        Self { place, layout }
    }

    fn image(&self, platform: &str) -> Value {
        let name = platform.replace('/', "-");
        self.layout.manifest(platform, &[&Archive::new().directory("./").file(name, "x").end()])
    }

    fn nested(&self, manifests: &[Value]) -> Value {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        self.layout.document(INDEX, &index)
    }

    fn import(&self, reference: Option<&str>, platform: Option<&str>) -> Result<String, String> {
        let source = OciSource {
            reference: reference.map(str::to_owned),
            platform: platform.map(|platform| platform.parse().unwrap()),
            ..OciSource::at(&self.layout.dir)
        };
        let home = self.place.home().display().to_string();
        let imported = import_source(&memory_store(), &source);
        imported.map(|image| image.platform.to_string()).map_err(|error| error.replace(&home, ""))
    }

    fn refused(&self, reference: Option<&str>, platform: Option<&str>) -> String {
        self.import(reference, platform).expect_err("it is refused")
    }
}

#[test]
fn the_image_for_a_platform_is_found_wherever_the_index_has_it() {
    let several = Several::new();
    let arms = [
        on(several.image("linux/arm/v6"), "linux/arm/v6"),
        on(several.image("linux/arm64"), "linux/arm64/v8"),
    ];
    let attestation = on(several.image("unknown/unknown"), "unknown/unknown");
    let amd64 = on(several.image("linux/amd64"), "linux/amd64");
    let index = several.nested(&[several.nested(&arms), amd64, attestation]);
    several.layout.index(&[index]);
    let import = |platform| several.import(None, Some(platform));
    assert_eq!(import("linux/arm64"), Ok("linux/arm64".to_owned()));
    assert_eq!(import("linux/aarch64"), Ok("linux/arm64".to_owned()));
    assert_eq!(import("linux/arm/v7"), Ok("linux/arm/v6".to_owned()));
    assert_eq!(import("linux/amd64/v3"), Ok("linux/amd64".to_owned()));
    assert_eq!(
        several.refused(None, Some("linux/riscv64")),
        "/image: expected one image for linux/riscv64, found linux/amd64, linux/arm/v6, linux/arm64: \
         name one of their platforms with \"platform\""
    );
    assert_eq!(
        several.refused(None, None),
        "/image: expected one image, found linux/amd64, linux/arm/v6, linux/arm64: name one of their \
         platforms with \"platform\""
    );
}

#[test]
fn a_single_image_needs_no_platform_but_is_compared_with_a_given_one() {
    let several = Several::new();
    several.layout.index(&[several.image("linux/arm64")]);
    assert_eq!(several.import(None, None), Ok("linux/arm64".to_owned()));
    assert_eq!(
        several.refused(None, Some("linux/amd64")),
        "/image: the config of the image: expected the platform linux/amd64, found linux/arm64"
    );
}

#[test]
fn names_choose_between_images() {
    let several = Several::new();
    let one = several.image("linux/amd64");
    let other = several.image("linux/arm64");
    several.layout.index(&[named(one.clone(), "1.0"), named(other, "2.0"), named(one, "1")]);
    assert_eq!(several.import(Some("1.0"), None), Ok("linux/amd64".to_owned()));
    assert_eq!(several.import(Some("2.0"), None), Ok("linux/arm64".to_owned()));
    let hint = "name one of them with \"ref\"";
    assert_eq!(
        several.refused(None, None),
        format!("/image: expected one image, found \"1\", \"1.0\", \"2.0\": {hint}")
    );
    assert_eq!(
        several.refused(Some("3"), None),
        format!(
            "/image: expected one image with the name \"3\", found \"1\", \"1.0\", \"2.0\": {hint}"
        )
    );
}

#[test]
fn an_image_that_has_two_names_is_one() {
    let several = Several::new();
    let image = several.image("linux/amd64");
    several.layout.index(&[named(image.clone(), "1.0"), named(image, "latest")]);
    assert_eq!(several.import(None, None), Ok("linux/amd64".to_owned()));
}

#[test]
fn an_empty_index_has_no_image() {
    let several = Several::new();
    several.layout.index(&[]);
    assert!(several.refused(None, None).contains("expected one image, found none"));
}
