//! `upmass delta` and `upmass patch`: what comes out is what went in, or nothing does.

mod common;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Place, noise, ordinary};

const DELTA: [&str; 5] = ["delta", "old", "new", "-o", "p"];
const PATCH: [&str; 5] = ["patch", "old", "p", "-o", "made"];

/// What a plain copy has of an entry: kind and mode, and content or target.
type Entries = BTreeMap<Vec<u8>, (u32, Vec<u8>)>;

fn entries(root: &Path) -> Entries {
    let mut entries = Entries::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_symlink() {
            fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
        } else if metadata.is_file() {
            fs::read(&path).unwrap()
        } else {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        };
        let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        entries.insert(name, (metadata.mode(), content));
    }
    entries
}

/// The names in the place, so that nothing is left behind.
fn names(place: &Place) -> Vec<String> {
    let listed = fs::read_dir(place.path("")).unwrap();
    let mut names: Vec<String> =
        listed.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Makes a patch and applies it. Gives its length.
fn round_trip(place: &Place) -> u64 {
    place.succeed(&DELTA);
    place.succeed(&PATCH);
    assert_eq!(entries(&place.path("made")), entries(&place.path("new")));
    assert_eq!(names(place), ["keys", "made", "new", "old", "p"]);
    fs::metadata(place.path("p")).unwrap().len()
}

fn files(old: &[u8], new: &[u8]) -> Place {
    let place = Place::new();
    fs::write(place.path("old"), old).unwrap();
    fs::write(place.path("new"), new).unwrap();
    place
}

fn directories() -> Place {
    let place = Place::new();
    ordinary(&place.path("old"), 1);
    ordinary(&place.path("new"), 2);
    place
}

#[test]
fn a_file_comes_out_as_it_was() {
    let mut changed = noise(1, 200_000);
    changed.splice(70_000..70_000, noise(2, 100));
    changed[150_000] ^= 0x55;
    let cases: &[(&[u8], &[u8], u64)] = &[
        (&noise(1, 200_000), &changed, 250),
        (b"", b"x", 80),
        (b"x", b"", 80),
        (&noise(3, 64), &noise(4, 65), 180),
        (&noise(3, 65), &noise(4, 64), 180),
        (&noise(5, 5000), &noise(5, 4999), 80),
        (&noise(5, 5000), &noise(6, 5000), 5150),
        (&[0; 100_000], &[0; 10_000_000], 100),
    ];
    for (old, new, at_most) in cases {
        let bytes = round_trip(&files(old, new));
        assert!(bytes <= *at_most, "{} to {}: {bytes} bytes", old.len(), new.len());
    }
}

#[test]
fn a_file_gets_the_permissions_of_the_old_one() {
    let place = files(b"#!/bin/sh\n", b"#!/bin/sh\ntrue\n");
    place.succeed(&DELTA);
    fs::set_permissions(place.path("old"), Permissions::from_mode(0o4751)).unwrap();
    place.succeed(&PATCH);
    assert_eq!(fs::metadata(place.path("made")).unwrap().mode() & 0o7777, 0o751);
}

#[test]
fn a_directory_comes_out_as_it_was() {
    let place = directories();
    round_trip(&place);
    let made = fs::metadata(place.path("made/usr/share/added")).unwrap();
    assert!(made.modified().unwrap().elapsed().unwrap() < Duration::from_secs(600));
}

#[test]
fn a_directory_of_odd_names_and_modes_comes_out_as_it_was() {
    let place = Place::new();
    for (name, version) in [("old", 1), ("new", 2)] {
        let root = place.path(name);
        let odd = |bytes: &[u8]| root.join(OsStr::from_bytes(bytes));
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        fs::create_dir_all(root.join("a/b/c")).unwrap();
        fs::create_dir(root.join("sticky")).unwrap();
        fs::write(odd(b"new\nline"), b"x").unwrap();
        fs::write(odd(b"invalid \xff\xfe utf-8"), noise(version, 100)).unwrap();
        fs::write(odd(&[b'n'; 255]), noise(9, 65)).unwrap();
        fs::write(odd(b" -o leading and trailing "), b"").unwrap();
        fs::write(root.join("a/setuid"), noise(11, 5000 + version as usize)).unwrap();
        fs::hard_link(root.join("a/setuid"), root.join("a/b/c/linked")).unwrap();
        symlink("does/not/exist", root.join("dangling")).unwrap();
        symlink(OsStr::from_bytes(b"\xff"), root.join("a/odd-target")).unwrap();
        mode(&root.join("a/setuid"), 0o6755);
        mode(&root.join("sticky"), 0o1777);
        mode(&root.join("a/b"), 0o500 + version as u32);
        mode(&root, 0o750);
    }
    round_trip(&place);
    let inode = |path| fs::metadata(place.path(path)).unwrap().ino();
    assert_eq!(inode("made/a/setuid"), inode("made/a/b/c/linked"));
}

#[test]
fn what_no_patch_covers_does_not_matter() {
    let place = directories();
    place.succeed(&DELTA);
    let touched = place.path("old/usr/bin/program");
    let file = fs::File::options().append(true).open(&touched).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    // Owners can be changed, and attributes set, only here and there.
    let _ = std::os::unix::fs::chown(&touched, Some(1234), Some(1234));
    let _ = Command::new("setfattr").args(["-n", "user.note", "-v", "x"]).arg(&touched).status();
    place.succeed(&PATCH);
}

#[test]
fn a_symlink_on_the_command_line_is_what_it_leads_to() {
    let place = directories();
    symlink("old", place.path("link")).unwrap();
    place.succeed(&["delta", "link", "new", "-o", "p"]);
    place.succeed(&["patch", "link/", "p", "-o", "made"]);
    assert_eq!(entries(&place.path("made")), entries(&place.path("new")));
}

#[test]
fn a_wrong_old_one_is_refused() {
    let place = directories();
    place.succeed(&DELTA);
    let before = names(&place);
    let said = place.fail(3, &["patch", "new", "p", "-o", "made"]);
    assert!(said.starts_with("new is not what p was made from: expected "), "{said}");
    fs::set_permissions(place.path("old/etc/config"), Permissions::from_mode(0o600)).unwrap();
    assert!(place.fail(3, &PATCH).starts_with("old is not what p was made from"));
    let said = place.fail(3, &["patch", "old/etc/config", "p", "-o", "made"]);
    assert_eq!(
        said,
        "old/etc/config is a file, and p is a patch of a directory: give what it was made from"
    );
    let said = place.fail(3, &["delta", "old", "new/etc/config", "-o", "q"]);
    assert!(said.contains("old is a directory, new/etc/config is a file"), "{said}");
    assert!(place.fail(1, &["patch", "missing", "p", "-o", "made"]).contains("open missing: "));
    assert!(place.fail(1, &["delta", "old", "missing", "-o", "q"]).contains("open missing: "));
    assert!(place.fail(3, &["delta", "old", "/dev/null", "-o", "q"]).contains("/dev/null"));
    assert_eq!(names(&place), before);
}

#[test]
fn a_patch_cut_short_anywhere_is_refused() {
    let place = directories();
    place.succeed(&DELTA);
    let patch = fs::read(place.path("p")).unwrap();
    for len in (0..100).chain((100..patch.len()).step_by(211)).chain([patch.len() - 1]) {
        fs::write(place.path("p"), &patch[..len]).unwrap();
        let said = place.fail(3, &PATCH);
        assert!(said.contains("damaged"), "{len}: {said}");
        assert!(!place.path("made").exists(), "{len}");
    }
    assert_eq!(names(&place), ["keys", "new", "old", "p"]);
}

#[test]
fn a_patch_with_a_flipped_bit_is_refused_unless_nothing_comes_of_it() {
    let place = directories();
    place.succeed(&DELTA);
    let patch = fs::read(place.path("p")).unwrap();
    for position in (0..160).chain((160..patch.len()).step_by(137)) {
        let mut damaged = patch.clone();
        damaged[position] ^= 1 << (position % 8);
        fs::write(place.path("p"), &damaged).unwrap();
        let ran = place.run(&PATCH);
        assert!(!ran.stderr.contains("panicked"), "byte {position}: {}", ran.stderr);
        match ran.status {
            0 => {
                assert_eq!(entries(&place.path("made")), entries(&place.path("new")));
                fs::remove_dir_all(place.path("made")).unwrap();
            }
            3 => assert_eq!(ran.stderr.lines().count(), 1, "byte {position}: {}", ran.stderr),
            status => panic!("byte {position}: status {status}: {}", ran.stderr),
        }
        assert!(!place.path("made").exists(), "byte {position}");
    }
    assert_eq!(names(&place), ["keys", "new", "old", "p"]);
}

#[test]
fn what_is_no_patch_is_refused() {
    let place = files(b"old", b"new");
    for (content, expected) in [
        (&b"#!/bin/sh\n"[..], "not a patch"),
        (b"", "ends early at byte 0"),
        (b"\x8fUPM\x01", "not a patch"),
        (b"\x8fUD\x09", "patch kind at byte 3 is 9"),
    ] {
        fs::write(place.path("p"), content).unwrap();
        let said = place.fail(3, &PATCH);
        assert!(said.starts_with("p: ") && said.contains(expected), "{said}");
    }
    place.succeed(&["delta", "old", "new", "-o", "q"]);
    let mut longer = fs::read(place.path("q")).unwrap();
    longer.push(1);
    fs::write(place.path("p"), longer).unwrap();
    assert!(place.fail(3, &PATCH).starts_with("p is damaged"));
}

#[test]
fn nothing_that_exists_is_overwritten() {
    let place = directories();
    place.succeed(&DELTA);
    fs::create_dir(place.path("empty")).unwrap();
    symlink("nowhere", place.path("dangling")).unwrap();
    let before = (names(&place), entries(&place.path("")));
    for taken in ["old", "new/etc/config", "p", "empty", "dangling"] {
        for command in [["delta", "old", "new"], ["patch", "old", "p"]] {
            let said = place.fail(3, &[&command[..], &["-o", taken]].concat());
            assert!(said.starts_with(&format!("{taken} exists")), "{said}");
        }
    }
    assert!(place.fail(3, &["patch", "old", "p", "-o", "old/in"]).contains("is inside old"));
    assert!(place.fail(3, &["delta", "old", "new", "-o", "new/in"]).contains("is inside new"));
    assert!(place.fail(1, &["delta", "old", "new", "-o", "no/p"]).contains("No such file"));
    assert_eq!((names(&place), entries(&place.path(""))), before);
}

#[test]
fn two_that_are_the_same_need_no_patch() {
    let place = files(b"same", b"same");
    assert!(place.fail(5, &DELTA).contains("old and new are the same"));
    assert_eq!(names(&place), ["keys", "new", "old"]);
}

#[test]
fn an_interrupted_command_leaves_nothing() {
    let place = files(&noise(1, 24 << 20), &noise(2, 24 << 20));
    let mut child = place.command(&DELTA).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    let is_working = || names(&place).iter().any(|name| name.starts_with(".upmass-"));
    while !is_working() {
        assert!(start.elapsed() < Duration::from_secs(60), "no directory for its work");
        assert_eq!(child.try_wait().unwrap(), None, "it ended too early to be interrupted");
    }
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert!(!child.wait().unwrap().success());
    assert_eq!(names(&place), ["keys", "new", "old"]);
}

#[test]
fn what_the_bytes_are_spent_on_adds_up() {
    for effort in ["small", "balanced", "fast"] {
        let place = Place::new();
        ordinary(&place.path("old"), 1);
        ordinary(&place.path("new"), 2);
        let shown =
            place.succeed(&["delta", "old", "new", "-o", "p", "--explain", "--effort", effort]);
        let number = |line: &str| -> i64 {
            let digits: String = line.trim_start().chars().take_while(|c| *c != ' ').collect();
            digits.replace(',', "").parse().unwrap()
        };
        let mut lines = shown.lines();
        let total = number(lines.next().unwrap());
        let sum: i64 = lines.map(number).sum();
        assert!((total - sum).abs() <= 16, "{shown}");
    }
}
