//! What is particular to importing an archive, good or hostile.

#[path = "../support/mod.rs"]
mod support;

mod refused;
mod sources;
mod unusual;

use std::io::Read;

use std::process::{Command, Stdio};

use proptest::prelude::*;

use support::{
    Archive, Header, Place, entry, filter, import_archive, import_archive_with, memory_store,
    record, tar, tree, write,
};
use upmass_format::tree::{Child, Directory, MtimePolicy, Node};

use upmass_format::{ObjectHasher, TreePath};

use upmass_import::{ImportError, ImportOptions, TarSource, import_tar, import_tar_stream};

use upmass_store::Store;

/// Two fields of a header that follow each other.
fn octal_pair(first: &str, second: &str) -> Vec<u8> {
    format!("{first}\0{second}\0").into_bytes()
}

fn paths(tree: &Directory) -> Vec<String> {
    let mut paths = Vec::new();
    let mut add = |path: &TreePath| paths.push(path.to_string());
    tree.walk::<()>(&mut |path, _, _| {
        add(path);
        Ok(())
    })
    .unwrap();
    paths
}
