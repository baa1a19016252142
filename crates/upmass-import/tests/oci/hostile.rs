//! Images that nobody builds by accident. Each is refused with one sentence: what, where, what was
//! expected and what was found.

use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::layout::{CONFIG, GZIP, INDEX, MANIFEST, PLAIN, ZSTD, named, sha256};
use crate::support::{Archive, Header, entry, filter, memory_store, record, tree};

/// A layout to do harm to.
struct Victim {
    place: Place,
    layout: Layout,
}

impl Victim {
    fn new() -> Self {
        let place = Place::new();
        let layout = Layout::new(&place.home().join("image"));
        Self { place, layout }
    }

    fn of(archives: &[Vec<u8>]) -> Self {
        let victim = Self::new();
        let archives: Vec<&[u8]> = archives.iter().map(Vec::as_slice).collect();
        Self { layout: victim.layout.image(&archives), place: victim.place }
    }

    /// An image of one layer that is described wrongly or not at all.
    fn layer(&self, diff_id: &str, layer: Value) {
        let config =
            json!({ "os": "linux", "architecture": "amd64", "rootfs": { "diff_ids": [diff_id] } });
        let config = self.layout.document(CONFIG, &config);
        self.layout.index(&[self.layout.manifest_of(config, vec![layer])]);
    }

    fn refused(&self) -> String {
        self.refused_with(OciSource::at(&self.layout.dir))
    }

    fn refused_with(&self, source: OciSource) -> String {
        let error = import_source(&memory_store(), &source).expect_err("it is refused");
        error.replace(&self.place.home().display().to_string(), "")
    }
}

fn root() -> Archive {
    Archive::new().directory("./")
}

fn good() -> Vec<u8> {
    root().file("f", "f").end()
}

fn digits(digest: &Value) -> &str {
    digest["digest"].as_str().unwrap()
}

#[test]
fn a_path_that_leaves_the_tree_is_refused() {
    let table = [
        (
            root().file("../f", "x").end(),
            "its path has the part \"..\", which could lead out of the tree",
        ),
        (
            root().file("a/../../f", "x").end(),
            "its path has the part \"..\", which could lead out of the tree",
        ),
        (
            root().entry(&Header::link(b'1', "f", "../../etc/passwd"), b"").end(),
            "its hardlink target has the part \"..\", which could lead out of the tree",
        ),
    ];
    for (archive, expected) in table {
        let refused = Victim::of(&[archive]).refused();
        assert!(refused.starts_with("/image: layer 1 ("), "{refused}");
        assert!(refused.ends_with(expected), "{refused}");
    }
}

#[test]
fn a_file_through_a_symlink_to_etc_lands_in_the_etc_of_the_image() {
    let base = root().entry(&Header::link(b'2', "out", "/etc"), b"").end();
    let top = root().file("out/upmass-was-here", "x").end();
    let victim = Victim::of(&[base, top]);
    let store = victim.place.store();
    let image = import_image(&store, &victim.layout.dir).unwrap();
    entry(&tree(&store, image.imported.tree), "etc/upmass-was-here");
    assert!(!Path::new("/etc/upmass-was-here").exists());
}

#[test]
fn a_circle_of_symlinks_is_refused() {
    let base =
        root().entry(&Header::link(b'2', "a", "b"), b"").entry(&Header::link(b'2', "b", "a"), b"");
    let refused = Victim::of(&[base.file("a/f", "x").end()]).refused();
    assert!(
        refused.ends_with(
            "entry a/f: its path leads through more than 255 symlinks: they may be a circle"
        ),
        "{refused}"
    );
}

