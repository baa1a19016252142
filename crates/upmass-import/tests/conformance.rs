//! What every importer must do: the same tree from the same files, whatever carries them.

#[path = "support/layout.rs"]
mod layout;
mod support;

use std::time::{Duration, Instant};

use support::{
    Place, Sample, assert_same_tree, entry, filter, import, import_archive, import_archive_with,
    import_with, is_root, tar, tree,
};
use upmass_format::tree::{Child, MtimePolicy, Node};
use upmass_import::{ImportOptions, Owners};

const PAX: [&str; 5] =
    ["--format=pax", "--xattrs", "--xattrs-include=*", "--sparse", "--numeric-owner"];

#[test]
fn a_directory_and_its_archives_give_the_same_tree() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let sample = Sample::new(&place.source());
    sample.simple().with_nodes().with_extremes().with_holes().with_times().with_attributes();
    let store = place.store();
    let started = Instant::now();
    let from_directory = import(&store, &place.source());
    assert_eq!(from_directory.warnings, [] as [String; 0]);
    let archive = tar(&place.source(), &PAX);
    let compressed = [
        ("plain", archive.clone()),
        ("gzip", filter("gzip", &["-1"], &archive)),
        ("xz", filter("xz", &["-0"], &archive)),
        ("zstd", filter("zstd", &["-1"], &archive)),
    ];
    for (name, archive) in compressed {
        let imported = import_archive(&store, &archive).unwrap();
        assert_eq!(imported.warnings, [] as [String; 0], "{name}");
        assert_same_tree(&store, imported.tree, from_directory.tree, name);
        assert_eq!(imported.files, from_directory.files, "{name}");
        assert_eq!(imported.bytes, from_directory.bytes, "{name}");
    }
    // Five times 4 GiB of holes.
    assert!(started.elapsed() < Duration::from_secs(60), "holes are read or written");
}

#[test]
fn an_image_with_one_layer_is_its_archive() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let sample = Sample::new(&place.source());
    sample.simple().with_nodes().with_extremes().with_times().with_attributes();
    let store = place.store();
    let from_directory = import(&store, &place.source());
    let layout = layout::Layout::new(&place.home().join("image"));
    let layout = layout.image(&[&tar(&place.source(), &PAX)]);
    let source = upmass_import::OciSource::at(&layout.dir);
    let image =
        upmass_import::import_oci(&store, &source, &ImportOptions::default(), &|_| {}).unwrap();
    assert_eq!(image.imported.warnings, [] as [String; 0]);
    assert_same_tree(&store, image.imported.tree, from_directory.tree, "image");
}

#[test]
fn every_format_of_tar_gives_the_same_tree() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    Sample::new(&place.source()).simple();
    let store = place.store();
    let check = |arguments: &[&str]| {
        let expected = import(&store, &place.source()).tree;
        let imported = import_archive(&store, &tar(&place.source(), arguments)).unwrap();
        assert_eq!(imported.warnings, [] as [String; 0], "{arguments:?}");
        assert_same_tree(&store, imported.tree, expected, &arguments.join(" "));
    };
    check(&["--format=v7"]);
    Sample::new(&place.source()).with_nodes();
    check(&["--format=ustar"]);
    Sample::new(&place.source()).with_extremes().with_holes();
    check(&["--format=oldgnu", "--sparse"]);
    check(&["--format=gnu", "--sparse"]);
    check(&["--format=pax", "--sparse", "--sparse-version=0.0"]);
    check(&["--format=pax", "--sparse", "--sparse-version=0.1"]);
    check(&["--format=pax", "--sparse", "--sparse-version=1.0"]);
}

#[test]
fn modification_times_are_the_same_where_they_are_kept() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    Sample::new(&place.source()).simple().with_times();
    let store = place.store();
    let options = ImportOptions { mtimes: MtimePolicy::Kept, ..ImportOptions::default() };
    let expected = import_with(&store, &place.source(), &options).tree;
    assert_ne!(expected, import(&store, &place.source()).tree);
    let archive = tar(&place.source(), &PAX);
    let imported = import_archive_with(&store, &archive, &options).unwrap();
    assert_same_tree(&store, imported.tree, expected, "pax");
}

#[test]
fn importing_twice_gives_the_same_and_writes_nothing() {
    let place = Place::new();
    for name in ["a", "b"] {
        support::write(&place.source().join(name), &[7; 100_000]);
    }
    let store = place.store();
    let archive = tar(&place.source(), &[]);
    let first = import(&store, &place.source());
    assert_eq!(first, import(&store, &place.source()));
    let from_archive = import_archive(&store, &archive).unwrap();
    assert_eq!(from_archive.tree, first.tree);
    assert_eq!(import_archive(&store, &archive).unwrap(), from_archive);
    // One content and one tree.
    assert_eq!(objects(&place), 2);
    assert_eq!(std::fs::read_dir(place.home().join("store/incoming")).unwrap().count(), 0);
}

#[test]
fn an_empty_directory_gives_an_empty_tree() {
    let place = Place::new();
    let store = place.store();
    let imported = import(&store, &place.source());
    assert_eq!((imported.files, imported.bytes, imported.hashed_bytes), (0, 0, 0));
    assert!(tree(&store, imported.tree).children.is_empty());
    let archived = import_archive(&store, &tar(&place.source(), &[])).unwrap();
    assert_same_tree(&store, archived.tree, imported.tree, "archive");
}

#[test]
fn owners_can_be_replaced_or_mapped_and_unknown_ones_are_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    Sample::new(&place.source()).file("f", b"x").owner("f", 1000, 100);
    let store = place.store();
    let archive = tar(&place.source(), &["--numeric-owner"]);
    let check = |owners: Owners, expected: Result<(u32, u32), &str>| {
        let options = ImportOptions { owners, ..ImportOptions::default() };
        let from_directory =
            upmass_import::import_directory(&store, &place.source(), &options, &|_| {});
        let from_archive = import_archive_with(&store, &archive, &options);
        for imported in [from_directory, from_archive] {
            let imported = imported.map_err(|error| error.to_string());
            let found = imported.as_ref().map_err(|error| &error[..]).map(|imported| {
                let Child::Leaf(meta, Node::Inline(_)) =
                    entry(&tree(&store, imported.tree), "f").clone()
                else {
                    panic!("f is no file");
                };
                (meta.uid, meta.gid)
            });
            assert_eq!(found, expected);
        }
    };
    let map = |uids: &[(u32, u32)], gids: &[(u32, u32)]| Owners::Map {
        uids: uids.to_vec(),
        gids: gids.to_vec(),
    };
    check(Owners::Keep, Ok((1000, 100)));
    check(Owners::Root, Ok((0, 0)));
    check(map(&[(0, 0), (1000, 7)], &[(0, 0), (100, 8)]), Ok((7, 8)));
    check(
        map(&[(0, 0)], &[(0, 0), (100, 8)]),
        Err("f has owner 1000, which the mapping of uids does not name: add it there"),
    );
    check(
        map(&[(0, 0), (1000, 7)], &[(0, 0)]),
        Err("f has group 100, which the mapping of gids does not name: add it there"),
    );
}

fn objects(place: &Place) -> usize {
    let directories = std::fs::read_dir(place.home().join("store/objects")).unwrap();
    directories.map(|directory| std::fs::read_dir(directory.unwrap().path()).unwrap().count()).sum()
}
