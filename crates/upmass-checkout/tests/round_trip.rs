//! What a tree says is what the directory has. All of it is checked by reading it back.
//!
//! These tests are for root: they make devices and give files away.

mod support;

use std::collections::BTreeMap;

use support::snapshot::snapshot;
use support::{
    Fixture, device, dir, file, hardlink, mode, name, normalised, sub, symlink, with_mtimes, xattr,
};
use upmass_checkout::{Options, Report};
use upmass_format::tree::{Child, Directory, Meta, MtimePolicy, Node};

/// A capability set (`cap_net_raw` effective and permitted) as the kernel writes it, version 2.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn everything_that_a_tree_can_say_comes_back() {
    let fixture = Fixture::new();
    let tree = everything(&fixture);
    let release = fixture.release_of(&tree);
    let report = fixture.checkout(release).unwrap();
    assert_eq!(snapshot(&fixture.target()), normalised(tree.clone()));
    let mut entries = 0;
    let count = &mut |_: &_, _: &_, _: &_| -> Result<(), ()> {
        entries += 1;
        Ok(())
    };
    tree.walk(count).unwrap();
    let bytes = 5 + 8 + 70_000 + 9 + 3;
    let cloned_bytes = report.cloned_bytes;
    assert_eq!(report, Report { entries, bytes, cloned_bytes, ..Report::default() });
}

#[test]
fn modification_times_come_back_where_the_tree_keeps_them() {
    let fixture = Fixture::new();
    let tree = with_mtimes(everything(&fixture));
    let id = fixture.put_tree(&tree, MtimePolicy::Kept);
    let release = fixture.release(vec![support::Part { name: "root", install: "/", tree: id }]);
    let options = Options { durable: true, ..Options::default() };
    fixture.checkout_with(release, &options).unwrap();
    assert_eq!(snapshot(&fixture.target()), tree);
}

#[test]
fn times_before_the_epoch_come_back() {
    let fixture = Fixture::new();
    let mut tree = with_mtimes(dir([("old", file("x"))]));
    tree.meta.mtime.as_mut().unwrap().seconds = -1;
    let id = fixture.put_tree(&tree, MtimePolicy::Kept);
    let (name, install) = ("root", "/");
    let release = fixture.release(vec![support::Part { name, install, tree: id }]);
    fixture.checkout(release).unwrap();
    assert_eq!(snapshot(&fixture.target()), tree);
}

#[test]
fn names_of_any_bytes_come_back() {
    let fixture = Fixture::new();
    let longest = [b'x'; 255];
    let names: [&[u8]; 9] = [
        b"new\nline",
        b"\xff\xfe\x80",
        b"\xc3\xa9 and e\xcc\x81",
        b"...",
        b" ",
        b"-rf",
        b"a\\b",
        b"\x01\x7f",
        &longest,
    ];
    let mut inner = dir([]);
    for bytes in names {
        inner.children.insert(name(bytes), file("content"));
    }
    let mut tree = dir([]);
    for bytes in names {
        let child = Child::Directory(inner.clone());
        tree.children.insert(name(bytes), child);
    }
    let release = fixture.release_of(&tree);
    fixture.checkout(release).unwrap();
    assert_eq!(snapshot(&fixture.target()), normalised(tree));
}

#[test]
fn the_longest_symlink_comes_back_where_the_file_system_has_it() {
    let fixture = Fixture::new();
    let tree = dir([("link", symlink(&"x".repeat(4095)))]);
    let release = fixture.release_of(&tree);
    match fixture.checkout(release) {
        Ok(_) => assert_eq!(snapshot(&fixture.target()), normalised(tree)),
        // XFS has 1023 bytes.
        Err(error) => assert_eq!(
            error.to_string(),
            "make the symlink /link: File name too long (os error 36)"
        ),
    }
}

#[test]
fn an_empty_tree_becomes_an_empty_directory() {
    let fixture = Fixture::new();
    let tree = Directory { meta: mode(0o1500), children: BTreeMap::new() };
    let release = fixture.release_of(&tree);
    let report = fixture.checkout(release).unwrap();
    assert_eq!(report, Report::default());
    assert_eq!(snapshot(&fixture.target()), normalised(tree));
}

#[test]
fn a_default_access_list_is_kept_and_not_inherited() {
    let fixture = Fixture::new();
    let mut inner = dir([("file", file("x")), ("sub", sub([("deep", file("y"))]))]);
    inner.meta.xattrs = vec![xattr("system.posix_acl_default", &access_list(0o7))];
    let tree = dir([("shared", Child::Directory(inner))]);
    let release = fixture.release_of(&tree);
    fixture.checkout(release).unwrap();
    assert_eq!(snapshot(&fixture.target()), normalised(tree));
}

