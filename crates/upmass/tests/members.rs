//! Files with compressed members: patched unpacked, packed again bit by bit, and left alone where
//! the device has not the memory for it.

mod common;

use std::fs;

use common::{Place, packed, text};

/// Packers, with the name of what they make.
const PACKERS: [(&str, &[&str]); 4] = [
    ("a.gz", &["gzip", "-9n"]),
    ("b.xz", &["xz", "--check=crc32", "--lzma2=dict=1MiB", "-c"]),
    ("c.zst", &["zstd", "-q", "-c", "-5"]),
    ("d.lz4", &["lz4", "-l", "-q", "-9", "-c"]),
];

fn trees(place: &Place) -> u64 {
    let mut all = 0;
    for version in [1, 2] {
        let root = place.path(&version.to_string());
        fs::create_dir(&root).unwrap();
        for (name, command) in PACKERS {
            let content = packed(command, &text(version, 900_000));
            all += content.len() as u64;
            fs::write(root.join(name), content).unwrap();
        }
    }
    place.release("host", "1", 1, "1");
    place.release("host", "2", 2, "2");
    place.release("device", "1", 1, "1");
    all / 2
}

fn update(place: &Place, memory: &str) -> u64 {
    let mut arguments = vec!["update", "1", "2", "-o", "u.upm", "--store", "host"];
    arguments.extend(["--key", "keys/test.key", "--device-memory", memory]);
    place.succeed(&arguments);
    fs::metadata(place.path("u.upm")).unwrap().len()
}

#[test]
fn a_small_change_in_compressed_files_stays_small() {
    let place = Place::new();
    let all = trees(&place);
    let len = update(&place, "512");
    assert!(len < 4_000, "{len} of {all}");
    let ran = place.apply("u.upm", "device");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    place.assert_checkout_equals("device", "2", "2");
    place.succeed(&["check", "--store", "device"]);
    assert_eq!(fs::read_dir(place.path("device/incoming")).unwrap().count(), 0);
    let shown = place.succeed(&["inspect", "u.upm", "--store", "host"]);
    assert!(shown.contains("4 files"), "{shown}");
}

#[test]
fn what_needs_too_much_memory_to_pack_stays_packed() {
    let place = Place::new();
    let all = trees(&place);
    let (small, large) = (update(&place, "512"), update(&place, "1"));
    assert!(large > 20 * small, "{small}, {large} of {all}");
    assert_eq!(place.apply("u.upm", "device").status, 0);
    place.assert_checkout_equals("device", "2", "2");
}

#[test]
fn a_new_file_with_members_needs_no_base() {
    let place = Place::new();
    fs::create_dir(place.path("1")).unwrap();
    fs::create_dir(place.path("2")).unwrap();
    fs::write(place.path("1/other"), "other").unwrap();
    let packed = packed(&["gzip", "-9n"], &text(2, 900_000));
    fs::write(place.path("2/new.gz"), &packed).unwrap();
    place.release("host", "1", 1, "1");
    place.release("host", "2", 2, "2");
    place.release("device", "1", 1, "1");
    assert!(update(&place, "32") < packed.len() as u64 * 3 / 4);
    assert_eq!(place.apply("u.upm", "device").status, 0);
    place.assert_checkout_equals("device", "2", "2");
}
