//! Golden vectors: bytes that every later version has to read.

use std::path::{Path, PathBuf};

/// The environment variable that lets [`golden`] write a vector that is not there yet.
const WRITE_NEW: &str = "UPMASS_WRITE_NEW_VECTORS";

/// The bytes of a vector. `made` is what the code makes of the same value now: it becomes the
/// vector when there is none and the environment says so. None is ever written over.
pub fn golden(name: &str, made: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = directory().join(name);
    if !path.exists() && std::env::var_os(WRITE_NEW).is_some() {
        std::fs::write(&path, made()).expect("a vector can be written");
    }
    read(&path)
}

/// The bytes of a vector.
pub fn vector(name: &str) -> Vec<u8> {
    read(&directory().join(name))
}

/// The names of all vectors, with their directory.
pub fn names() -> Vec<String> {
    let mut names = Vec::new();
    for kind in std::fs::read_dir(directory()).expect("the directory of vectors") {
        let kind = kind.expect("an entry of it").path();
        if !kind.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&kind).expect("a directory of vectors") {
            let path = file.expect("an entry of it").path();
            let name = path.strip_prefix(directory()).expect("below it").to_owned();
            names.push(name.to_str().expect("a name in ASCII").to_owned());
        }
    }
    names.sort();
    names
}

/// Where the vectors are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../upmass-format/tests/vectors")
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| {
        panic!("{}: {error}; a new vector is made with {WRITE_NEW}=1", path.display())
    })
}