#[test]
fn what_the_parent_of_the_target_would_hand_down_is_not_taken() {
    let fixture = Fixture::new();
    let parent =
        rustix::fs::open(fixture.dir.path(), rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())
            .unwrap();
    let set_gid = rustix::fs::Mode::from_raw_mode(0o2777);
    rustix::fs::chown(fixture.dir.path(), None, Some(rustix::fs::Gid::from_raw(77))).unwrap();
    rustix::fs::fchmod(&parent, set_gid).unwrap();
    rustix::fs::fsetxattr(
        &parent,
        "system.posix_acl_default",
        &access_list(0o5),
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
    let tree = everything(&fixture);
    let release = fixture.release_of(&tree);
    fixture.checkout(release).unwrap();
    assert_eq!(snapshot(&fixture.target()), normalised(tree));
}

#[test]
fn twenty_thousand_tiny_files_come_back() {
    let fixture = Fixture::new();
    let mut tree = dir([]);
    for index in 0..20_000u32 {
        let directory = name(format!("{:02x}", index % 100).as_bytes());
        let Child::Directory(directory) =
            (tree.children.entry(directory)).or_insert_with(|| sub([]))
        else {
            unreachable!("only directories were inserted")
        };
        let content = index.to_string();
        (directory.children).insert(name(format!("file-{index}").as_bytes()), file(&content));
    }
    let release = fixture.release_of(&tree);
    let report = fixture.checkout(release).unwrap();
    assert_eq!(report.entries, 20_100);
    assert_eq!(snapshot(&fixture.target()), normalised(tree));
}

#[test]
fn the_umask_of_the_process_has_no_part_in_it() {
    let fixture = Fixture::new();
    let tree = everything(&fixture);
    let release = fixture.release_of(&tree);
    // Other tests of this process meet it too, which must not matter to them.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o777));
    let report = fixture.checkout(release);
    rustix::process::umask(before);
    report.unwrap();
    assert_eq!(snapshot(&fixture.target()), normalised(tree));
}

/// One of each, with attributes that a careless order of calls would lose.
fn everything(fixture: &Fixture) -> Directory {
    // Beyond these numbers, devices are not for XFS.
    let largest = device(511, 262_143);
    let owned = |bits, uid, gid| Meta { uid, gid, ..mode(bits) };
    let with = |meta: Meta, xattrs: &[(&str, &[u8])]| Meta {
        xattrs: xattrs.iter().map(|(n, v)| xattr(n, v)).collect(),
        ..meta
    };
    let large: Vec<u8> = (0..70_000u32).map(|n| (n * 7 % 251) as u8).collect();
    let large = fixture.content(&large);
    let mut closed = dir([("inside", file("x2345678"))]);
    closed.meta =
        with(owned(0o0000, 12, 34), &[("trusted.note", b"on a directory"), ("user.note", b"")]);
    let mut sticky = dir([]);
    sticky.meta = owned(0o1777, 0, 0);
    let mut set_gid = dir([("file", file("123456789")), ("dir", sub([]))]);
    set_gid.meta = owned(0o2775, 1, 100);
    let leaf = Child::Leaf;
    let mut tree = dir([
        ("closed", Child::Directory(closed)),
        ("empty", file("")),
        (
            "links",
            sub([
                ("absolute", symlink("/etc/passwd")),
                ("dangling", symlink("nowhere")),
                ("long", symlink(&"long/".repeat(200))),
                (
                    "owned",
                    leaf(
                        with(owned(0o777, 5, 6), &[("trusted.note", b"on a symlink")]),
                        Node::Symlink(b"../empty".to_vec()),
                    ),
                ),
            ]),
        ),
        (
            "nodes",
            sub([
                ("block", leaf(owned(0o660, 0, 6), Node::BlockDevice(device(8, 1)))),
                ("char", leaf(owned(0o666, 0, 0), Node::CharDevice(device(1, 3)))),
                (
                    "fifo",
                    leaf(with(owned(0o6755, 7, 8), &[("trusted.note", b"on a pipe")]), Node::Fifo),
                ),
                ("largest", leaf(owned(0o600, 0, 0), Node::CharDevice(largest))),
                ("socket", leaf(owned(0o700, 9, 9), Node::Socket)),
            ]),
        ),
        (
            "programs",
            sub([
                ("again", hardlink("programs/capable")),
                ("capable", leaf(Meta::default(), Node::Inline(Vec::new()))),
            ]),
        ),
        ("set-gid", Child::Directory(set_gid)),
        ("set-ids", leaf(owned(0o6711, 1000, u32::MAX - 1), Node::Inline(b"hello".to_vec()))),
        ("sticky", Child::Directory(sticky)),
        ("unreadable", leaf(owned(0o000, 3, 4), Node::Inline(b"abc".to_vec()))),
        (
            "z",
            sub([
                ("again", hardlink("empty")),
                ("device", hardlink("nodes/char")),
                ("link", hardlink("links/owned")),
                ("pipe", hardlink("nodes/fifo")),
                ("program", hardlink("programs/again")),
            ]),
        ),
    ]);
    // Canonical order wants the first name to be the file.
    let capable = leaf(
        with(
            owned(0o4755, 11, 22),
            &[("security.capability", &CAPABILITY), ("user.large", &[7; 2000])],
        ),
        large,
    );
    let Some(Child::Directory(programs)) = tree.children.get_mut(&name(b"programs")) else {
        unreachable!("it was made above")
    };
    programs.children.insert(name(b"again"), capable);
    programs.children.insert(name(b"capable"), hardlink("programs/again"));
    tree.meta = with(owned(0o2751, 42, 43), &[("user.root", b"on the root")]);
    tree
}

/// An access list that names user 1000: version 2, then entries of tag, permissions and id.
fn access_list(permissions: u8) -> Vec<u8> {
    let none = u32::MAX;
    let entries: [(u16, u8, u32); 5] = [
        (0x01, 7, none),
        (0x02, permissions, 1000),
        (0x04, 5, none),
        (0x10, 7, none),
        (0x20, 5, none),
    ];
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&u16::from(permissions).to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}
