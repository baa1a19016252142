//! What must be refused is, with one sentence and its exit status, and nothing changes.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{Place, noise, ordinary};

/// A device with release 1, and an update to 2.
fn prepared() -> (Place, Vec<u8>) {
    let place = Place::new();
    ordinary(&place.path("one"), 1);
    ordinary(&place.path("two"), 2);
    place.release("host", "1", 1, "one");
    place.release("host", "2", 2, "two");
    place.release("device", "1", 1, "one");
    let update = place.update("host", "1", "2", "u.upm");
    (place, update)
}

fn refuse(place: &Place, status: i32, arguments: &[&str]) -> String {
    let before = snapshot(&place.path("device"));
    let said = place.fail(status, arguments);
    assert_eq!(snapshot(&place.path("device")), before, "{arguments:?} changed the store");
    said
}

const APPLY: [&str; 6] = ["apply", "u.upm", "--store", "device", "--trust", "keys"];

#[test]
fn who_names_a_directory_or_archive_for_a_release_is_told_how_to_make_one() {
    let (place, _) = prepared();
    fs::write(place.path("two.tar.zst"), "").unwrap();
    fs::write(place.path("new.toml"), "").unwrap();
    let of = |what: &str, path: &str, source: &str| {
        format!(
            "\"{path}\" is a {what} and no release: to make one of it, name it in a \
             description (release.toml with `source = {{ {source} = \"{path}\" }}`, see \
             docs/release-toml.md), import that with `upmass release release.toml --store DIR`, \
             and give the id that it prints"
        )
    };
    let update = ["update", "--unsigned", "-o", "x.upm", "--store"];
    for store in ["host", "none"] {
        let update = [&update[..], &[store]].concat();
        let said = refuse(&place, 3, &[&update[..], &["two", "two.tar.zst"]].concat());
        assert_eq!(said, of("directory", "two", "dir"));
        let said = refuse(&place, 3, &["diff", "--store", store, "two.tar.zst", "1"]);
        assert_eq!(said, of("tar archive", "two.tar.zst", "tar"));
        let said = refuse(&place, 3, &[&update[..], &["--full", "new.toml"]].concat());
        assert_eq!(
            said,
            "\"new.toml\" is a file and no release: if it describes one, import it \
             with `upmass release new.toml --store DIR`, and give the id that it prints"
        );
    }
    let said = refuse(&place, 3, &["ls", "--store", "host", "./two"]);
    assert_eq!(said, of("directory", "./two", "dir"));
    // A version goes before a path of the same name.
    fs::create_dir(place.path("1")).unwrap();
    place.succeed(&["diff", "--store", "host", "1", "2"]);
    let said = refuse(&place, 3, &["diff", "--store", "none", "3", "2"]);
    assert!(said.contains("none"), "{said}");
}

#[test]
fn an_update_cut_short_anywhere_is_refused() {
    let (place, update) = prepared();
    for len in (0..200).chain((200..update.len()).step_by(97)) {
        fs::write(place.path("u.upm"), &update[..len]).unwrap();
        let said = refuse(&place, 3, &APPLY);
        assert!(said.contains("cut short") || said.contains("ends early"), "{len}: {said}");
    }
}

#[test]
fn an_update_with_a_flipped_bit_anywhere_is_refused() {
    let (place, update) = prepared();
    for position in (0..300).chain((300..update.len()).step_by(61)) {
        let mut damaged = update.clone();
        damaged[position] ^= 1 << (position % 8);
        fs::write(place.path("u.upm"), damaged).unwrap();
        let ran = place.run(&APPLY);
        assert_eq!(ran.status, 3, "byte {position}: {}{}", ran.stdout, ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "byte {position}: {}", ran.stderr);
        assert_eq!(place.succeed(&["log", "--store", "device"]).lines().count(), 1);
    }
    place.succeed(&["check", "--store", "device"]);
    place.succeed(&["collect", "--store", "device"]);
    fs::write(place.path("u.upm"), update).unwrap();
    assert_eq!(place.run(&APPLY).status, 0);
}

#[test]
fn something_behind_the_end_is_refused() {
    let (place, mut update) = prepared();
    update.push(0);
    fs::write(place.path("u.upm"), update).unwrap();
    assert!(refuse(&place, 3, &APPLY).contains("something was added"));
}

