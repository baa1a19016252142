//! From two directories to a device that has the new one, with the real command.

mod common;

use std::fs;

use common::{Place, noise, odd, ordinary};

/// What an update with one small change may cost beyond the change.
const FIXED_COST: usize = 400;

#[test]
fn an_update_leads_a_device_from_the_old_release_to_the_new_one_exactly() {
    let place = Place::new();
    ordinary(&place.path("one"), 1);
    ordinary(&place.path("two"), 2);
    let old = place.release("host", "1", 1, "one");
    let new = place.release("host", "2", 2, "two");
    let full = place.full_update("host", "1", "full.upm");
    let update = place.update("host", "1", "2", "update.upm");
    assert!(update.len() < 7_000, "5,000 bytes are new, the update has {}", update.len());
    assert!(full.len() > 200_000);

    let ran = place.apply("full.upm", "device");
    assert_eq!((ran.status, ran.stdout.trim()), (0, &old[..]), "{}", ran.stderr);
    let ran = place.apply("update.upm", "device");
    assert_eq!((ran.status, ran.stdout.trim()), (0, &new[..]), "{}", ran.stderr);
    place.assert_checkout_equals("device", "1", "one");
    place.assert_checkout_equals("device", "2", "two");
    place.succeed(&["check", "--store", "device"]);
    assert_eq!(fs::read_dir(place.path("device/incoming")).unwrap().count(), 0);
}

#[test]
fn the_way_back_is_an_update_too() {
    let place = Place::new();
    ordinary(&place.path("one"), 1);
    ordinary(&place.path("two"), 2);
    let old = place.release("host", "1", 1, "one");
    place.release("host", "2", 2, "two");
    place.release("device", "2", 2, "two");
    place.update("host", "2", "1", "back.upm");
    assert_eq!(place.apply("back.upm", "device").stdout.trim(), old);
    place.assert_checkout_equals("device", "1", "one");
}

#[test]
fn odd_names_types_and_attributes_make_the_round_trip() {
    let place = Place::new();
    fs::create_dir(place.path("one")).unwrap();
    fs::create_dir(place.path("two")).unwrap();
    odd(&place.path("one"), 1);
    odd(&place.path("two"), 2);
    place.release("host", "1", 1, "one");
    let new = place.release("host", "2", 2, "two");
    place.release("device", "1", 1, "one");
    let update = place.update("host", "1", "2", "update.upm");
    assert!(update.len() < 2_000, "{}", update.len());
    let ran = place.apply("update.upm", "device");
    assert_eq!((ran.status, ran.stdout.trim()), (0, &new[..]), "{}", ran.stderr);
    place.assert_checkout_equals("device", "2", "two");
}

#[test]
fn a_hundred_thousand_tiny_files_make_the_round_trip() {
    let place = Place::new();
    for version in [1, 2] {
        let root = place.path(&version.to_string());
        for directory in 0..100 {
            let directory = root.join(format!("{directory:03}"));
            fs::create_dir_all(&directory).unwrap();
            for file in 0..1000 {
                // A few are objects, the others are in the tree.
                let text =
                    format!("{version_text} {file}", version_text = "tiny".repeat(file / 45));
                let text = if file == 7 { format!("{text}{version}") } else { text };
                fs::write(directory.join(format!("{file}")), text).unwrap();
            }
        }
    }
    place.release("host", "one", 1, "1");
    place.release("host", "two", 2, "2");
    place.release("device", "one", 1, "1");
    let update = place.update("host", "one", "two", "update.upm");
    assert!(update.len() < 2_000, "100 bytes changed, the update has {}", update.len());
    assert_eq!(place.apply("update.upm", "device").status, 0);
    place.assert_checkout_equals("device", "two", "2");
}

#[test]
fn one_small_change_costs_little_more_than_itself() {
    let place = Place::new();
    ordinary(&place.path("one"), 1);
    ordinary(&place.path("two"), 1);
    let changed = place.path("two/usr/bin/program");
    let mut program = fs::read(&changed).unwrap();
    program[100_000] ^= 1;
    fs::write(&changed, program).unwrap();
    place.release("host", "1", 1, "one");
    place.release("host", "2", 2, "two");
    let update = place.update("host", "1", "2", "update.upm");
    assert!(update.len() <= FIXED_COST, "{} bytes", update.len());
    place.release("device", "1", 1, "one");
    assert_eq!(place.apply("update.upm", "device").status, 0);
}

#[test]
fn the_same_inputs_give_the_same_bytes_whatever_the_threads() {
    let place = Place::new();
    ordinary(&place.path("one"), 1);
    ordinary(&place.path("two"), 2);
    place.release("host", "1", 1, "one");
    place.release("host", "2", 2, "two");
    let first = place.update("host", "1", "2", "first.upm");
    let key = "keys/test.key";
    let arguments = ["update", "1", "2", "-o", "again.upm", "--key", key, "--store", "host"];
    for threads in ["1", "3"] {
        let status = place.command(&arguments).env("RAYON_NUM_THREADS", threads).status().unwrap();
        assert!(status.success());
        assert_eq!(fs::read(place.path("again.upm")).unwrap(), first);
    }
}

#[test]
fn content_that_moves_or_is_copied_costs_nothing() {
    let place = Place::new();
    fs::create_dir_all(place.path("one/a")).unwrap();
    fs::create_dir_all(place.path("two/b")).unwrap();
    fs::write(place.path("one/a/x"), noise(1, 100_000)).unwrap();
    fs::write(place.path("two/b/y"), noise(1, 100_000)).unwrap();
    fs::write(place.path("two/b/z"), noise(1, 100_000)).unwrap();
    place.release("host", "1", 1, "one");
    place.release("host", "2", 2, "two");
    place.release("device", "1", 1, "one");
    let update = place.update("host", "1", "2", "update.upm");
    assert!(update.len() < FIXED_COST, "{} bytes", update.len());
    assert_eq!(place.apply("update.upm", "device").status, 0);
    place.assert_checkout_equals("device", "2", "two");
}

#[test]
fn an_update_in_many_segments_makes_the_same_release() {
    let place = Place::new();
    for version in [1u64, 2] {
        let root = place.path(&version.to_string());
        fs::create_dir(&root).unwrap();
        for file in 0..5 {
            let mut content = noise(file, 700_000);
            content[1000] = version as u8;
            fs::write(root.join(format!("{file}")), content).unwrap();
        }
    }
    place.release("host", "one", 1, "1");
    let new = place.release("host", "two", 2, "2");
    place.release("device", "one", 1, "1");
    let key = "keys/test.key";
    place.succeed(&[
        "update",
        "one",
        "two",
        "-o",
        "u.upm",
        "--segment",
        "1",
        "--key",
        key,
        "--store",
        "host",
    ]);
    let inspected = place.succeed(&["inspect", "u.upm", "--json", "--store", "host"]);
    assert!(inspected.contains("\"segments\":5"), "{inspected}");
    assert_eq!(place.apply("u.upm", "device").stdout.trim(), new);
    place.assert_checkout_equals("device", "two", "2");
}