#[test]
fn a_chain_of_symlinks_that_grows_beyond_all_paths_is_refused() {
    let mut archive = root();
    for index in 0..20 {
        // Each link stays in a directory that it makes longer.
        let target = format!("{}/l", "n".repeat(250));
        let directory = vec!["n".repeat(250); index].join("/");
        let path = format!("{directory}/l");
        archive = archive
            .extended(b'x', &[record("path", path), record("linkpath", target)].concat())
            .entry(&Header::link(b'2', "l", "t"), b"");
    }
    let refused = Victim::of(&[archive.end()]).refused();
    assert!(refused.contains("expected at most 4095"), "{refused}");
    let deep =
        root().extended(b'x', &record("path", format!("{}f", "n/".repeat(2000)))).file("f", "x");
    assert!(import_image(&memory_store(), &Victim::of(&[deep.end()]).layout.dir).is_ok());
    let chain = root()
        .extended(b'x', &record("linkpath", "n/".repeat(1200)))
        .entry(&Header::link(b'2', "a", "t"), b"")
        .extended(b'x', &record("path", format!("{}b", "n/".repeat(1200))))
        .entry(&Header::link(b'2', "b", "/a/"), b"")
        .extended(b'x', &record("path", format!("a/{}f", "n/".repeat(1000))))
        .file("f", "x");
    let refused = Victim::of(&[chain.end()]).refused();
    assert!(refused.contains("its path has 4"), "{refused}");
}

#[test]
fn a_whiteout_of_the_parent_directory_or_of_nothing_is_refused() {
    for (name, shown) in [("d/.wh...", ".."), (".wh..", "."), ("d/.wh.", "")] {
        let refused =
            Victim::of(&[root().directory("d").end(), root().file(name, "").end()]).refused();
        let expected =
            format!("it deletes \"{shown}\": expected the name of a file of a lower layer");
        assert!(refused.ends_with(&expected), "{refused}");
    }
}

#[test]
fn a_hardlink_to_what_a_whiteout_took_away_is_refused() {
    let top = root().file(".wh.f", "").entry(&Header::link(b'1', "g", "f"), b"").end();
    let refused = Victim::of(&[good(), top]).refused();
    assert_eq!(refused, "g is a hardlink to f, which does not come before it");
}

#[test]
fn huge_numbers_of_layers_are_refused_before_any_is_read() {
    let victim = Victim::new();
    let archive = good();
    let archives: Vec<&[u8]> = vec![&archive; 513];
    victim.layout.index(&[victim.layout.manifest("linux/amd64", &archives)]);
    assert_eq!(victim.refused(), "/image: the image has 513 layers: expected at most 512");
}

#[test]
fn as_many_layers_as_are_allowed_are_taken() {
    let archive = good();
    let archives: Vec<Vec<u8>> = vec![archive; 512];
    let victim = Victim::of(&archives);
    assert!(import_image(&victim.place.store(), &victim.layout.dir).is_ok());
}

#[test]
fn a_blob_with_another_digest_is_refused_before_it_is_used() {
    let victim = Victim::of(&[good()]);
    let path = victim.layout.path(&sha256(&good()));
    let mut bytes = fs::read(&path).unwrap();
    bytes[600] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (expected, found) = (sha256(&good()), sha256(&bytes));
    let short = &expected[7..19];
    assert_eq!(
        victim.refused(),
        format!(
            "/image: layer 1 ({short}) is damaged: expected {expected}, found {found}; copy the image again"
        )
    );
}

#[test]
fn a_blob_that_is_cut_short_too_long_or_not_there_is_refused() {
    let victim = Victim::of(&[good()]);
    let digest = sha256(&good());
    let (path, short, len) = (victim.layout.path(&digest), &digest[7..19], good().len());
    fs::write(&path, &good()[..700]).unwrap();
    let expected = format!(
        "/image: layer 1 ({short}) is damaged: expected {len} bytes, found 700 bytes; copy the image again"
    );
    assert_eq!(victim.refused(), expected);
    fs::remove_file(&path).unwrap();
    let expected = format!(
        "/image: layer 1 ({short}) is not there: expected it at blobs/sha256/{}; copy the image again",
        &digest[7..]
    );
    assert_eq!(victim.refused(), expected);
    // A pipe or a link in its place is not waited for or followed.
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert!(
        victim.refused().starts_with("cannot open /image/blobs/sha256/"),
        "{}",
        victim.refused()
    );
}

#[test]
fn an_archive_that_is_not_what_the_config_says_is_refused() {
    let victim = Victim::new();
    let other = root().file("g", "g").end();
    victim.layer(&sha256(&other), victim.layout.blob(PLAIN, &good()));
    let refused = victim.refused();
    let expected = format!(
        "is damaged: expected {} without compression, found {}",
        sha256(&other),
        sha256(&good())
    );
    assert!(refused.contains(&expected), "{refused}");
}

