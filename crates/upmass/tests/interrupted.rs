//! The real command, killed at every step of the store, and with a full or failing disk at every
//! step: the store stays whole, and a second run completes.

mod common;

use std::fs;
use std::path::Path;

use common::{Place, ordinary};

/// How a step goes wrong.
const FAULTS: [&str; 3] = ["kill", "full", "io"];

#[test]
fn applying_may_be_interrupted_at_every_step() {
    let place = Place::new();
    ordinary(&place.path("one"), 1);
    ordinary(&place.path("two"), 2);
    place.release("host", "1", 1, "one");
    let new = place.release("host", "2", 2, "two");
    place.release("device", "1", 1, "one");
    place.update("host", "1", "2", "u.upm");
    let apply = |store| ["apply", "u.upm", "--store", store, "--trust", "keys"];
    copy(&place, "device", "counted");
    let steps = place.count_steps(&apply("counted"));
    assert!(steps > 30, "{steps} steps");
    for fault in FAULTS {
        for step in 0..steps {
            copy(&place, "device", "broken");
            let ran = place.run_with_fault(&format!("{fault}:{step}"), &apply("broken"));
            let is_done = place.path("broken/releases").join(&new).exists();
            assert!(ran.status != 0 || is_done, "{fault}:{step} was not noticed");
            assert!(!ran.stderr.contains("panicked"), "{fault}:{step}: {}", ran.stderr);
            // Whole: the old release, and the new one if it is there.
            place.succeed(&["check", "--store", "broken"]);
            let again = place.run(&apply("broken"));
            let expected = if is_done { 5 } else { 0 };
            assert_eq!(again.status, expected, "{fault}:{step}: {}", again.stderr);
            place.succeed(&["check", "--store", "broken"]);
            place.succeed(&["collect", "--store", "broken"]);
            assert_eq!(fs::read_dir(place.path("broken/incoming")).unwrap().count(), 0);
        }
    }
    place.assert_checkout_equals("broken", "2", "two");
}

#[test]
fn objects_that_are_made_of_new_ones_may_be_interrupted_at_every_step() {
    let place = Place::new();
    let fresh = bundled(&place.path("one"), 1) + bundled(&place.path("two"), 2);
    place.release("host", "1", 1, "one");
    let new = place.release("host", "2", 2, "two");
    place.release("device", "1", 1, "one");
    let update = place.update("host", "1", "2", "u.upm").len();
    assert!(update < fresh / 2 + 2000, "{update} bytes: the archive comes from the files in it");
    let apply = |store| ["apply", "u.upm", "--store", store, "--trust", "keys"];
    copy(&place, "device", "counted");
    let steps = place.count_steps(&apply("counted"));
    assert!(steps > 30, "{steps} steps");
    for step in 0..steps {
        copy(&place, "device", "broken");
        place.run_with_fault(&format!("kill:{step}"), &apply("broken"));
        let is_done = place.path("broken/releases").join(&new).exists();
        place.succeed(&["check", "--store", "broken"]);
        // And once more, some steps on.
        if !is_done {
            place.run_with_fault(&format!("kill:{}", step / 2), &apply("broken"));
        }
        let is_done = place.path("broken/releases").join(&new).exists();
        let again = place.run(&apply("broken"));
        let expected = if is_done { 5 } else { 0 };
        assert_eq!(again.status, expected, "kill:{step}: {}", again.stderr);
        place.succeed(&["check", "--store", "broken"]);
    }
    place.assert_checkout_equals("broken", "2", "two");
}

/// Files of which nothing can be told from another version, and an archive of them. Gives how many
/// bytes the files have.
fn bundled(directory: &Path, version: u64) -> usize {
    fs::create_dir(directory).unwrap();
    let mut archive = format!("an archive of version {version}").into_bytes();
    let mut state = version.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for number in 0..5 {
        let byte = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        let content: Vec<u8> = (0..9000 + 1000 * number).map(byte).collect();
        fs::write(directory.join(format!("file{number}")), &content).unwrap();
        archive.extend_from_slice(format!("file{number}").as_bytes());
        archive.extend_from_slice(&content);
    }
    // Met before most of the files that are in it.
    fs::write(directory.join("archive"), &archive).unwrap();
    archive.len()
}

#[test]
fn importing_may_be_interrupted_at_every_step() {
    let place = Place::new();
    ordinary(&place.path("one"), 1);
    let file = place.describe("1", 1, "one");
    let import = |store| ["release", &file, "--store", store];
    let expected = place.succeed(&import("reference"));
    let steps = place.count_steps(&import("counted"));
    for fault in FAULTS {
        for step in 0..steps {
            let _ = fs::remove_dir_all(place.path("broken"));
            let ran = place.run_with_fault(&format!("{fault}:{step}"), &import("broken"));
            assert!(!ran.stderr.contains("panicked"), "{fault}:{step}: {}", ran.stderr);
            if place.path("broken/version").exists() {
                place.succeed(&["check", "--store", "broken"]);
            }
            let again = place.run(&import("broken"));
            assert_eq!(again.status, 0, "{fault}:{step}: {}", again.stderr);
            assert_eq!(again.stdout, expected, "{fault}:{step}");
            place.succeed(&["check", "--store", "broken"]);
        }
    }
}

#[test]
fn collecting_may_be_interrupted_at_every_step() {
    let place = Place::new();
    ordinary(&place.path("one"), 1);
    ordinary(&place.path("two"), 2);
    place.release("store", "1", 1, "one");
    place.release("store", "2", 2, "two");
    place.succeed(&["remove", "1", "--store", "store"]);
    fs::write(place.path("store/incoming/abandoned"), "x").unwrap();
    let collect = |store| ["collect", "--store", store];
    copy(&place, "store", "counted");
    let steps = place.count_steps(&collect("counted"));
    let kept = fs::read_dir(place.path("counted/releases")).unwrap().count();
    assert_eq!(kept, 1);
    for fault in FAULTS {
        for step in 0..steps {
            copy(&place, "store", "broken");
            place.run_with_fault(&format!("{fault}:{step}"), &collect("broken"));
            place.succeed(&["check", "--store", "broken"]);
            place.succeed(&collect("broken"));
            place.succeed(&["check", "--store", "broken"]);
            let after = place.succeed(&["collect", "--dry-run", "--store", "broken"]);
            assert!(after.contains(" 0 objects of 0 bytes and 0 unfinished"), "{after}");
        }
    }
    place.assert_checkout_equals("broken", "2", "two");
}

fn copy(place: &Place, from: &str, to: &str) {
    let to = place.path(to);
    let _ = fs::remove_dir_all(&to);
    copy_directory(&place.path(from), &to);
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_directory(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}
