//! `upmass minify`: what stays is written exactly, what goes is told, and the source is only read.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Place, noise, odd};
use serde_json::Value;

/// A system with everything that is odd, and some manual pages.
fn system(place: &Place) {
    let root = place.path("system");
    odd(&root, 1);
    let write = |path: &str, content: &[u8]| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write("usr/share/man/man1/run.1.gz", &noise(20, 9_000));
    write("usr/share/man/de/man1/run.1.gz", &noise(21, 4_000));
    write("usr/bin/run", b"#!/usr/bin/sh\n/usr/bin/helper\n");
    write("usr/bin/sh", &noise(22, 50_000));
    write("usr/bin/helper", b"#!/usr/bin/sh\n");
    write("usr/bin/unneeded", &noise(23, 30_000));
    write("sbin/init", b"#!/usr/bin/sh\n");
    write("var/lib/dpkg/status", b"Package: x\nArchitecture: all\n");
    for name in ["run", "sh", "helper", "unneeded"] {
        let path = root.join("usr/bin").join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // The manual page is the first name of its inode, and another name of it stays.
    fs::hard_link(root.join("usr/share/man/man1/run.1.gz"), root.join("usr/share/page")).unwrap();
    symlink("usr/bin", root.join("bin")).unwrap();
    let touch = |path: &str| {
        let time = fs::FileTimes::new()
            .set_modified(std::time::UNIX_EPOCH + Duration::new(1_000_000_007, 123_456_789));
        fs::File::open(root.join(path)).unwrap().set_times(time).unwrap();
    };
    touch("usr/bin/helper");
    touch("a/b");
}

fn copy(place: &Place, from: &str, to: &str) {
    let copied =
        Command::new("cp").arg("-a").args([place.path(from), place.path(to)]).status().unwrap();
    assert!(copied.success());
}

fn assert_same(place: &Place, expected: &str, found: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/compare_trees");
    let compared =
        Command::new(script).args([place.path(expected), place.path(found)]).output().unwrap();
    assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stdout));
}