#[test]
fn an_update_that_no_trusted_key_signed_is_refused() {
    let (place, _) = prepared();
    let key = "keys/test.key";
    place.succeed(&["update", "1", "2", "-o", "unsigned.upm", "--unsigned", "--store", "host"]);
    let unsigned = ["apply", "unsigned.upm", "--store", "device", "--trust", "keys"];
    assert!(refuse(&place, 3, &unsigned).contains("not signed"));
    fs::create_dir(place.path("others")).unwrap();
    place.succeed(&["keygen", "-o", "others/other"]);
    let other = ["apply", "u.upm", "--store", "device", "--trust", "others"];
    assert!(refuse(&place, 3, &other).contains("not among the trusted keys"));
    fs::create_dir(place.path("nobody")).unwrap();
    let nobody = ["apply", "u.upm", "--store", "device", "--trust", "nobody"];
    assert!(refuse(&place, 3, &nobody).contains("no public key"));
    let without = ["apply", "u.upm", "--store", "device"];
    assert!(refuse(&place, 2, &without).contains("--trust"));
    let no_key = ["update", "1", "2", "-o", "x.upm", "--store", "host"];
    assert!(place.fail(2, &no_key).contains("--key"));
    let twice = ["keygen", "-o", key.trim_end_matches(".key")];
    assert!(place.fail(3, &twice).contains("never replaced"));

    let loud = ["apply", "unsigned.upm", "--store", "device", "--allow-unsigned"];
    let ran = place.run(&loud);
    assert_eq!(ran.status, 0);
    assert!(ran.stderr.contains("WARNING"), "{}", ran.stderr);
}

#[test]
fn an_update_for_another_base_machine_or_memory_is_refused() {
    let (place, _) = prepared();
    place.update("host", "2", "1", "back.upm");
    let back = ["apply", "back.upm", "--store", "device", "--trust", "keys"];
    assert!(refuse(&place, 3, &back).contains("starts from release"));
    let mut machine = APPLY.to_vec();
    machine.extend(["--machine", "other"]);
    assert!(refuse(&place, 3, &machine).contains("for machine type \"test\""));
    let mut memory = APPLY.to_vec();
    memory.extend(["--memory-limit", "4"]);
    assert!(refuse(&place, 3, &memory).contains("KiB of memory"));
    let nowhere = ["apply", "u.upm", "--store", "missing", "--trust", "keys"];
    assert!(place.fail(3, &nowhere).contains("not a store"));
    assert!(!place.path("missing").exists());
}

#[test]
fn applying_twice_equals_applying_once() {
    let (place, _) = prepared();
    assert_eq!(place.run(&APPLY).status, 0);
    let said = refuse(&place, 5, &APPLY);
    assert!(said.contains("there already"), "{said}");
}

#[test]
fn a_damaged_base_is_named_and_the_store_says_who_needs_it() {
    let (place, _) = prepared();
    let program = fs::read(place.path("one/usr/bin/program")).unwrap();
    let object = find(&place.path("device/objects"), &program);
    let mut damaged = program;
    damaged[100] ^= 1;
    fs::write(&object, damaged).unwrap();
    let said = place.fail(1, &APPLY);
    assert!(said.contains("of the base release is damaged"), "{said}");
    let ran = place.run(&["check", "--store", "device"]);
    assert_eq!(ran.status, 1);
    assert!(ran.stdout.contains("has other content"), "{}", ran.stdout);
    assert!(ran.stdout.contains("component main, /usr/bin/program"), "{}", ran.stdout);
    fs::remove_file(&object).unwrap();
    let ran = place.run(&["check", "--store", "device"]);
    assert!(ran.stdout.contains("is missing"), "{}", ran.stdout);
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let (place, _) = prepared();
    let said = place.fail(3, &["update", "1", "9", "-o", "x", "--unsigned", "--store", "host"]);
    assert!(said.contains("no release \"9\"") && said.contains("(2)"), "{said}");
    let said = place.fail(3, &["checkout", "1/other", "x", "--store", "host"]);
    assert!(said.contains("no system \"other\"") && said.contains("main"), "{said}");
    let said = place.fail(1, &["release", "missing.toml", "--store", "host"]);
    assert!(said.contains("missing.toml"), "{said}");
    let said = place.fail(3, &["log", "--store", "one"]);
    assert!(said.contains("not a store"), "{said}");
    let said = place.fail(3, &["release", "1.toml", "--store", "one"]);
    assert!(said.contains("not a store"), "{said}");
    let said = place.fail(5, &["update", "1", "1", "-o", "x", "--unsigned", "--store", "host"]);
    assert!(said.contains("nothing to update"), "{said}");
    fs::write(place.path("noise"), noise(1, 5000)).unwrap();
    let said = place.fail(3, &["inspect", "noise"]);
    assert!(said.contains("8f 55 50 4d"), "{said}");
}

fn find(directory: &Path, content: &[u8]) -> std::path::PathBuf {
    let mut found = None;
    for inner in fs::read_dir(directory).unwrap() {
        for file in fs::read_dir(inner.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if fs::read(&path).unwrap() == content {
                found = Some(path);
            }
        }
    }
    found.expect("the content is an object of the store")
}

/// Names and contents of all files; the lock is none of it.
fn snapshot(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut next = vec![directory.to_owned()];
    while let Some(path) = next.pop() {
        match path.is_dir() {
            true => next.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path())),
            false if path.ends_with("lock") => {}
            false => {
                files.insert(path.display().to_string(), fs::read(path).unwrap());
            }
        }
    }
    files
}
