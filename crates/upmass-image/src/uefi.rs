//! What systemd-boot needs in a boot slot: the loader where firmware looks for it, an entry of
//! the Boot Loader Specification (type 1) for each system, kernels and initial RAM disks.
//!
//! The interface to the rest of the crate is the list of [`SlotFile`]s, and nothing else.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use upmass_format::release::{BootKind, Release};
use upmass_format::slot::{RELEASE_FILE, release_file};
use upmass_format::{ReleaseId, TreePath};
use upmass_store::Store;

use crate::error::Context;
use crate::slot::add_contents;
use crate::start::{Start, Trees, starts};
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
        None => loaders(&mut Trees::new(store, release))?,
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
    let mut files = loaders;
    files.push(SlotFile { path: RELEASE_FILE.to_owned(), source: Source::Bytes(release_file(id)) });
    let (starts, contents) = starts(store, id, release)?;
    let default = &starts[release.fallback].entry;
    files.push(SlotFile {
        path: "loader/loader.conf".to_owned(),
        source: Source::Bytes(
            format!("default {default}.conf\ntimeout 0\neditor no\n").into_bytes(),
        ),
    });
    for start in &starts {
        files.push(SlotFile {
            path: format!("loader/entries/{}.conf", start.entry),
            source: Source::Bytes(entry(release, start).into_bytes()),
        });
    }
    files.extend(contents);
    add_contents(&mut files);
    Ok(files)
}

/// The text of an entry.
fn entry(release: &Release, start: &Start<'_>) -> String {
    let mut text = format!("title {}\n", start.system.name);
    if let Some(version) = release.version() {
        let _ = writeln!(text, "version {}", version.replace(char::is_control, " "));
    }
    for (kind, path) in &start.files {
        let key = match kind {
            BootKind::Kernel => "linux",
            BootKind::Initrd => "initrd",
            BootKind::DeviceTree => "devicetree",
        };
        let _ = writeln!(text, "{key} /{path}");
    }
    let _ = writeln!(text, "options {}", start.command_line);
    text
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