/// The names in the place, so that nothing is left behind.
fn names(place: &Place) -> Vec<String> {
    let listed = fs::read_dir(place.path("")).unwrap();
    let mut names: Vec<String> =
        listed.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn json(place: &Place, path: &str) -> Value {
    serde_json::from_slice(&fs::read(place.path(path)).unwrap()).unwrap()
}

#[test]
fn what_stays_is_written_as_it_was_and_the_source_is_as_before() {
    let place = Place::new();
    system(&place);
    copy(&place, "system", "before");
    place.succeed(&["minify", "system", "--level", "safe", "-o", "small", "--report", "r.json"]);
    assert_same(&place, "before", "system");
    // A directory stays while something is in it.
    copy(&place, "system", "expected");
    fs::remove_dir_all(place.path("expected/usr/share/man")).unwrap();
    assert_same(&place, "expected", "small");
    for path in ["usr/bin/helper", "a/b"] {
        let modified = |root: &str| {
            let metadata = fs::symlink_metadata(place.path(root).join(path)).unwrap();
            (metadata.mtime(), metadata.mtime_nsec())
        };
        assert_eq!(modified("small"), modified("system"), "{path}");
    }
    assert_eq!(names(&place), ["before", "expected", "keys", "r.json", "small", "system"]);
}

#[test]
fn the_report_has_every_path_and_is_the_same_without_a_written_tree() {
    let place = Place::new();
    system(&place);
    let lean = ["minify", "system", "--root", "run", "--report"];
    place.succeed(&[&lean[..], &["only.json"]].concat());
    place.succeed(&[&lean[..], &["written.json", "-o", "small"]].concat());
    let report = json(&place, "written.json");
    assert_eq!(report, json(&place, "only.json"));
    let count = |root: &str| {
        let mut find = Command::new("find");
        let listed = find.arg(place.path(root)).args(["-mindepth", "1", "-printf", "x"]).output();
        listed.unwrap().stdout.len()
    };
    let paths = report["paths"].as_array().unwrap();
    assert_eq!(paths.len(), count("system"));
    let kept = paths.iter().filter(|path| path["kept"] == true);
    assert_eq!(kept.count(), count("small"));
    for path in paths {
        let name = path["path"].as_str().unwrap();
        assert!(path["kept"] == true || path["back"].is_string(), "{path}");
        if !name.contains("\\x") && !name.contains('\u{fffd}') {
            let is_there = place.path(&format!("small{name}")).symlink_metadata().is_ok();
            assert_eq!(path["kept"], is_there, "{name}");
        }
    }
    assert!(place.path("small/usr/bin/helper").exists());
    assert!(!place.path("small/usr/bin/unneeded").exists());
    let why = place.succeed(&["minify", "system", "--root", "run", "--explain", "/usr/bin/helper"]);
    assert!(why.contains("stays") && why.contains("/usr/bin/run"), "{why}");
}

#[test]
fn the_smaller_tree_of_the_smaller_tree_is_the_same() {
    let place = Place::new();
    system(&place);
    for level in ["safe", "lean", "bare"] {
        let minify = |from: &str, to: &str| {
            place.succeed(&["minify", from, "--root", "run", "--level", level, "-o", to]);
        };
        minify("system", &format!("{level}-1"));
        minify(&format!("{level}-1"), &format!("{level}-2"));
        assert_same(&place, &format!("{level}-1"), &format!("{level}-2"));
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_is_written_into_the_source() {
    let place = Place::new();
    system(&place);
    copy(&place, "system", "before");
    fs::create_dir(place.path("taken")).unwrap();
    symlink("system", place.path("link")).unwrap();
    let minify = ["minify", "system", "--level", "safe"];
    let refused = |arguments: &[&str], expected: &str| {
        let said = place.fail(3, &[&minify[..], arguments].concat());
        assert!(said.contains(expected), "{said}");
    };
    refused(&["-o", "taken"], "taken exists and is never overwritten");
    refused(&["-o", "small", "--report", "taken"], "taken exists");
    refused(&["-o", "system/small"], "is inside system, which is only read");
    refused(&["-o", "link/usr/small"], "is inside system, which is only read");
    refused(&["--report", "system/r.json"], "is inside system, which is only read");
    place.fail(1, &[&minify[..], &["-o", "no/such/small"]].concat());
    let both = place.run(&[&minify[..], &["-o", "small", "--explain", "/usr"]].concat());
    assert_eq!(both.status, 2, "{}", both.stderr);
    place.fail(3, &["minify", "system", "--root", "no-such-command", "-o", "small"]);
    assert_eq!(names(&place), ["before", "keys", "link", "system", "taken"]);
    assert_same(&place, "before", "system");
}

#[test]
fn an_interrupted_command_leaves_nothing() {
    let place = Place::new();
    system(&place);
    fs::remove_file(place.path("system/sparse")).unwrap();
    for part in 0..40 {
        fs::write(place.path(&format!("system/usr/bin/{part}")), noise(part, 1 << 20)).unwrap();
    }
    let before = names(&place);
    let minify = ["minify", "system", "--level", "safe", "-o", "small", "--report", "r.json"];
    // Until some came to an end and some did not.
    let mut ended = [0, 0];
    let mut wait = Duration::from_millis(1);
    while ended.contains(&0) {
        let mut child =
            place.command(&minify).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        let is_working = || names(&place).iter().any(|name| name.starts_with(".upmass-"));
        while !is_working() && child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(60), "no directory for its work");
        }
        std::thread::sleep(wait);
        let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        let status = child.wait().unwrap();
        ended[usize::from(status.success())] += 1;
        wait = wait * 3 / 2;
        // A cut after the report and before the tree leaves a report, and never a tree alone.
        let has_report = fs::remove_file(place.path("r.json")).is_ok();
        let is_there = place.path("small").exists();
        assert!(has_report || !is_there);
        assert!(is_there || !status.success());
        if is_there {
            assert_eq!(fs::read_dir(place.path("small/usr/bin")).unwrap().count(), 44);
            fs::remove_dir_all(place.path("small")).unwrap();
        }
        assert_eq!(names(&place), before);
    }
}

#[test]
fn a_release_is_minified_as_the_tree_would_be_and_tells_the_same() {
    let place = Place::new();
    system(&place);
    let description = "machine = \"test\"\nversion = \"1\"\n[minify]\nroots = [\"run\"]\n\
                       [[system]]\nname = \"main\"\nsource = { dir = \"system\" }\nmtimes = \"kept\"\n";
    fs::write(place.path("r.toml"), description).unwrap();
    let release = ["release", "r.toml", "--store", "store"];
    let why = place.succeed(&[&release[..], &["--explain", "usr/bin/helper"]].concat());
    assert_eq!(
        why,
        place.succeed(&["minify", "system", "--root", "run", "--explain", "usr/bin/helper"])
    );
    let why = place.succeed(&[&release[..], &["--explain", "/usr/bin/unneeded"]].concat());
    assert!(why.contains("nothing that stays needs it"), "{why}");
    place.fail(3, &[&release[..], &["--explain", "/no/such"]].concat());
    assert_eq!(place.succeed(&["log", "--store", "store"]), "", "nothing is recorded");

    let summary = place.succeed(&[&release[..], &["--report", "r.json", "--json"]].concat());
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let mut report = json(&place, "r.json");
    let main = report["systems"]["main"].take();
    assert_eq!(summary["minified"]["main"]["after"], main["after"]);
    let minify = ["minify", "system", "--root", "run", "-o", "small", "--report", "small.json"];
    place.succeed(&minify);
    assert_eq!(main, json(&place, "small.json"));
    place.assert_checkout_equals("store", "1", "small");

    place.describe("2", 2, "system");
    let ran = place.run(&["release", "2.toml", "--store", "store", "--explain", "/usr/bin/run"]);
    assert_eq!(ran.status, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("has no [minify]"), "{}", ran.stderr);
}
