//! What the tests of several importers share.

#![allow(dead_code, unused_imports, reason = "each test program uses a part of it")]

mod archive;
mod sample;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use upmass_disk::SimVolume;
use upmass_format::tree::{Child, Directory};
use upmass_format::{TreeId, TreePath};
use upmass_import::{ImportError, ImportOptions, Imported, import_directory, import_tar_stream};
use upmass_store::Store;

pub use archive::{Archive, Header, record};
pub use sample::{Sample, set_time, write};

/// A directory to import and a store beside it, on the same file system.
pub struct Place {
    home: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let place = Self { home: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.source()).unwrap();
        place
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn source(&self) -> PathBuf {
        self.home().join("source")
    }

    pub fn store(&self) -> Store {
        Store::open_or_create(&self.home().join("store")).unwrap()
    }
}

/// A store in memory: nothing waits for a disk.
pub fn memory_store() -> Store {
    Store::create_on(Arc::new(SimVolume::new(1 << 40)), "memory").unwrap()
}

pub fn import(store: &Store, source: &Path) -> Imported {
    import_with(store, source, &ImportOptions::default())
}

pub fn import_with(store: &Store, source: &Path, options: &ImportOptions) -> Imported {
    import_directory(store, source, options, &|_| {}).unwrap_or_else(|error| panic!("{error}"))
}

pub fn import_archive(store: &Store, archive: &[u8]) -> Result<Imported, ImportError> {
    import_archive_with(store, archive, &ImportOptions::default())
}

pub fn import_archive_with(
    store: &Store,
    mut archive: &[u8],
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    import_tar_stream(store, "test.tar", &mut archive, options, &|_| {})
}

pub fn tree(store: &Store, id: TreeId) -> Directory {
    store.tree(id).unwrap().0
}

/// What is at a path of a tree.
pub fn entry<'a>(tree: &'a Directory, path: &str) -> &'a Child {
    let path = TreePath::new(path).unwrap();
    tree.get(&path).unwrap_or_else(|| panic!("{path} is not in the tree"))
}

/// Two imports of the same must give the same; says where they differ.
pub fn assert_same_tree(store: &Store, found: TreeId, expected: TreeId, what: &str) {
    if found == expected {
        return;
    }
    let list = |id| {
        let mut lines = Vec::new();
        let (tree, policy) = store.tree(id).unwrap();
        lines.push(format!("{policy:?} {:?}", tree.meta));
        tree.walk::<()>(&mut |path, meta, node| {
            lines.push(format!("{path} {meta:?} {node:?}"));
            Ok(())
        })
        .unwrap();
        lines
    };
    let (found, expected) = (list(found), list(expected));
    for line in found.iter().filter(|line| !expected.contains(line)) {
        println!("only in {what}: {line}");
    }
    for line in expected.iter().filter(|line| !found.contains(line)) {
        println!("not in {what}: {line}");
    }
    panic!("{what} gives another tree");
}

/// An archive of a directory, made by GNU tar.
pub fn tar(source: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("tar");
    command.args(arguments).arg("-C").arg(source).args(["-cf", "-", "."]);
    run(command, &[])
}

/// What a program makes of its input.
pub fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(arguments);
    run(command, input)
}

fn run(mut command: Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{command:?} ended with {}", output.status);
    output.stdout
}

/// Whether this process may make devices and give files away. Tests that need it cannot do
/// their work without, and must not look as if they had.
pub fn is_root() -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    let key = "UPMASS_TESTS_WITHOUT_ROOT";
    assert!(
        std::env::var_os(key).is_some_and(|value| value == OsStr::new("1")),
        "this test needs root, which CI has; {key}=1 leaves it out"
    );
    eprintln!("left out: it needs root");
    false
}