#[test]
fn a_gzip_bomb_is_stopped_at_the_limit() {
    let victim = Victim::new();
    let mut bomb = root().entry(&Header::new(b'0', "zeros", 200 << 20), b"").0;
    bomb.resize(bomb.len() + (200 << 20), 0);
    bomb.extend_from_slice(&[0; 1024]);
    let small = filter("gzip", &["-9"], &bomb);
    assert!(small.len() < 300_000);
    let layer = victim.layout.blob(GZIP, &small);
    let short = &digits(&layer)[7..19].to_owned();
    victim.layer(&sha256(&bomb), layer);
    let source = OciSource { max_size: 10_000_000, ..OciSource::at(&victim.layout.dir) };
    assert_eq!(
        victim.refused_with(source),
        format!(
            "/image: layer 1 ({short}) has more than 10000000 bytes without compression: expected at most \
             10000000 bytes for the image; if it may be as large, say so with \"max_size\""
        )
    );
}

#[test]
fn a_bomb_around_the_whole_image_is_stopped_at_the_limit() {
    let victim = Victim::new();
    let path = victim.place.home().join("image.tar.gz");
    let mut bomb = root().entry(&Header::new(b'0', "zeros", 50 << 20), b"").0;
    bomb.resize(bomb.len() + (50 << 20), 0);
    fs::write(&path, filter("gzip", &[], &bomb)).unwrap();
    let source = OciSource { max_size: 1_000_000, ..OciSource::at(&path) };
    let refused = import_source(&victim.place.store(), &source).unwrap_err();
    assert!(
        refused.contains("the archive without compression has more than 1000000 bytes"),
        "{refused}"
    );
    assert_eq!(fs::read_dir(victim.place.home().join("store/incoming")).unwrap().count(), 0);
}

#[test]
fn an_index_in_an_index_in_an_index_and_so_on_is_refused() {
    let victim = Victim::new();
    let mut entry = victim.layout.manifest("linux/amd64", &[&good()]);
    for _ in 0..5 {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] });
        entry = victim.layout.document(INDEX, &index);
    }
    victim.layout.index(&[entry]);
    let expected =
        "/image: its index has an index in each of them: expected at most 3 indexes in each other";
    assert_eq!(victim.refused(), expected);
}

#[test]
fn an_index_that_lists_the_same_index_many_times_is_refused() {
    let victim = Victim::new();
    let mut entry = victim.layout.manifest("linux/amd64", &[&good()]);
    for _ in 0..3 {
        let manifests = vec![entry; 100];
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        entry = victim.layout.document(INDEX, &index);
    }
    victim.layout.index(&[entry]);
    assert_eq!(victim.refused(), "/image: its index has more indexes: expected at most 64");
}

#[test]
fn wrong_media_types_are_refused() {
    let victim = Victim::new();
    let archive = good();
    let short = |layer: &Value| digits(layer)[7..19].to_owned();
    // A layer that is something else.
    let layer = victim.layout.blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", &archive);
    victim.layer(&sha256(&archive), layer.clone());
    let expected = "a tar archive, plain or compressed with gzip or zstd";
    let found = "the media type \"application/vnd.cncf.helm.chart.content.v1.tar+gzip\"";
    assert_eq!(
        victim.refused(),
        format!("/image: layer 1 ({}): expected {expected}, found {found}", short(&layer))
    );
    // Compression that is not the one it says.
    let layer = victim.layout.blob(ZSTD, &filter("gzip", &[], &archive));
    victim.layer(&sha256(&archive), layer.clone());
    assert_eq!(
        victim.refused(),
        format!(
            "/image: layer 1 ({}): expected zstd as its media type says, found gzip",
            short(&layer)
        )
    );
    // A config that is no image's.
    let config = victim.layout.blob("application/vnd.cncf.helm.config.v1+json", b"{}");
    victim.layout.index(&[victim.layout.manifest_of(config, vec![])]);
    assert!(victim.refused().contains("expected the config of an image of OCI or of Docker, found the media type \"application/vnd.cncf.helm.config.v1+json\""), "{}", victim.refused());
    // A list of something else.
    victim.layout.index(&[victim.layout.blob("text/plain", b"x")]);
    assert_eq!(
        victim.refused(),
        "/image: an entry of its index: expected a manifest or an index of OCI or of Docker, found the media type \"text/plain\""
    );
}

