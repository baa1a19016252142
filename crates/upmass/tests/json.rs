//! The fields that `--json` prints. They are an interface: a field may be added, but none may go
//! or change its meaning without a new version.

mod common;

use std::fs;

use common::{Place, ordinary};
use serde_json::Value;

#[test]
fn every_command_that_reports_has_the_fields_that_were_promised() {
    let place = Place::new();
    ordinary(&place.path("one"), 1);
    ordinary(&place.path("two"), 2);
    place.describe("1", 1, "one");
    place.describe("2", 2, "two");
    let check = |arguments: &[&str], fields: &[&str]| {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let printed = place.succeed(&arguments);
        assert_eq!(printed.lines().count(), 1, "one line: {printed}");
        let object: Value = serde_json::from_str(&printed).unwrap();
        let found: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(object["version"], 1);
        assert_eq!(found[0], "version");
        assert_eq!(found[1..], *fields, "{arguments:?}");
    };
    let release = [
        "release",
        "release_version",
        "machine",
        "components",
        "files",
        "bytes",
        "hashed_bytes",
        "warnings",
        "minified",
    ];
    check(&["release", "1.toml", "--store", "host"], &release);
    check(&["release", "1.toml", "--store", "device"], &release);
    check(&["release", "2.toml", "--store", "host"], &release);
    check(
        &["update", "1", "2", "-o", "u.upm", "--key", "keys/test.key", "--store", "host"],
        &[
            "file",
            "bytes",
            "front_bytes",
            "target",
            "memory_kib",
            "space_kib",
            "codecs",
            "objects",
            "object_bytes",
            "patched",
            "patched_bytes",
            "renamed",
            "renamed_bytes",
            "names",
            "derived_names",
            "streams",
            "spent",
        ],
    );
    check(&["report", "u.upm", "--store", "host"], &["report"]);
    check(
        &["inspect", "u.upm", "--store", "host"],
        &[
            "base",
            "target",
            "machine",
            "counter",
            "signed_by_unverified",
            "memory_kib",
            "space_kib",
            "codecs",
            "bytes",
            "front_bytes",
            "payload_bytes",
            "frames",
            "frame_bytes",
            "segments",
            "streams",
            "components",
        ],
    );
    check(
        &["apply", "u.upm", "--store", "device", "--trust", "keys"],
        &["release", "applied", "signed_by"],
    );
    check(&["diff", "1", "2", "--store", "host"], &["old", "new", "changes"]);
    check(
        &["diff", "1", "2", "--pairs", "--store", "host"],
        &["old", "new", "components", "removed"],
    );
    check(&["ls", "2", "/usr", "--store", "host"], &["system", "entries"]);
    check(
        &["show", "2", "--store", "host"],
        &["release", "machine", "counter", "labels", "fallback", "components", "systems"],
    );
    check(&["services", "1", "--store", "host"], &["release", "system", "services"]);
    check(&["services", "--root", "one"], &["services"]);
    check(&["log", "--store", "host"], &["releases"]);
    check(&["check", "--store", "device"], &["objects", "bytes", "releases", "damages"]);
    check(
        &["checkout", "2", "out", "--store", "device"],
        &["release", "directory", "entries", "bytes", "registered"],
    );
    check(&["remove", "1", "--store", "device"], &["removed"]);
    check(
        &["collect", "--store", "device"],
        &["dry_run", "removed", "removed_bytes", "kept", "kept_bytes", "abandoned"],
    );
    check(
        &["delta", "one", "two", "-o", "p"],
        &[
            "file",
            "kind",
            "bytes",
            "head_bytes",
            "objects",
            "object_bytes",
            "patched",
            "patched_bytes",
            "codecs",
            "streams",
            "spent",
        ],
    );
    check(&["patch", "one", "p", "-o", "three"], &["path", "kind", "entries", "bytes"]);
}

#[test]
fn inspect_accounts_for_every_byte_of_the_file() {
    let place = Place::new();
    ordinary(&place.path("one"), 1);
    ordinary(&place.path("two"), 2);
    place.release("host", "1", 1, "one");
    place.release("host", "2", 2, "two");
    place.update("host", "1", "2", "u.upm");
    place.full_update("host", "2", "full.upm");
    for update in ["u.upm", "full.upm"] {
        let printed = place.succeed(&["inspect", update, "--store", "host", "--json"]);
        let object: Value = serde_json::from_str(&printed).unwrap();
        let file = fs::metadata(place.path(update)).unwrap().len();
        assert_eq!(object["bytes"], file);
        let streams = object["streams"].as_object().unwrap();
        let streams: u64 = streams.values().map(|bytes| bytes.as_u64().unwrap()).sum();
        let payload = object["payload_bytes"].as_u64().unwrap();
        assert!(streams < payload && payload - streams < 100, "{streams} of {payload}");
        let component = &object["components"][0];
        let cost = |kind: &str| component[kind]["cost"].as_u64().unwrap();
        let objects = cost("new") + cost("patched");
        let metadata = component["metadata"].as_u64().unwrap();
        assert!(objects + metadata <= streams + 2, "{component}");
        assert!(objects + metadata + 200 > streams, "{component}");
        let alone = place.succeed(&["inspect", update]);
        assert!(alone.contains("header and signatures"), "{alone}");
    }
}

#[test]
fn ls_and_show_and_diff_tell_what_is_there() {
    let place = Place::new();
    ordinary(&place.path("one"), 1);
    ordinary(&place.path("two"), 2);
    place.release("host", "1", 1, "one");
    place.release("host", "2", 2, "two");
    let listed = place.succeed(&["ls", "1/main", "/usr/bin", "--store", "host"]);
    assert!(listed.contains("/usr/bin/program") && listed.contains("-> program"), "{listed}");
    assert!(!listed.contains("/etc"), "{listed}");
    let said = place.fail(3, &["ls", "1", "/nothing", "--store", "host"]);
    assert!(said.contains("nothing at /nothing"), "{said}");
    let differs = place.succeed(&["diff", "1", "2", "--store", "host"]);
    for line in ["+ ", "- ", "~ "] {
        assert!(differs.lines().any(|text| text.starts_with(line)), "{differs}");
    }
    assert!(!differs.contains("unchanged"), "{differs}");
    let shown = place.succeed(&["show", "2", "--store", "host"]);
    assert!(shown.contains("system main (fallback)"), "{shown}");
}

#[test]
fn man_pages_and_completions_come_from_the_same_definition() {
    let place = Place::new();
    fs::create_dir(place.path("man")).unwrap();
    place.succeed(&["man", "man"]);
    let page = fs::read_to_string(place.path("man/upmass-apply.1")).unwrap();
    assert!(page.contains("allow\\-unsigned"), "{page}");
    let completions = place.succeed(&["completions", "bash"]);
    assert!(completions.contains("checkout"));
}
