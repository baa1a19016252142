//! Files that are links to the objects of the store, where all who share an inode want the same of it. Needs root, as
//! owners do.

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use support::snapshot::snapshot;
use support::{Fixture, dir, hardlink, mode, normalised, sub, xattr};
use upmass_checkout::{Options, Owners, Sharing, checkout_system};
use upmass_format::tree::{Child, Directory, Meta};

const LINKS: Options = Options {
    owners: Owners::Keep,
    times: upmass_checkout::Times::Normalised,
    registration: upmass_checkout::Registration::None,
    sharing: Sharing::Links,
    durable: true,
};

fn inode(path: &Path) -> (u64, u64) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.ino(), found.nlink())
}

/// Checks a tree out as links, and that it is as expected, which is as the tree says but for files
/// that have become links to each other.
fn checkout(fixture: &Fixture, target: &str, tree: &Directory, expected: &Directory) -> u64 {
    let release = fixture.release_of(tree);
    let target = fixture.dir.path().join(target);
    let report =
        checkout_system(&fixture.store, release, None, &target, &LINKS, &mut |_| {}).unwrap();
    assert!(snapshot(&target) == normalised(expected.clone()), "{}", target.display());
    assert!(fixture.store.check(&mut |_| {}).unwrap().damages.is_empty());
    report.linked_bytes
}

#[test]
fn a_file_is_a_link_where_all_agree_and_a_copy_otherwise() {
    let fixture = Fixture::new();
    let content = vec![7; 5000];
    let leaf = |meta: Meta| Child::Leaf(meta, fixture.content(&content));
    let other_owner = Meta { uid: 12, ..mode(0o755) };
    let labelled = Meta { xattrs: vec![xattr("user.a", b"1")], ..mode(0o755) };
    let tree = dir([
        ("a", leaf(mode(0o755))),
        ("b", leaf(mode(0o755))),
        ("c", leaf(mode(0o4755))),
        ("d", leaf(labelled.clone())),
        ("e", leaf(other_owner.clone())),
        ("sub", sub([("f", leaf(mode(0o755)))])),
    ]);
    let expected = dir([
        ("a", leaf(mode(0o755))),
        ("b", hardlink("a")),
        ("c", leaf(mode(0o4755))),
        ("d", leaf(labelled.clone())),
        ("e", leaf(other_owner.clone())),
        ("sub", sub([("f", hardlink("a"))])),
    ]);
    let linked = checkout(&fixture, "one", &tree, &expected);
    assert_eq!(linked, 3 * 5000);
    let at = |path: &str| inode(&fixture.dir.path().join("one").join(path));
    assert_eq!(at("a").1, 4, "the object, a, b and sub/f");
    assert_eq!((at("b"), at("sub/f")), (at("a"), at("a")));
    for copy in ["c", "d", "e"] {
        assert_eq!(at(copy).1, 1, "{copy}");
    }
    // Another release shares as well, and leaves the first one as it was.
    let second = dir([("x", leaf(mode(0o755))), ("y", leaf(mode(0o600)))]);
    assert_eq!(checkout(&fixture, "two", &second, &second), 5000);
    assert!(snapshot(&fixture.dir.path().join("one")) == normalised(expected));
}

#[test]
fn an_inode_that_nobody_has_any_more_loses_what_it_had() {
    let fixture = Fixture::new();
    let content = vec![9; 300];
    let leaf = |meta: Meta| Child::Leaf(meta, fixture.content(&content));
    let before = Meta { xattrs: vec![xattr("user.a", b"1")], uid: 7, ..mode(0o6711) };
    let tree = dir([("a", leaf(before))]);
    checkout(&fixture, "one", &tree, &tree);
    fs::remove_dir_all(fixture.dir.path().join("one")).unwrap();
    let tree = dir([("a", leaf(mode(0o644)))]);
    assert_eq!(checkout(&fixture, "two", &tree, &tree), 300);
}

#[test]
fn who_does_not_keep_owners_gets_copies() {
    let fixture = Fixture::new();
    let content = fixture.content(&[5; 300]);
    let release = fixture.release_of(&dir([("a", Child::Leaf(mode(0o644), content))]));
    let options = Options { owners: Owners::Current, ..LINKS };
    let report = fixture.checkout_with(release, &options).unwrap();
    assert_eq!(report.linked_bytes, 0);
    assert_eq!(inode(&fixture.target().join("a")).1, 1);
}
