//! Descriptions of releases: what is refused and how it is told, and what good ones become.

#[path = "../support/layout.rs"]
mod layout;

mod boot;
mod image;
mod minify;
mod ram_disk;
mod read;
mod refused;
mod service;

use std::collections::BTreeMap;

use std::fs;

use std::os::unix::fs::symlink;

use std::path::Path;

use tempfile::TempDir;

use upmass_format::release::{BootKind, Changes, Policy, Release};

use upmass_format::tree::MtimePolicy;

use upmass_import::{ImportedRelease, import_release, read_description};

use upmass_store::Store;

/// A description that is complete, for tests that add to it or change it.
const SMALL: &str = r#"machine = "m"
version = "1"
[[system]]
name = "main"
source = { dir = "root" }
"#;

const SMALL_SYSTEM: &str = "[[system]]\nname = \"NAME\"\nsource = { dir = \"root\" }\n";

fn manual() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/release-toml.md");
    fs::read_to_string(path).unwrap()
}

fn manual_examples(manual: &str) -> impl Iterator<Item = &str> {
    manual.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next())
}

fn boot(release: &Release, system: usize) -> Vec<(BootKind, &str, String)> {
    let name = |index: usize| release.components[index].name.as_str();
    let boot = release.systems[system].boot.iter();
    boot.map(|file| (file.kind, name(file.component), file.path.to_string())).collect()
}

/// A directory with a description, its sources and a store.
struct Project {
    dir: TempDir,
    store: Store,
}

impl Project {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open_or_create(&dir.path().join("store")).unwrap();
        Self { dir, store }
    }

    fn with(text: &str) -> Self {
        let project = Self::new();
        project.describe(text);
        project
    }

    fn describe(&self, text: &str) {
        fs::write(self.path("release.toml"), text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path("release.toml")).unwrap()
    }

    fn path(&self, below: &str) -> std::path::PathBuf {
        self.dir.path().join(below)
    }

    fn file(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn import(&self) -> ImportedRelease {
        let description = read_description(&self.path("release.toml")).unwrap();
        import_release(&self.store, &description, &|_| {}).unwrap()
    }

    /// What is told when the description is read or imported, without the directory.
    fn refused(&self) -> String {
        let error = read_description(&self.path("release.toml"))
            .and_then(|description| import_release(&self.store, &description, &|_| {}))
            .expect_err("the description is bad");
        let dir = Path::new(self.dir.path()).display().to_string();
        error.to_string().replace(&format!("{dir}/"), "")
    }
}
