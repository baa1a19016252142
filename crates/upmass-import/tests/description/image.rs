//! Components that are made from OCI images.

use crate::layout::Layout;

use super::*;

/// An archive of one file, as a layer is.
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn a_component_keeps_which_layers_it_was_made_from() {
    let project = Project::with(&SMALL.replace(
        "{ dir = \"root\" }",
        "{ oci = \"image\", ref = \"test\", platform = \"linux/amd64\", labels = [\"manifest\"] }",
    ));
    let archives = [archive("a", b"1"), archive("b", b"2")];
    let layers: Vec<&[u8]> = archives.iter().map(Vec::as_slice).collect();
    Layout::new(&project.path("image")).image(&layers);
    let component = &project.import().release.components[0];
    let digits = |archive: &[u8]| layout::sha256(archive)[7..19].to_owned();
    let expected = format!("{} {}", digits(layers[0]), digits(layers[1]));
    assert_eq!(component.labels["oci.layers"], expected);
    assert!(component.labels["oci.manifest"].starts_with("sha256:"));
}

#[test]
fn the_same_image_gives_the_same_release_however_it_was_copied() {
    let project = Project::with(&SMALL.replace("{ dir = \"root\" }", "{ oci = \"image\" }"));
    Layout::new(&project.path("image")).image(&[&archive("a", b"1")]);
    let release = project.import().release;
    let copy = |from: &str, to: &str| {
        let mut command = std::process::Command::new("skopeo");
        command
            .args(["--insecure-policy", "copy", "-q"])
            .current_dir(project.path(""))
            .args([from, to]);
        assert!(command.status().unwrap().success());
    };
    copy("oci:image:test", "docker-archive:saved.tar:test:1");
    project.describe(&project.text().replace("\"image\"", "\"saved.tar\""));
    assert_eq!(project.import().release, release);
}
