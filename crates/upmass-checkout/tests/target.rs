//! The target has its name only when it is whole.

mod support;

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use support::snapshot::snapshot;
use support::{Fixture, dir, file, normalised, sub, symlink};
use upmass_checkout::{CheckoutError, Options, checkout_system};
use upmass_format::ReleaseId;
use upmass_format::tree::Directory;

#[test]
fn an_empty_directory_is_replaced() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.target()).unwrap();
    fs::set_permissions(fixture.target(), fs::Permissions::from_mode(0o711)).unwrap();
    let release = fixture.release_of(&small());
    fixture.checkout(release).unwrap();
    assert_eq!(snapshot(&fixture.target()), normalised(small()));
    assert_eq!(fixture.names(), ["store", "target"]);
}

#[test]
fn what_is_there_is_not_touched() {
    type Make = fn(&Path);
    let makes: [Make; 4] = [
        |path| fs::write(path, "mine").unwrap(),
        |path| {
            fs::create_dir(path).unwrap();
            fs::write(path.join("mine"), "").unwrap();
        },
        |path| std::os::unix::fs::symlink("nowhere", path).unwrap(),
        |path| {
            fs::create_dir(path.with_file_name("empty")).unwrap();
            std::os::unix::fs::symlink("empty", path).unwrap();
        },
    ];
    for make in makes {
        let fixture = Fixture::new();
        let release = fixture.release_of(&small());
        make(&fixture.target());
        let before = snapshot(fixture.dir.path()).children;
        let error = fixture.checkout(release).unwrap_err();
        let path = fixture.target().display().to_string();
        assert!(matches!(&error, CheckoutError::TargetExists { path: found } if *found == path));
        assert_eq!(
            error.to_string(),
            format!("{path} exists already: choose a directory that does not exist, or is empty")
        );
        let after = snapshot(fixture.dir.path()).children;
        let target = support::name(b"target");
        assert_eq!(after.get(&target), before.get(&target));
        assert_eq!(after.len(), before.len());
    }
}

#[test]
fn what_comes_meanwhile_is_not_touched_either() {
    let fixture = Fixture::new();
    let release = fixture.release_of(&small());
    let target = fixture.target();
    let mut come_between = |_| {
        if !target.exists() {
            fs::create_dir(&target).unwrap();
            fs::write(target.join("mine"), "").unwrap();
        }
    };
    let options = Options::default();
    let result =
        checkout_system(&fixture.store, release, None, &target, &options, &mut come_between);
    assert!(matches!(result, Err(CheckoutError::TargetExists { .. })));
    assert_eq!(fs::read_dir(&target).unwrap().count(), 1);
    assert_eq!(fixture.names(), ["store", "target"]);
}

#[test]
fn a_target_without_a_name_or_a_parent_is_refused() {
    let fixture = Fixture::new();
    let release = fixture.release_of(&small());
    let check = |target: PathBuf, expected: String| {
        let options = Options::default();
        let result = checkout_system(&fixture.store, release, None, &target, &options, &mut |_| {});
        assert_eq!(result.unwrap_err().to_string(), expected);
    };
    let here = fixture.dir.path();
    check("/".into(), "\"/\" does not end with the name of a directory".into());
    let above = here.join("..");
    let expected = format!("{above:?} does not end with the name of a directory");
    check(above, expected);
    check(
        here.join("missing/target"),
        format!("open {}/missing: No such file or directory (os error 2)", here.display()),
    );
    check(
        here.join("store/version/target"),
        format!("open {}/store/version: Not a directory (os error 20)", here.display()),
    );
    assert_eq!(fixture.names(), ["store"]);
}

#[test]
fn names_of_targets_may_be_odd_or_long() {
    let fixture = Fixture::new();
    let release = fixture.release_of(&small());
    for name in [vec![b'x'; 255], b"\xff\n".to_vec(), b".hidden".to_vec()] {
        let target = fixture.dir.path().join(OsString::from_vec(name));
        let options = Options::default();
        checkout_system(&fixture.store, release, None, &target, &options, &mut |_| {}).unwrap();
        assert_eq!(snapshot(&target), normalised(small()));
    }
}

#[test]
fn a_relative_target_is_where_the_process_is() {
    let fixture = Fixture::new();
    let release = fixture.release_of(&small());
    let status = helper("checkout", &fixture, release)
        .current_dir(fixture.dir.path())
        .env("UPMASS_TEST_TARGET", "target")
        .status();
    assert!(status.unwrap().success());
    assert_eq!(snapshot(&fixture.target()), normalised(small()));
}

#[test]
fn a_checkout_that_fails_leaves_nothing_behind() {
    let fixture = Fixture::new();
    let mut tree = dir([("first", file("x")), ("links", sub([("a", symlink("/etc"))]))]);
    let id = fixture.store.put(&[1; 5000]).unwrap();
    let node = upmass_format::tree::Node::Object { size: 5000, id };
    tree.children.insert(
        support::name(b"second"),
        upmass_format::tree::Child::Leaf(support::mode(0o644), node),
    );
    let release = fixture.release_of(&tree);
    fs::remove_file(fixture.object_file(id)).unwrap();
    fs::create_dir(fixture.target()).unwrap();
    assert!(matches!(fixture.checkout(release), Err(CheckoutError::Content { .. })));
    assert_eq!(fixture.names(), ["store", "target"]);
    assert_eq!(fs::read_dir(fixture.target()).unwrap().count(), 0);
    assert!(Path::new("/etc").is_dir());
}

