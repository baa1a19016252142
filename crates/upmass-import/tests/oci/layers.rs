//! Layers on top of each other give what umoci unpacks, attribute by attribute.

use super::*;
use crate::support::{Archive, Header, assert_same_tree, entry, filter, is_root, record, tree};
use upmass_format::tree::{Child, Node};

/// Compares with umoci, times included.
fn check(archives: &[&[u8]]) -> (Place, Store, ImportedImage) {
    check_with(archives, MtimePolicy::Kept)
}

/// Compares with umoci without times: where it deletes below a directory, or makes one, that has the
/// time of its unpacking.
fn check_but_times(archives: &[&[u8]]) -> (Place, Store, ImportedImage) {
    check_with(archives, MtimePolicy::Normalised)
}

fn check_with(archives: &[&[u8]], mtimes: MtimePolicy) -> (Place, Store, ImportedImage) {
    let place = Place::new();
    let layout = Layout::new(&place.home().join("image")).image(archives);
    let store = place.store();
    let source = OciSource::at(&layout.dir);
    let imported = import_oci(&store, &source, &options(mtimes), &|_| {}).unwrap();
    let expected = umoci(&place, &layout, &store, mtimes).expect("umoci takes it");
    assert_same_tree(&store, imported.imported.tree, expected, "umoci");
    (place, store, imported)
}

fn root() -> Archive {
    Archive::new().directory("./")
}

#[test]
fn what_a_layer_deletes_is_gone_and_what_it_has_itself_stays() {
    if !is_root() {
        return;
    }
    let base = root()
        .directory("d")
        .file("d/a", "a")
        .file("d/b", "b")
        .directory("d/e")
        .file("d/e/f", "f")
        .file("x", "x");
    // Before and after the mark, and with a directory that exists in both.
    let top = root()
        .directory("d")
        .file("d/new", "new")
        .file("d/.wh..wh..opq", "")
        .directory("d/e")
        .file("d/e/later", "later")
        .file(".wh.x", "")
        .file("x", "again")
        .file(".wh.nothing", "");
    let (_place, store, image) = check(&[&base.end(), &top.end()]);
    let tree = tree(&store, image.imported.tree);
    assert!(matches!(entry(&tree, "d/e/later"), Child::Leaf(_, Node::Inline(_))));
    assert!(tree.get(&upmass_format::TreePath::new("d/e/f").unwrap()).is_none());
    assert!(
        matches!(entry(&tree, "x"), Child::Leaf(_, Node::Inline(content)) if content == b"again")
    );
}

#[test]
fn a_whiteout_of_a_directory_spares_what_the_same_layer_puts_there() {
    if !is_root() {
        return;
    }
    let base = root().directory("d").file("d/a", "a").directory("d/e").file("d/e/b", "b");
    let top = root().directory("d").directory("d/e").file("d/e/c", "c").file(".wh.d", "");
    check_but_times(&[&base.end(), &top.end()]);
}

#[test]
fn hardlinks_reach_into_lower_layers_and_are_cut_by_a_new_file() {
    if !is_root() {
        return;
    }
    let long = vec![7; 100];
    let base = root().file("f", &long).entry(&Header::link(b'1', "g", "f"), b"");
    let second = root().entry(&Header::link(b'1', "h", "./g"), b"");
    let third = root().file("f", "new").entry(&Header::link(b'1', "i", "/h"), b"");
    let (_place, store, image) = check(&[&base.end(), &second.end(), &third.end()]);
    assert_eq!(image.imported.files, 2);
    assert_eq!(image.layers.len(), 3);
    let _ = store;
}

#[test]
fn directories_that_are_symlinks_are_followed_and_never_lead_out() {
    if !is_root() {
        return;
    }
    let base = root()
        .directory("usr")
        .directory("usr/bin")
        .entry(&Header::link(b'2', "bin", "usr/bin"), b"")
        .entry(&Header::link(b'2', "out", "/../../../etc"), b"")
        .entry(&Header::link(b'2', "circle", "circle"), b"");
    let top = root().file("bin/sh", "sh").file("out/passwd", "p").file("bin/.wh.sh", "");
    let (_place, store, image) = check_but_times(&[&base.end(), &top.end()]);
    let tree = tree(&store, image.imported.tree);
    assert!(matches!(entry(&tree, "usr/bin/sh"), Child::Leaf(..)));
    assert!(matches!(entry(&tree, "etc/passwd"), Child::Leaf(..)));
}

#[test]
fn types_change_attributes_are_replaced_and_the_last_of_two_stays() {
    if !is_root() {
        return;
    }
    let capability: &[u8] = &[1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let with = |records: Vec<u8>| root().extended(b'x', &records);
    let base =
        with(record("SCHILY.xattr.user.old", "1")).directory("d").file("d/f", "1").file("f", "f");
    let base = base
        .extended(b'x', &record("SCHILY.xattr.security.capability", capability))
        .file("ping", vec![1; 200])
        .entry(&Header { uid: b"0001750".to_vec(), ..Header::new(b'5', "e", 0) }, b"")
        .entry(&Header::new(b'6', "pipe", 0), b"");
    let device = |block: &mut [u8; 512]| block[329..345].copy_from_slice(b"0000001\x000000003\x00");
    let top = with(record("SCHILY.xattr.user.new", "2"))
        .directory("d")
        .file("e", "now a file")
        .file("e", "the last one")
        .entry(&Header { change: device, ..Header::new(b'3', "null", 0) }, b"")
        .entry(&Header::link(b'2', "f", "d/f"), b"")
        .directory("pipe")
        .file("pipe/f", "below");
    check(&[&base.end(), &top.end()]);
}

#[test]
fn missing_parents_and_absolute_names_are_taken_with_a_warning() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let archive = Archive::new().file("/a/b/c", "c").end();
    let layout = Layout::new(&place.home().join("image")).image(&[&archive]);
    let store = place.store();
    let imported = import_image(&store, &layout.dir).unwrap();
    let expected = umoci(&place, &layout, &store, MtimePolicy::Normalised).unwrap();
    assert_same_tree(&store, imported.imported.tree, expected, "umoci");
    assert_eq!(imported.imported.warnings.len(), 3, "{:?}", imported.imported.warnings);
}

#[test]
fn layers_are_plain_or_compressed_as_their_media_type_says() {
    let place = Place::new();
    let archives =
        [root().file("a", "1").end(), root().file("b", "2").end(), root().file("c", "3").end()];
    let archives: Vec<&[u8]> = archives.iter().map(Vec::as_slice).collect();
    let layout = Layout::new(&place.home().join("image"));
    let config = layout.config("linux/amd64", &archives);
    let layers = vec![
        layout.blob(layout::PLAIN, archives[0]),
        layout.blob(layout::GZIP, &filter("gzip", &[], archives[1])),
        layout.blob(layout::ZSTD, &filter("zstd", &[], archives[2])),
    ];
    layout.index(&[layout.manifest_of(config, layers)]);
    let store = place.store();
    let image = import_image(&store, &layout.dir).unwrap();
    let plain = Layout::new(&place.home().join("plain")).image(&archives);
    let expected = import_image(&store, &plain.dir).unwrap();
    assert_eq!(image.imported.tree, expected.imported.tree);
    assert_eq!(image.imported.files, 3);
}
