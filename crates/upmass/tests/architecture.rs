//! The arrows between our crates, as `ARCHITECTURE.md` has them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate may use. Tests may use more.
const ARROWS: &[(&str, &[&str])] = &[
    ("upmass-format", &[]),
    ("upmass-sign", &[]),
    ("upmass-disk", &["upmass-format"]),
    ("upmass-delta", &["upmass-format"]),
    ("upmass-member", &["upmass-delta", "upmass-format"]),
    ("upmass-boot", &["upmass-disk", "upmass-format"]),
    ("upmass-store", &["upmass-disk", "upmass-format"]),
    ("upmass-checkout", &["upmass-store", "upmass-disk", "upmass-format"]),
    ("upmass-image", &["upmass-store", "upmass-disk", "upmass-format"]),
    ("upmass-minify", &["upmass-store", "upmass-disk", "upmass-format"]),
    ("upmass-import", &["upmass-minify", "upmass-store", "upmass-disk", "upmass-format"]),
    ("upmass-init", &["upmass-boot", "upmass-disk", "upmass-format"]),
    (
        "upmass-build",
        &[
            "upmass-store",
            "upmass-delta",
            "upmass-member",
            "upmass-disk",
            "upmass-format",
            "upmass-sign",
        ],
    ),
    (
        "upmass-apply",
        &[
            "upmass-store",
            "upmass-delta",
            "upmass-member",
            "upmass-disk",
            "upmass-format",
            "upmass-sign",
        ],
    ),
    (
        "upmass-registry",
        &["upmass-import", "upmass-minify", "upmass-store", "upmass-disk", "upmass-format"],
    ),
    ("upmass-report", &["upmass-apply", "upmass-store", "upmass-format"]),
    (
        "upmass",
        &[
            "upmass-apply",
            "upmass-boot",
            "upmass-build",
            "upmass-checkout",
            "upmass-disk",
            "upmass-format",
            "upmass-image",
            "upmass-import",
            "upmass-registry",
            "upmass-report",
            "upmass-minify",
            "upmass-sign",
            "upmass-store",
        ],
    ),
];

#[test]
fn crates_use_each_other_only_along_the_arrows() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let allowed = allowed.get(name).unwrap_or_else(|| panic!("{name} has no row in ARROWS"));
        for used in our_dependencies(&package) {
            assert!(
                allowed.contains(&used.as_str()),
                "{name} uses {used}, which ARCHITECTURE.md does not allow"
            );
        }
    }
}

#[test]
fn every_crate_forbids_unsafe_code_through_the_workspace_lints() {
    for package in packages() {
        let manifest = std::fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        let name = &package["name"];
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} has its own lints");
    }
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// What the product is built with, not its tests.
fn our_dependencies(package: &Value) -> BTreeSet<String> {
    package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
        .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
        .filter(|name| name.starts_with("upmass"))
        .collect()
}
