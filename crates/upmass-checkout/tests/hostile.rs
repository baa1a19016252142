//! Trees that no build would make.

mod support;

use std::fs;

use support::{Fixture, device, dir, file, hardlink, mode, sub, symlink, xattr};
use upmass_format::tree::{Child, Directory, Meta, Node};

#[test]
fn a_hardlink_does_not_reach_through_a_symlink() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let link = symlink(outside.path().to_str().unwrap());
    check(
        dir([("a", link), ("b", hardlink("a/secret"))]),
        "component root: /b is a hardlink to a/secret, which is not a file there",
    );
    check(
        dir([("a", symlink("d")), ("b", hardlink("a/x")), ("d", sub([("x", file("x"))]))]),
        "component root: /b is a hardlink to a/x, which is not a file there",
    );
    assert_eq!(std::os::unix::fs::MetadataExt::nlink(&secret.metadata().unwrap()), 1);
}

#[test]
fn a_hardlink_must_lead_to_a_file() {
    check(
        dir([("a", sub([])), ("b", hardlink("a"))]),
        "component root: /b is a hardlink to a, which is not a file there",
    );
    check(
        dir([("b", hardlink("a"))]),
        "component root: /b is a hardlink to a, which is not a file there",
    );
    check(
        dir([("a", file("x")), ("b", hardlink("a/c"))]),
        "component root: /b is a hardlink to a/c, which is not a file there",
    );
    // The directory that it is in itself.
    check(
        dir([("a", sub([("b", hardlink("a"))]))]),
        "component root: /a/b is a hardlink to a, which is not a file there",
    );
}

#[test]
fn a_hardlink_to_a_symlink_is_another_name_of_the_symlink() {
    let fixture = Fixture::new();
    let tree = dir([("a", symlink("/etc/passwd")), ("b", hardlink("a"))]);
    let release = fixture.release_of(&tree);
    fixture.checkout(release).unwrap();
    let link = fs::read_link(fixture.target().join("b")).unwrap();
    assert_eq!(link.to_str(), Some("/etc/passwd"));
}

#[test]
fn an_owner_that_means_no_change_is_refused() {
    for (uid, gid) in [(u32::MAX, 0), (0, u32::MAX)] {
        let meta = Meta { uid, gid, ..mode(0o644) };
        let expected = |path| format!("{path} belongs to {uid}:{gid}, which no file on Linux can");
        let nodes = [Node::Inline(Vec::new()), Node::Symlink(b"x".to_vec()), Node::Fifo];
        for node in nodes {
            check(dir([("a", Child::Leaf(meta.clone(), node))]), &expected("/a"));
        }
        let mut inner = dir([]);
        inner.meta = meta.clone();
        check(dir([("a", Child::Directory(inner.clone()))]), &expected("/a"));
        check(inner, &expected("/"));
    }
}

#[test]
fn a_device_number_beyond_the_kernels_is_refused() {
    for (major, minor) in [(4096, 0), (0, 1 << 20), (u32::MAX, u32::MAX)] {
        let device = device(major, minor);
        for node in [Node::CharDevice(device), Node::BlockDevice(device)] {
            check(
                dir([("a", Child::Leaf(mode(0o600), node))]),
                &format!("/a is the device {major}:{minor}, beyond what Linux has"),
            );
        }
    }
}

#[test]
fn an_attribute_that_the_file_system_cannot_hold_is_told() {
    let meta = |attribute| Meta { xattrs: vec![xattr(attribute, b"x")], ..mode(0o644) };
    check(
        dir([("a", Child::Leaf(meta("other.a\nb"), Node::Inline(Vec::new())))]),
        "set the attribute other.a\\nb of /a: Operation not supported (os error 95)",
    );
    check(
        dir([("a", Child::Leaf(meta("user.a"), Node::Fifo))]),
        "set the attribute user.a of /a: Operation not permitted (os error 1)",
    );
}

fn check(tree: Directory, expected: &str) {
    let fixture = Fixture::new();
    let release = fixture.release_of(&tree);
    fixture.check_refused(release, expected);
}
