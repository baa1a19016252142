//! Checkouts by a user who is not root.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use support::snapshot::snapshot;
use support::{Fixture, device, dir, file, hardlink, mode, normalised, sub, symlink, xattr};
use upmass_checkout::{
    CheckoutError, LeftOut, Options, Owners, Registration, Report, Sharing, Times, checkout_system,
};
use upmass_format::tree::{Child, Directory, Meta, Node};

const NOBODY: u32 = 65534;

const CURRENT: Options = Options {
    owners: Owners::Current,
    times: Times::Normalised,
    registration: Registration::None,
    sharing: Sharing::None,
    durable: false,
};

#[test]
fn what_needs_root_is_left_out_and_counted() {
    let fixture = Fixture::new();
    let release = fixture.release_of(&privileged());
    let report = fixture.checkout_with(release, &CURRENT).unwrap();
    assert_eq!(report, expected_report());
    assert!(report.left_out.any());
    assert_eq!(snapshot(&fixture.target()), normalised(unprivileged(0)));
}

#[test]
fn a_user_who_is_not_root_gets_the_same() {
    let fixture = Fixture::new();
    let release = fixture.release_of(&privileged());
    give_away(&fixture);
    check_helper(&fixture, "current", release);
    assert_eq!(snapshot(&fixture.target()), normalised(unprivileged(NOBODY)));
}

#[test]
fn a_user_who_is_not_root_cannot_keep_owners() {
    let fixture = Fixture::new();
    let release = fixture.release_of(&dir([("file", file("x"))]));
    give_away(&fixture);
    check_helper(&fixture, "keep", release);
    assert_eq!(fixture.names(), ["store"]);
}

#[test]
fn a_user_who_is_not_root_leaves_nothing_behind_either() {
    let fixture = Fixture::new();
    let closed = |bits| {
        let mut closed = dir([("sub", sub([("deep", sub([("file", file("x"))]))]))]);
        closed.meta.mode = bits;
        Child::Directory(closed)
    };
    let tree = dir([("a", closed(0o555)), ("b", closed(0o000)), ("c", closed(0o200))]);
    let release = fixture.release_of(&tree);
    give_away(&fixture);
    // The first pass and the second are through then, and something has come between.
    check_helper(&fixture, "late", release);
    assert_eq!(fixture.names(), ["store", "target"]);
}

/// What runs as another user. Without a task it is no test.
#[test]
fn helper_process() {
    let Ok(task) = std::env::var("UPMASS_TEST_TASK") else {
        return;
    };
    assert_eq!(rustix::process::geteuid().as_raw(), NOBODY);
    let var = |name| std::env::var(name).unwrap();
    let store = upmass_store::Store::open(var("UPMASS_TEST_STORE").as_ref()).unwrap();
    let release = var("UPMASS_TEST_RELEASE").parse().unwrap();
    let target = PathBuf::from(var("UPMASS_TEST_TARGET"));
    let checkout = |options: &Options, progress: &mut dyn FnMut(u64)| {
        checkout_system(&store, release, None, &target, options, progress)
    };
    match task.as_str() {
        "current" => assert_eq!(checkout(&CURRENT, &mut |_| {}).unwrap(), expected_report()),
        "keep" => {
            let error = checkout(&Options::default(), &mut |_| {}).unwrap_err();
            assert_eq!(
                error.to_string(),
                "set the owner of /file: not permitted: run as root, or do not keep owners"
            );
        }
        "late" => {
            let mut come_between = |_| {
                let _ = fs::create_dir(&target);
                fs::write(target.join("mine"), "").unwrap();
            };
            let result = checkout(&CURRENT, &mut come_between);
            assert!(matches!(result, Err(CheckoutError::TargetExists { .. })));
        }
        other => panic!("no task {other}"),
    }
}

fn check_helper(fixture: &Fixture, task: &str, release: upmass_format::ReleaseId) {
    // The program of the test may be where this user cannot go. Another process copies it: a
    // file that is open for writing, here or in a child that another thread has just started,
    // cannot be executed.
    let program = fixture.dir.path().join("program");
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status();
    assert!(copied.unwrap().success());
    let status = Command::new(&program)
        .args(["--exact", "helper_process", "--nocapture"])
        .current_dir("/")
        .env("UPMASS_TEST_TASK", task)
        .env("UPMASS_TEST_STORE", fixture.dir.path().join("store"))
        .env("UPMASS_TEST_RELEASE", release.to_string())
        .env("UPMASS_TEST_TARGET", fixture.target())
        .uid(NOBODY)
        .gid(NOBODY)
        .status()
        .unwrap();
    fs::remove_file(&program).unwrap();
    assert!(status.success());
}

/// Lets another user write to the store and beside it.
fn give_away(fixture: &Fixture) {
    fs::set_permissions(fixture.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let status = Command::new("chown").args(["-R", "65534:65534"]).arg(fixture.dir.path()).status();
    assert!(status.unwrap().success());
    chown(fixture.dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
}

fn privileged() -> Directory {
    let of_root = |bits, names: &[&str]| Meta {
        uid: 1,
        gid: 2,
        xattrs: names.iter().map(|name| xattr(name, b"x")).collect(),
        ..mode(bits)
    };
    let mut set_gid = dir([("file", file("123"))]);
    set_gid.meta = of_root(0o2555, &["trusted.x", "user.x"]);
    let content = Node::Inline(b"12345".to_vec());
    let mut tree = dir([
        (
            "dev",
            sub([
                ("null", Child::Leaf(mode(0o666), Node::CharDevice(device(1, 3)))),
                ("other", hardlink("dev/null")),
                ("pipe", Child::Leaf(of_root(0o600, &[]), Node::Fifo)),
                ("sda", Child::Leaf(mode(0o660), Node::BlockDevice(device(8, 0)))),
            ]),
        ),
        ("link", symlink("file")),
        ("set-gid", Child::Directory(set_gid)),
        ("su", Child::Leaf(of_root(0o4755, &["trusted.y", "user.y"]), content)),
    ]);
    tree.meta = of_root(0o1777, &[]);
    tree
}

/// What is left of that for a user.
fn unprivileged(id: u32) -> Directory {
    let of_user = |bits, names: &[&str]| Meta {
        uid: id,
        gid: id,
        xattrs: names.iter().map(|name| xattr(name, b"x")).collect(),
        ..mode(bits)
    };
    let owned = |child| match child {
        Child::Directory(mut directory) => {
            directory.meta = of_user(directory.meta.mode, &[]);
            Child::Directory(directory)
        }
        Child::Leaf(meta, node) => Child::Leaf(of_user(meta.mode, &[]), node),
    };
    let mut set_gid = dir([("file", owned(file("123")))]);
    set_gid.meta = of_user(0o555, &["user.x"]);
    let content = Node::Inline(b"12345".to_vec());
    let mut tree = dir([
        ("dev", owned(sub([("pipe", Child::Leaf(of_user(0o600, &[]), Node::Fifo))]))),
        ("link", owned(symlink("file"))),
        ("set-gid", Child::Directory(set_gid)),
        ("su", Child::Leaf(of_user(0o755, &["user.y"]), content)),
    ]);
    tree.meta = of_user(0o1777, &[]);
    tree
}

fn expected_report() -> Report {
    Report {
        entries: 6,
        bytes: 8,
        left_out: LeftOut { devices: 3, attributes: 2, set_ids: 2 },
        ..Report::default()
    }
}
