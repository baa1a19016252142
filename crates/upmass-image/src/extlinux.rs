//! What U-Boot needs in a boot slot: the boot script, a configuration in the language of extlinux
//! for each system, kernels, initial RAM disks and device trees (`upmass-format/spec/slot.md`).
//!
//! U-Boot itself is not in the slot: it is part of the board.
//!
//! The configurations are not where U-Boot looks for such by itself: it takes those before the
//! script, so that there would be no trial.

mod script;

use std::collections::BTreeMap;
use std::fmt::Write;

use upmass_format::ReleaseId;
use upmass_format::release::{BootKind, Release};
use upmass_format::slot::{
    BOOT_SCRIPT, EXTLINUX_DIRECTORY, EXTLINUX_FILE, RELEASE_FILE, release_file,
};
use upmass_store::Store;

use crate::slot::add_contents;
use crate::start::{Start, starts};
use crate::{ImageError, Result, SlotFile, Source};

/// The boot script as text: what U-Boot runs to choose a slot.
pub const BOOT_COMMANDS: &str = include_str!("extlinux/boot.cmd");

/// The files of a slot that boots the systems of a release.
///
/// # Errors
/// [`ImageError::System`] also for what U-Boot cannot do: more than one initial RAM disk or device
/// tree, and characters in a command line that it would take for its own.
pub fn slot_files(store: &Store, id: ReleaseId, release: &Release) -> Result<Vec<SlotFile>> {
    let file = |path: String, content: Vec<u8>| SlotFile { path, source: Source::Bytes(content) };
    let mut files = vec![
        file(BOOT_SCRIPT.to_owned(), script::image(BOOT_COMMANDS)),
        file(RELEASE_FILE.to_owned(), release_file(id)),
    ];
    let (starts, contents) = starts(store, id, release)?;
    for (index, start) in starts.iter().enumerate() {
        let system = start.system.name.clone();
        let text = configuration(release, start)
            .map_err(|why| ImageError::System { system, why })?
            .into_bytes();
        if index == release.fallback {
            files.push(file(EXTLINUX_FILE.to_owned(), text.clone()));
        }
        files.push(file(format!("{EXTLINUX_DIRECTORY}/{}.conf", label(start)), text));
    }
    files.extend(contents);
    add_contents(&mut files);
    Ok(files)
}

/// The name of an entry: in small letters, as it is written where U-Boot is told of it.
fn label(start: &Start<'_>) -> String {
    start.entry.to_ascii_lowercase()
}

fn configuration(release: &Release, start: &Start<'_>) -> std::result::Result<String, String> {
    let label = label(start);
    let plain = |text: &str| text.replace(char::is_control, " ");
    let mut text = String::new();
    if let Some(version) = release.version() {
        // No `menu title`: with one U-Boot waits for somebody to choose.
        let _ = writeln!(text, "# release {}", plain(version));
    }
    let _ = writeln!(text, "default {label}");
    let _ = writeln!(text, "label {label}\n  menu label {}", plain(&start.system.name));
    let mut counts = BTreeMap::new();
    for (kind, path) in &start.files {
        let key = match kind {
            BootKind::Kernel => "linux",
            BootKind::Initrd => "initrd",
            BootKind::DeviceTree => "fdt",
        };
        let count = counts.entry(key).or_insert(0);
        *count += 1;
        if *count > 1 {
            return Err(format!("it has more than one {}, and U-Boot takes one", kind.word()));
        }
        let _ = writeln!(text, "  {key} /{path}");
    }
    if let Some(c) = start.command_line.chars().find(|c| matches!(c, '$' | '\'' | '\\')) {
        return Err(format!("its command line has {c}, which U-Boot would take for its own"));
    }
    // U-Boot puts in which slot it is.
    let _ = writeln!(text, "  append upmass.slot=${{upmass_slot}} {}", start.command_line);
    Ok(text)
}
