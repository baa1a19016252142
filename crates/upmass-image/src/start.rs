//! What starts each system of a release, whichever loader does it: files and a command line.

use std::collections::{BTreeMap, BTreeSet};

use upmass_format::ReleaseId;
use upmass_format::release::{BootKind, Changes, Release, System};
use upmass_format::tree::Directory;
use upmass_store::Store;

use crate::{ImageError, Result, SlotFile, Source, lookup};

/// Time to read the last words of a kernel, in seconds.
const PANIC_SECONDS: u32 = 10;

/// What starts a system.
pub(crate) struct Start<'r> {
    pub(crate) system: &'r System,
    /// What its entry is called: letters, digits, `-` and `_`, different in more than case from
    /// all others of the release.
    pub(crate) entry: String,
    /// Kinds, and paths in the slot.
    pub(crate) files: Vec<(BootKind, String)>,
    pub(crate) command_line: String,
}

/// What starts the systems of a release, in its order, and the files that they need.
pub(crate) fn starts<'r>(
    store: &Store,
    id: ReleaseId,
    release: &'r Release,
) -> Result<(Vec<Start<'r>>, Vec<SlotFile>)> {
    let mut trees = Trees::new(store, release);
    // Systems share kernels: a file is named by what is in it.
    let mut contents = BTreeMap::new();
    let mut starts = Vec::new();
    for (system, entry) in release.systems.iter().zip(entry_names(release)) {
        let fail = |why: String| ImageError::System { system: system.name.clone(), why };
        if !system.boot.iter().any(|file| file.kind == BootKind::Kernel) {
            return Err(fail("it has no kernel, so it cannot be booted".to_owned()));
        }
        let mut files = Vec::new();
        for file in &system.boot {
            let tree = trees.tree(file.component)?;
            let found = lookup::file(tree, &file.path).and_then(Source::of);
            let source = found.ok_or_else(|| {
                let component = &release.components[file.component].name;
                let word = file.kind.word();
                fail(format!("its {word} {} is no file of component {component:?}", file.path))
            })?;
            let path = format!("upmass/{}-{}", file.kind.word(), source.digest());
            files.push((file.kind, path.clone()));
            contents.insert(path, source);
        }
        let command_line = command_line(id, system).map_err(fail)?;
        starts.push(Start { system, entry, files, command_line });
    }
    let contents = contents.into_iter().map(|(path, source)| SlotFile { path, source });
    Ok((starts, contents.collect()))
}

/// What the kernel is told: what the release says, `gpt` so that it uses the backup partition
/// table when the primary one is damaged, to start again after a panic, and which system this is.
fn command_line(id: ReleaseId, system: &System) -> std::result::Result<String, String> {
    let mut words = Vec::new();
    let given = &system.command_line;
    if given.contains(['\n', '\r']) {
        return Err("its command line has more than one line".to_owned());
    }
    if !given.trim().is_empty() {
        words.push(given.trim().to_owned());
    }
    if !given.split_whitespace().any(|word| word == "gpt") {
        words.push("gpt".to_owned());
    }
    // Linux stays as it is after a panic, unless it is told to start again; a trial must end.
    if !given.split_whitespace().any(|word| word.starts_with("panic=")) {
        words.push(format!("panic={PANIC_SECONDS}"));
    }
    words.push(format!("upmass.release={id}"));
    let name = &system.name;
    if name.contains('"') {
        return Err("its name has quotation marks, which a command line cannot have".to_owned());
    }
    words.push(match name.contains(char::is_whitespace) {
        true => format!("\"upmass.system={name}\""),
        false => format!("upmass.system={name}"),
    });
    // What the initial RAM disk has to know and would do otherwise by itself.
    let (changes, default) = (system.changes, Changes::default());
    for (word, policy, default) in
        [("etc", changes.etc, default.etc), ("var", changes.var, default.var)]
    {
        if policy != default {
            words.push(format!("upmass.{word}={}", policy.word()));
        }
    }
    Ok(words.join(" "))
}

/// Names of entries: those of the systems, with `-` for what the loader does not take (`+` would
/// count boots), and made different again. FAT knows no case.
fn entry_names(release: &Release) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let plain =
        |name: &str| name.replace(|c| !is_plain(c), "-").chars().take(64).collect::<String>();
    let mut name = |system: &System| {
        let base = plain(&system.name);
        let mut name = base.clone();
        let mut number = 2;
        while !taken.insert(name.to_ascii_lowercase()) {
            name = format!("{base}-{number}");
            number += 1;
        }
        name
    };
    release.systems.iter().map(&mut name).collect()
}

/// Trees of components, each read once.
pub(crate) struct Trees<'s> {
    store: &'s Store,
    pub(crate) release: &'s Release,
    read: BTreeMap<usize, Directory>,
}

impl<'s> Trees<'s> {
    pub(crate) fn new(store: &'s Store, release: &'s Release) -> Self {
        Self { store, release, read: BTreeMap::new() }
    }

    pub(crate) fn tree(&mut self, component: usize) -> Result<&Directory> {
        use std::collections::btree_map::Entry;
        match self.read.entry(component) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let (tree, _) = self.store.tree(self.release.components[component].tree)?;
                Ok(entry.insert(tree))
            }
        }
    }
}
