//! Files with compressed members: patched unpacked, packed again bit by bit, and left alone where
//! the device has not the memory for it.

mod common;

use std::fs;

use common::{Place, packed, text};
use upmass_apply::{ApplyError, Blame, Codec, Codecs, Limits, Received, Trust};
use upmass_format::update::Front;
use upmass_store::Store;

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
    update_with(place, &["--device-memory", memory])
}

fn update_with(place: &Place, options: &[&str]) -> u64 {
    let mut arguments = vec!["update", "1", "2", "-o", "u.upm", "--store", "host"];
    arguments.extend(["--key", "keys/test.key"]);
    arguments.extend(options);
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

/// The codecs that the update says that it needs.
fn codecs(place: &Place) -> String {
    let shown = place.succeed(&["inspect", "u.upm", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let words = shown["codecs"].as_array().unwrap().iter();
    words.map(|word| word.as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_header_names_the_codecs_that_its_members_need_and_no_others() {
    let place = Place::new();
    trees(&place);
    update(&place, "512");
    assert_eq!(codecs(&place), "deflate xz zstd lz4");
    assert!(place.succeed(&["inspect", "u.upm"]).contains("codecs    deflate, xz, zstd, lz4\n"));
    update(&place, "1");
    assert_eq!(codecs(&place), "");
    assert!(place.succeed(&["inspect", "u.upm"]).contains("codecs    none\n"));
}

#[test]
fn an_update_uses_only_codecs_that_the_device_is_said_to_have() {
    let place = Place::new();
    trees(&place);
    let all = update(&place, "512");
    let memory = ["--device-memory", "512", "--device-codecs"];
    let some = update_with(&place, &[&memory[..], &["deflate,lz4"]].concat());
    assert_eq!(codecs(&place), "deflate lz4");
    assert_eq!(place.apply("u.upm", "device").status, 0);
    place.assert_checkout_equals("device", "2", "2");
    let none = update_with(&place, &[&memory[..], &["none"]].concat());
    assert_eq!(codecs(&place), "");
    assert!(all < some && some < none, "{all}, {some}, {none}");
}

#[test]
fn a_device_without_a_codec_refuses_before_it_writes_anything() {
    let place = Place::new();
    trees(&place);
    update(&place, "512");
    let file = fs::read(place.path("u.upm")).unwrap();
    let store = Store::open(&place.path("device")).unwrap();
    let fit = |codecs: &[Codec]| {
        let verified = Received::read(&file).unwrap().verify(&Trust::anything()).unwrap();
        let codecs = Some(codecs.iter().copied().collect());
        verified.fit(&store, &Limits { codecs, ..Limits::default() }).map(|_| ())
    };
    fit(&[Codec::Deflate, Codec::Xz, Codec::Zstd, Codec::Lz4]).unwrap();
    let error = fit(&[Codec::Deflate, Codec::Lz4]).unwrap_err();
    assert_eq!(error.blame(), Blame::NotForThisDevice);
    assert_eq!(
        error.to_string(),
        "parts of files are packed with xz, zstd, which this device cannot (it has: deflate, \
         lz4): build with --device-codecs and what the device has"
    );
    assert_eq!(fs::read_dir(place.path("device/incoming")).unwrap().count(), 0);
}

#[test]
fn an_update_that_needs_a_codec_which_it_does_not_name_is_refused() {
    let place = Place::new();
    trees(&place);
    update(&place, "512");
    let mut file = fs::read(place.path("u.upm")).unwrap();
    let front = Front::read(&file[..]).unwrap();
    let mut header = front.header.clone();
    header.codecs = Codecs::from_iter([Codec::Deflate]).bits();
    let payload = file.split_off(front.payload_offset() as usize);
    let file = [Front::new(header, Vec::new()).to_bytes(), payload].concat();
    let store = Store::open(&place.path("device")).unwrap();
    let verified = Received::read(&file).unwrap().verify(&Trust::anything()).unwrap();
    let fitting = verified.fit(&store, &Limits::default()).unwrap();
    let error = fitting.apply(&mut |_| {}).map(|_| ()).unwrap_err();
    assert!(matches!(error, ApplyError::Program(_)), "{error}");
    assert!(error.to_string().contains("which its header does not say"), "{error}");
}

#[test]
fn a_patch_that_needs_an_unknown_codec_is_refused() {
    let place = Place::new();
    trees(&place);
    place.succeed(&["delta", "1", "2", "-o", "p.upd", "--device-memory", "512"]);
    place.succeed(&["patch", "1", "p.upd", "-o", "made"]);
    let mut patch = fs::read(place.path("p.upd")).unwrap();
    patch[28] |= 0x40;
    fs::write(place.path("p.upd"), patch).unwrap();
    let said = place.fail(3, &["patch", "1", "p.upd", "-o", "again"]);
    assert!(said.contains("parts of files are packed with codec 6"), "{said}");
    assert!(!place.path("again").exists());
}

/// As a kernel has itself packed, and with a search that no preset has.
const STRANGE: &[&str] =
    &["xz", "--check=crc32", "-T1", "--x86", "--lzma2=preset=6,dict=8MiB,nice=100,depth=30", "-c"];

/// Releases of a file that was packed so.
fn strange(place: &Place) -> u64 {
    let mut packed_len = 0;
    for version in ["1", "2"] {
        fs::create_dir(place.path(version)).unwrap();
        let mut plain = text(1, 900_000);
        if version == "2" {
            plain[400_000..400_020].fill(b'x');
            plain.splice(600_000..600_000, text(2, 300));
        }
        let packed = packed(STRANGE, &plain);
        packed_len = packed.len() as u64;
        fs::write(place.path(version).join("image"), packed).unwrap();
    }
    place.release("host", "1", 1, "1");
    place.release("host", "2", 2, "2");
    place.release("device", "1", 1, "1");
    packed_len
}

#[test]
fn what_no_packer_here_makes_or_has_memory_for_is_written_down_from_its_parse() {
    let place = Place::new();
    let all = strange(&place);
    let len = update(&place, "20");
    assert!(len * 20 < all, "{len} of {all}");
    assert_eq!(codecs(&place), "parse");
    let shown = place.succeed(&["inspect", "u.upm", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert!(shown["memory_kib"].as_u64().unwrap() <= 20 << 10, "{shown}");
    let ran = place.apply("u.upm", "device");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    place.assert_checkout_equals("device", "2", "2");
    place.succeed(&["check", "--store", "device"]);
    assert_eq!(fs::read_dir(place.path("device/incoming")).unwrap().count(), 0);
    // A device that does not have it gets the stream as it is.
    let without = update_with(&place, &["--device-codecs", "deflate,preflate,xz,zstd,lz4"]);
    assert!(without > 5 * len, "{without} of {all}");
}