#[test]
fn oversized_and_broken_documents_are_refused() {
    let victim = Victim::of(&[good()]);
    let index = victim.layout.dir.join("index.json");
    fs::write(&index, vec![b' '; (4 << 20) + 1]).unwrap();
    assert_eq!(victim.refused(), "/image: index.json has 4194305 bytes: expected at most 4194304");
    let check = |text: &str, expected: &str| {
        fs::write(&index, text).unwrap();
        let refused = victim.refused();
        assert!(
            refused.starts_with("/image: index.json: expected ") && refused.contains(expected),
            "{refused}"
        );
    };
    check("", "a valid JSON document of its kind, found EOF");
    check(&"[".repeat(100_000), "a valid JSON document of its kind, found");
    check("{\"schemaVersion\":1,\"manifests\":[]}", "schemaVersion 2, found 1");
    check("{\"schemaVersion\":2,\"manifests\":7}", "found invalid type: integer `7`");
    let big = json!({ "mediaType": MANIFEST, "digest": sha256(b"x"), "size": 9_000_000 });
    victim.layout.index(&[named(big, "test")]);
    assert_eq!(
        victim.refused(),
        "/image: the manifest has 9000000 bytes: expected at most 4194304"
    );
    let bad =
        json!({ "mediaType": MANIFEST, "digest": "sha256:../../../../etc/passwd", "size": 1 });
    victim.layout.index(&[bad]);
    assert_eq!(
        victim.refused(),
        "/image: its index: expected a digest sha256:… or sha512:…, found \"sha256:../../../../etc/passwd\""
    );
}

#[test]
fn digests_that_are_not_one_for_each_layer_are_refused() {
    let victim = Victim::new();
    let layer = victim.layout.blob(PLAIN, &good());
    let config = victim.layout.config("linux/amd64", &[]);
    victim.layout.index(&[victim.layout.manifest_of(config, vec![layer])]);
    assert_eq!(
        victim.refused(),
        "/image: \"rootfs.diff_ids\" of the config: expected 1 digests, one for each layer, found 0"
    );
}

#[test]
fn an_image_that_is_cut_short_or_flipped_anywhere_is_refused() {
    let victim = Victim::of(&[good()]);
    let path = victim.place.home().join("image.tar");
    let archive = support::tar(&victim.layout.dir, &["--sort=name"]);
    fs::write(&path, &archive).unwrap();
    let store = memory_store();
    let whole = import_image(&store, &path).unwrap();
    for len in (0..archive.len()).step_by(509) {
        fs::write(&path, &archive[..len]).unwrap();
        if let Ok(image) = import_image(&store, &path) {
            // Only the blocks of zeros at the end may be missing.
            assert_eq!(image.imported.tree, whole.imported.tree);
            assert!(archive[len..].iter().all(|byte| *byte == 0), "cut at {len}");
        }
    }
    for at in (0..archive.len()).step_by(97) {
        let mut flipped = archive.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, &flipped).unwrap();
        if let Ok(image) = import_image(&store, &path) {
            assert_eq!(image.imported.tree, whole.imported.tree, "flipped at {at}");
        }
    }
}

#[test]
fn something_that_is_no_image_is_told_what_was_expected() {
    let victim = Victim::new();
    fs::remove_file(victim.layout.dir.join("oci-layout")).unwrap();
    assert_eq!(
        victim.refused(),
        "/image: its files: expected an image layout with a file \"oci-layout\", or \"manifest.json\" of docker save, found neither"
    );
    fs::write(victim.layout.dir.join("manifest.json"), r#"[{"Config":"../c","Layers":[]}]"#)
        .unwrap();
    assert_eq!(
        victim.refused(),
        "/image: a path in the image: expected a path without .., found \"../c\""
    );
}
