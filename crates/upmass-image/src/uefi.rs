//! What systemd-boot needs in a boot slot: the loader where firmware looks for it, an entry of
//! the Boot Loader Specification (type 1) for each system, kernels and initial RAM disks.
//!
//! The interface to the rest of the crate is the list of [`SlotFile`]s, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use upmass_format::release::{BootKind, Changes, Release, System};
use upmass_format::slot::{RELEASE_FILE, release_file};
use upmass_format::tree::Directory;
use upmass_format::{ReleaseId, TreePath};
use upmass_store::Store;

use crate::error::Context;
use crate::slot::add_contents;
use crate::{ImageError, Result, SlotFile, Source, lookup};

/// Machines by their number in PE headers: the loader in a system, and where firmware looks for
/// it (UEFI 2.10, 3.5.1.1).
const MACHINES: [(u16, &str, &str); 5] = [
    (0x8664, "systemd-bootx64.efi", "BOOTX64.EFI"),
    (0xaa64, "systemd-bootaa64.efi", "BOOTAA64.EFI"),
    (0x014c, "systemd-bootia32.efi", "BOOTIA32.EFI"),
    (0x01c2, "systemd-bootarm.efi", "BOOTARM.EFI"),
    (0x5064, "systemd-bootriscv64.efi", "BOOTRISCV64.EFI"),
];
/// Time to read the last words of a kernel, in seconds.
const PANIC_SECONDS: u32 = 10;
const LOADERS: &str = "usr/lib/systemd/boot/efi";
/// Longest loader; those of systemd have some 100 KiB.
const MAX_LOADER: u64 = 16 << 20;

/// The files of a slot that boots the systems of a release.
///
/// `loader` is the path of a loader on this machine; without it that of the systems is taken.
pub fn slot_files(
    store: &Store,
    id: ReleaseId,
    release: &Release,
    loader: Option<&Path>,
) -> Result<Vec<SlotFile>> {
    let loaders = match loader {
        Some(path) => vec![given_loader(path)?],
        None => loaders(&mut Trees { store, release, read: BTreeMap::new() })?,
    };
    slot_files_with(store, id, release, loaders)
}

/// As [`slot_files`], with loaders that are there already.
pub fn slot_files_with(
    store: &Store,
    id: ReleaseId,
    release: &Release,
    loaders: Vec<SlotFile>,
) -> Result<Vec<SlotFile>> {
    let mut trees = Trees { store, release, read: BTreeMap::new() };
    let mut files = loaders;
    files.push(SlotFile { path: RELEASE_FILE.to_owned(), source: Source::Bytes(release_file(id)) });
    let names = entry_names(release);
    let default = &names[release.fallback];
    files.push(SlotFile {
        path: "loader/loader.conf".to_owned(),
        source: Source::Bytes(
            format!("default {default}.conf\ntimeout 0\neditor no\n").into_bytes(),
        ),
    });
    // Systems share kernels: a file is named by what is in it.
    let mut contents = BTreeMap::new();
    for (system, name) in release.systems.iter().zip(&names) {
        let entry = entry(&mut trees, id, system, &mut contents)?;
        files.push(SlotFile {
            path: format!("loader/entries/{name}.conf"),
            source: Source::Bytes(entry.into_bytes()),
        });
    }
    files.extend(contents.into_iter().map(|(path, source)| SlotFile { path, source }));
    add_contents(&mut files);
    Ok(files)
}

/// The text of an entry. The files that it names are added to `contents`.
fn entry(
    trees: &mut Trees<'_>,
    id: ReleaseId,
    system: &System,
    contents: &mut BTreeMap<String, Source>,
) -> Result<String> {
    let fail = |why: String| ImageError::System { system: system.name.clone(), why };
    let release = trees.release;
    let mut text = format!("title {}\n", system.name);
    if let Some(version) = release.version() {
        let _ = writeln!(text, "version {}", version.replace(char::is_control, " "));
    }
    if !system.boot.iter().any(|file| file.kind == BootKind::Kernel) {
        return Err(fail("it has no kernel, so it cannot be booted".to_owned()));
    }
    for file in &system.boot {
        let tree = trees.tree(file.component)?;
        let found = lookup::file(tree, &file.path).and_then(Source::of);
        let source = found.ok_or_else(|| {
            let component = &release.components[file.component].name;
            let word = file.kind.word();
            fail(format!("its {word} {} is no file of component {component:?}", file.path))
        })?;
        let path = format!("upmass/{}-{}", file.kind.word(), source.digest());
        let key = match file.kind {
            BootKind::Kernel => "linux",
            BootKind::Initrd => "initrd",
            BootKind::DeviceTree => "devicetree",
        };
        let _ = writeln!(text, "{key} /{path}");
        contents.insert(path, source);
    }
    let _ = writeln!(text, "options {}", command_line(id, system).map_err(fail)?);
    Ok(text)
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

fn given_loader(path: &Path) -> Result<SlotFile> {
    let len = std::fs::metadata(path).on("read", path)?.len();
    let display = path.display().to_string();
    if len > MAX_LOADER {
        return Err(ImageError::Loader { path: display, why: "it has more than 16 MiB" });
    }
    let content = std::fs::read(path).on("read", path)?;
    let target = target(&content);
    let target = target.map_err(|why| ImageError::Loader { path: display, why })?;
    Ok(SlotFile { path: format!("EFI/BOOT/{target}"), source: Source::Bytes(content) })
}

/// The loaders that the systems have, the fallback first: one for each kind of machine.
fn loaders(trees: &mut Trees<'_>) -> Result<Vec<SlotFile>> {
    let release = trees.release;
    let fallback = &release.systems[release.fallback];
    let mut found: BTreeMap<&str, Source> = BTreeMap::new();
    for system in std::iter::once(fallback).chain(&release.systems) {
        for index in release.closure(system) {
            let install = &release.components[index].install;
            for (_, name, target) in MACHINES {
                let path = format!("{LOADERS}/{name}");
                // The part of the path that is in the component.
                let install = install.tree_path();
                let mut rest = path.split('/');
                if !install.names().all(|name| rest.next().map(str::as_bytes) == Some(name)) {
                    continue;
                }
                let inner = rest.collect::<Vec<_>>().join("/");
                let Some(inner) = TreePath::new(inner.into_bytes()) else { continue };
                let tree = trees.tree(index)?;
                if let Some(source) = lookup::file(tree, &inner).and_then(Source::of) {
                    found.entry(target).or_insert(source);
                }
            }
        }
    }
    if found.is_empty() {
        return Err(ImageError::NoLoader);
    }
    let file = |(target, source)| SlotFile { path: format!("EFI/BOOT/{target}"), source };
    Ok(found.into_iter().map(file).collect())
}

/// Where firmware looks for a loader, by the machine that its PE header names.
fn target(content: &[u8]) -> std::result::Result<&'static str, &'static str> {
    let u16_at = |at: usize| content.get(at..at + 2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    let at = content.get(60..64).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize);
    let header = at.filter(|at| *at < content.len() && content.starts_with(b"MZ"));
    let header = header.filter(|at| content[*at..].starts_with(b"PE\0\0"));
    let machine = header.and_then(|at| u16_at(at + 4)).ok_or("it is no PE file")?;
    let known = MACHINES.iter().find(|(number, ..)| *number == machine);
    known.map(|(_, _, target)| *target).ok_or("it is for no known machine")
}

/// Trees of components, each read once.
struct Trees<'s> {
    store: &'s Store,
    release: &'s Release,
    read: BTreeMap<usize, Directory>,
}

impl Trees<'_> {
    fn tree(&mut self, component: usize) -> Result<&Directory> {
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
