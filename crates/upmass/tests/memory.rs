//! What a device needs of memory, whatever the sizes.

mod common;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use common::{Place, noise};

/// Most resident memory of `upmass apply`, in KiB.
const CEILING_KIB: u64 = 32 << 10;

/// Most resident memory of `upmass update` here: the windows of one large file (4 times 64 MiB
/// and 8 times 128 MiB, more than `--memory`), the streams of the segments, and compressors; see
/// "Memory" in ARCHITECTURE.md.
const BUILD_CEILING_KIB: u64 = (4 * 64 + 8 * 128 + 3 * 2 * 16 + 2 * 165 + 64) << 10;

#[test]
fn applying_a_change_of_a_gibibyte_stays_below_32_mib() {
    let place = Place::new();
    for version in [1u64, 2] {
        let root = place.path(&version.to_string());
        fs::create_dir(&root).unwrap();
        write_large(&root.join("large"), version);
        fs::write(root.join("new"), noise(version, 12 << 20)).unwrap();
    }
    place.release("host", "one", 1, "1");
    place.release("device", "one", 1, "1");
    let new = place.release("host", "two", 2, "2");
    fs::remove_dir_all(place.path("1")).unwrap();
    let key = ["--key", "keys/test.key", "--memory", "256", "--segment", "16"];
    let mut update = vec!["update", "one", "two", "-o", "u.upm", "--store", "host"];
    update.extend(key);
    let peak = peak_kib(&place, &update);
    println!("update: {peak} KiB");
    assert!(peak <= BUILD_CEILING_KIB, "{peak} KiB");
    let len = fs::metadata(place.path("u.upm")).unwrap().len();
    assert!(len < 14 << 20, "{len}");
    let peak = peak_kib(&place, &["apply", "u.upm", "--store", "device", "--trust", "keys"]);
    let release = place.path("device/releases").join(new);
    assert!(release.exists());
    println!("apply: {peak} KiB, header says {}", header_kib(&place));
    assert!(peak <= CEILING_KIB, "{peak} KiB");
    assert!(peak <= header_kib(&place), "the header promises less than {peak} KiB");
}

/// Also by the command of a device: `.ci/device-binary` names it.
#[test]
fn applying_an_object_of_100_mib_stays_below_32_mib() {
    let place = Place::new();
    let mut content = noise(1, 100 << 20);
    for version in [1u64, 2] {
        fs::create_dir(place.path(&version.to_string())).unwrap();
        if version == 2 {
            for at in (0..content.len()).step_by(3_000_000) {
                content[at] ^= 1;
            }
            content.splice(50_000_000..50_000_000, noise(2, 100_000));
        }
        fs::write(place.path(&format!("{version}/large")), &content).unwrap();
    }
    drop(content);
    place.release("host", "one", 1, "1");
    place.release("device", "one", 1, "1");
    let new = place.release("host", "two", 2, "2");
    place.update("host", "one", "two", "u.upm");
    let peak = peak_kib(&place, &["apply", "u.upm", "--store", "device", "--trust", "keys"]);
    assert!(place.path("device/releases").join(new).exists());
    println!("apply: {peak} KiB, header says {}", header_kib(&place));
    assert!(peak <= CEILING_KIB, "{peak} KiB");
    assert!(peak <= header_kib(&place), "the header promises less than {peak} KiB");
}

#[test]
fn a_device_with_12_mib_gets_updates_that_need_no_more() {
    let place = Place::new();
    for version in [1u64, 2] {
        let root = place.path(&version.to_string());
        fs::create_dir(&root).unwrap();
        let mut content = noise(1, 3 << 20);
        for at in (0..content.len()).step_by(100_000) {
            content[at] = version as u8;
        }
        content.extend(noise(version, 100_000));
        fs::write(root.join("file"), content).unwrap();
    }
    place.release("host", "one", 1, "1");
    place.release("device", "one", 1, "1");
    place.release("host", "two", 2, "2");
    let key = ["--key", "keys/test.key", "--device-memory", "12"];
    let mut update = vec!["update", "one", "two", "-o", "u.upm", "--store", "host"];
    update.extend(key);
    place.succeed(&update);
    // A decoder of 4 MiB, program and buffers, and one frame.
    assert!(header_kib(&place) <= (12 << 10) + 64, "the header says {} KiB", header_kib(&place));
    let peak = peak_kib(&place, &["apply", "u.upm", "--store", "device", "--trust", "keys"]);
    println!("apply: {peak} KiB, header says {}", header_kib(&place));
    assert!(peak <= header_kib(&place), "the header promises less than {peak} KiB");
}

#[test]
fn applying_a_tree_of_many_entries_stays_below_32_mib() {
    let place = Place::new();
    for version in [1u64, 2] {
        let root = place.path(&version.to_string());
        for directory in 0..300 {
            let directory = root.join(format!("{directory:03}"));
            fs::create_dir_all(&directory).unwrap();
            for file in 0..1000 {
                let _ = std::os::unix::fs::symlink("t", directory.join(format!("{file:04}")));
            }
        }
        fs::write(root.join("150/changed"), noise(version, 100)).unwrap();
    }
    place.release("host", "one", 1, "1");
    place.release("device", "one", 1, "1");
    place.release("host", "two", 2, "2");
    let update = place.update("host", "one", "two", "u.upm");
    assert!(update.len() < 500, "{}", update.len());
    let peak = peak_kib(&place, &["apply", "u.upm", "--store", "device", "--trust", "keys"]);
    println!("apply: {peak} KiB");
    assert!(peak <= CEILING_KIB, "{peak} KiB");
}

/// One GiB in which no two MiB are alike; version 2 has changes far apart, and an insertion.
fn write_large(path: &Path, version: u64) {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let mut block = noise(1, 1 << 20);
    for index in 0..1024u64 {
        for (at, piece) in block.chunks_mut(4096).enumerate() {
            piece[..8].copy_from_slice(&(index << 20 | at as u64).to_le_bytes());
        }
        let changed = version == 2 && index % 300 == 100;
        block[5000] = if changed { 1 } else { 0 };
        if version == 2 && index == 1000 {
            file.write_all(&noise(99, 5000)).unwrap();
        }
        file.write_all(&block).unwrap();
    }
}

fn header_kib(place: &Place) -> u64 {
    let inspected = place.succeed(&["inspect", "u.upm", "--json"]);
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    inspected["memory_kib"].as_u64().unwrap()
}

/// The command, or what stands for it where a device's own is tested, with what runs that.
fn program(command: &str) -> Vec<String> {
    match std::env::var("UPMASS_DEVICE") {
        Ok(words) if command == "apply" => words.split_whitespace().map(str::to_owned).collect(),
        _ => vec![env!("CARGO_BIN_EXE_upmass").to_owned()],
    }
}

/// Runs the command and gives its peak of resident memory. GNU time starts it: what starts a
/// program is counted until it becomes that program, so it must be small itself.
fn peak_kib(place: &Place, arguments: &[&str]) -> u64 {
    let output = std::process::Command::new("/usr/bin/time")
        .args(["-f", "%M"])
        .args(program(arguments[0]))
        .args(arguments)
        .current_dir(place.directory.path())
        .output()
        .expect("/usr/bin/time runs: run ./setup");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    said.lines().last().unwrap().parse().unwrap()
}
