//! The same image gives the same tree, however it was copied here, by the programs that do so.

use super::*;
use crate::support::{Archive, filter, tar};

fn image(place: &Place) -> Layout {
    let base = Archive::new().directory("./").directory("bin").file("bin/sh", vec![9; 5000]).end();
    let top =
        Archive::new().directory("./").directory("bin").file("bin/.wh.sh", "").file("f", "f").end();
    Layout::new(&place.home().join("image")).image(&[&base, &top])
}

#[test]
fn an_archive_of_a_layout_is_the_layout() {
    let place = Place::new();
    let layout = image(&place);
    let store = place.store();
    let expected = import_image(&store, &layout.dir).unwrap();
    let archive = tar(&layout.dir, &[]);
    let copies = [
        ("plain.tar", archive.clone()),
        ("gzip.tar.gz", filter("gzip", &[], &archive)),
        ("zstd.tar.zst", filter("zstd", &[], &archive)),
    ];
    for (name, bytes) in copies {
        let path = place.home().join(name);
        std::fs::write(&path, bytes).unwrap();
        let image = import_image(&store, &path).unwrap();
        assert_eq!(image.imported, expected.imported, "{name}");
        assert_eq!(image.manifest, expected.manifest, "{name}");
        assert_eq!(image.layers, expected.layers, "{name}");
    }
    assert_eq!(std::fs::read_dir(place.home().join("store/incoming")).unwrap().count(), 0);
}

#[test]
fn what_skopeo_writes_as_oci_archive_and_as_docker_archive_is_the_same_image() {
    let place = Place::new();
    let layout = image(&place);
    let store = place.store();
    let expected = import_image(&store, &layout.dir).unwrap();
    let from = format!("oci:{}:test", layout.dir.display());
    let path = |name: &str| place.home().join(name);
    for (name, to) in [
        ("oci.tar", format!("oci-archive:{}:test", path("oci.tar").display())),
        ("docker.tar", format!("docker-archive:{}:test:1", path("docker.tar").display())),
    ] {
        run("skopeo", &["--insecure-policy", "copy", "-q", &from, &to]);
        let image = import_image(&store, &path(name)).unwrap();
        assert_eq!(image.imported.tree, expected.imported.tree, "{name}");
        assert_eq!(image.manifest.is_some(), name == "oci.tar");
    }
    let tagged = |tag: &str| OciSource {
        reference: Some(tag.to_owned()),
        ..OciSource::at(path("docker.tar"))
    };
    assert!(import_source(&store, &tagged("docker.io/library/test:1")).is_ok());
    let refused = import_source(&store, &tagged("test:2")).unwrap_err();
    assert!(refused.ends_with("expected one image with the name \"test:2\", found \"docker.io/library/test:1\": name one of them with \"ref\""), "{refused}");
}