#[test]
fn a_checkout_that_is_killed_is_never_taken_for_a_whole_one() {
    let fixture = Fixture::new();
    let release = fixture.release_of(&small());
    let status = helper("killed", &fixture, release).status().unwrap();
    assert!(!status.success());
    let names = fixture.names();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[0].starts_with(".target.partial-upmass-"), "{names:?}");
    let partial = fixture.dir.path().join(&names[0]);
    assert_eq!(partial.metadata().unwrap().mode() & 0o7777, 0o700);

    fixture.checkout(release).unwrap();
    assert_eq!(fixture.names(), ["store", "target"], "the next one cleans up");
    assert_eq!(snapshot(&fixture.target()), normalised(small()));
}

#[test]
fn only_what_dead_checkouts_left_is_removed() {
    let fixture = Fixture::new();
    let release = fixture.release_of(&small());
    let stale = [".target.partial-upmass-1", ".target.partial-upmass-4294967-2"];
    let others = [
        ".other.partial-upmass-1",
        ".target.partial-upmass-",
        ".target.partial-upmass-1x",
        ".target.partial-upmass-1-",
        ".target.partial-upmass-1-2-3",
        ".target.partial-upmass-foreign",
        "target.partial-upmass-1",
    ];
    for name in stale.iter().chain(&others) {
        fs::create_dir_all(fixture.dir.path().join(name).join("sub/deeper")).unwrap();
    }
    let owned_by_another = ".target.partial-upmass-3";
    fs::create_dir(fixture.dir.path().join(owned_by_another)).unwrap();
    std::os::unix::fs::chown(fixture.dir.path().join(owned_by_another), Some(1000), None).unwrap();
    fs::write(fixture.dir.path().join(".target.partial-upmass-4"), "a file").unwrap();
    let outside = fixture.dir.path().join(stale[0]).join("sub/link");
    std::os::unix::fs::symlink(fixture.dir.path().join("store"), outside).unwrap();

    fixture.checkout(release).unwrap();
    let mut expected: Vec<_> = others.iter().map(ToString::to_string).collect();
    expected.extend([
        owned_by_another.to_owned(),
        ".target.partial-upmass-4".to_owned(),
        "store".to_owned(),
        "target".to_owned(),
    ]);
    expected.sort();
    assert_eq!(fixture.names(), expected);
    assert!(fixture.store.has_release(release).unwrap(), "links are not followed");
}

#[test]
fn a_checkout_that_is_under_way_is_left_alone() {
    let fixture = Fixture::new();
    let release = fixture.release_of(&small());
    let (target, options) = (fixture.target(), Options::default());
    let mut depth = 0;
    let mut inner = |_| {
        depth += 1;
        if depth == 1 {
            fixture.checkout(release).unwrap();
        }
    };
    let outer = checkout_system(&fixture.store, release, None, &target, &options, &mut inner);
    assert!(matches!(outer, Err(CheckoutError::TargetExists { .. })), "the inner one was first");
    assert_eq!(snapshot(&target), normalised(small()));
    assert_eq!(fixture.names(), ["store", "target"]);
}

#[test]
fn the_release_cannot_be_removed_meanwhile() {
    let fixture = Fixture::new();
    let release = fixture.release_of(&small());
    let (target, options) = (fixture.target(), Options::default());
    let mut refused = 0;
    let mut remove = |_| refused += u32::from(fixture.store.remove_release(release).is_err());
    checkout_system(&fixture.store, release, None, &target, &options, &mut remove).unwrap();
    assert!(refused > 0);
    fixture.store.remove_release(release).unwrap();
}

#[test]
fn a_mount_point_is_refused() {
    let fixture = Fixture::new();
    let release = fixture.release_of(&small());
    fs::create_dir(fixture.target()).unwrap();
    let script = "mount --bind $UPMASS_TEST_TARGET $UPMASS_TEST_TARGET && exec $0 $@";
    let helper = helper("mounted", &fixture, release);
    let status = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .arg(helper.get_program())
        .args(helper.get_args())
        .envs(helper.get_envs().map(|(name, value)| (name, value.unwrap())))
        .status();
    assert!(status.unwrap().success());
}

/// What runs in another process, since it is killed or changes it. Without a task it is no test.
#[test]
fn helper_process() {
    let Ok(task) = std::env::var("UPMASS_TEST_TASK") else {
        return;
    };
    let var = |name| std::env::var(name).unwrap();
    let store = upmass_store::Store::open(var("UPMASS_TEST_STORE").as_ref()).unwrap();
    let release = var("UPMASS_TEST_RELEASE").parse().unwrap();
    let target = PathBuf::from(var("UPMASS_TEST_TARGET"));
    let checkout = |progress: &mut dyn FnMut(u64)| {
        checkout_system(&store, release, None, &target, &Options::default(), progress)
    };
    match task.as_str() {
        "checkout" => drop(checkout(&mut |_| {}).unwrap()),
        "killed" => drop(checkout(&mut |_| std::process::abort())),
        "mounted" => {
            let error = checkout(&mut |_| {}).unwrap_err();
            assert!(matches!(error, CheckoutError::TargetIsMount { .. }), "{error}");
        }
        other => panic!("no task {other}"),
    }
}

fn helper(task: &str, fixture: &Fixture, release: ReleaseId) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "helper_process"])
        .env("UPMASS_TEST_TASK", task)
        .env("UPMASS_TEST_STORE", fixture.dir.path().join("store"))
        .env("UPMASS_TEST_RELEASE", release.to_string())
        .env("UPMASS_TEST_TARGET", fixture.target());
    command
}

fn small() -> Directory {
    let mut inner = dir([("file", file("content")), ("link", symlink("../../store"))]);
    inner.meta.mode = 0o555;
    let mut tree = dir([("a", support::sub([("b", file("x"))]))]);
    tree.children.insert(support::name(b"closed"), upmass_format::tree::Child::Directory(inner));
    tree
}
