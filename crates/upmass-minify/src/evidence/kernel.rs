//! Kernel modules: what they need of each other, and firmware.

use std::collections::BTreeMap;

use super::{Evidence, Scan, script};
use crate::files::name_of;
use crate::glob::Glob;
use crate::system::System;
use crate::tree::Tree;

/// Modules of all kernels, by their name with `_` for `-`.
pub(crate) type Modules = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

/// Whether a file is a kernel module.
pub(crate) fn is_module(path: &[u8]) -> bool {
    let name = name_of(path);
    path.windows(13).any(|window| window == b"/lib/modules/")
        && [&b".ko"[..], b".ko.xz", b".ko.zst", b".ko.gz"].iter().any(|end| name.ends_with(end))
}

/// Name of a module, as the kernel writes it.
pub(crate) fn name(path: &[u8]) -> Vec<u8> {
    let name = name_of(path);
    let stem = name.windows(3).position(|window| window == b".ko").unwrap_or(name.len());
    normal(&name[..stem])
}

/// `-` and `_` are the same in names of modules.
pub(crate) fn normal(name: &[u8]) -> Vec<u8> {
    name.iter().map(|byte| if *byte == b'-' { b'_' } else { *byte }).collect()
}

/// All modules of a system.
pub(crate) fn modules(tree: &Tree<'_>) -> Modules {
    let mut modules = Modules::new();
    for id in tree.ids() {
        let path = tree.path(id);
        if is_module(path) {
            modules.entry(name(path)).or_default().push(path.to_vec());
        }
    }
    modules
}

/// Says what a module needs: `modules.dep`, its own `depends=` and `softdep=`, its firmware.
pub(super) fn module(scan: &mut Scan<'_>) {
    let system = scan.system;
    for path in system.module_needs.get(scan.path).into_iter().flatten() {
        scan.want(path.clone(), Evidence::KernelModule, "modules.dep");
    }
    for text in scan.content.split(|byte| *byte == 0) {
        if let Some(names) = text.strip_prefix(b"depends=") {
            for name in names.split(|byte| *byte == b',').filter(|name| !name.is_empty()) {
                by_name(scan, name, Evidence::KernelModule);
            }
        } else if let Some(names) = text.strip_prefix(b"softdep=") {
            soft(scan, names, Evidence::KernelModule);
        } else if let Some(name) = text.strip_prefix(b"firmware=") {
            firmware(scan, name);
        }
    }
}

fn firmware(scan: &mut Scan<'_>, name: &[u8]) {
    let system = scan.system;
    for directory in [&b"/usr/lib/firmware/"[..], b"/lib/firmware/", b"/usr/lib/firmware/updates/"]
    {
        for end in [&b""[..], b".xz", b".zst"] {
            let path = [directory, name, end].concat();
            if system.tree.resolve(&path).end.is_some() {
                scan.want(path, Evidence::Firmware, name);
            }
        }
    }
}

/// A module by its name, or by an alias such as `fs-ext4`.
pub(super) fn by_name(scan: &mut Scan<'_>, name: &[u8], evidence: Evidence) {
    let system = scan.system;
    for path in system.modules_for(name.trim_ascii()) {
        scan.want(path, evidence, name);
    }
}

fn soft(scan: &mut Scan<'_>, text: &[u8], evidence: Evidence) {
    for name in text.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty()) {
        if !name.ends_with(b":") {
            by_name(scan, name, evidence);
        }
    }
}

/// Whether a file lists modules to load, or says how to.
pub(super) fn is_list(path: &[u8]) -> bool {
    path == b"/etc/modules"
        || [&b"/modules-load.d/"[..], b"/modprobe.d/"]
            .iter()
            .any(|part| path.windows(part.len()).any(|window| window == *part))
}

/// Follows what is loaded, installed with commands, or needed softly.
pub(super) fn list(scan: &mut Scan<'_>) {
    // A package lists what it may need; the user what is there.
    let evidence = match scan.path.starts_with(b"/etc/") {
        true => Evidence::KernelModule,
        false => Evidence::Mention,
    };
    let loads = !scan.path.windows(12).any(|window| window == b"/modprobe.d/");
    for line in scan.content.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() || b"#;".contains(&line[0]) {
            continue;
        }
        let mut words = line.splitn(3, u8::is_ascii_whitespace);
        let (first, second, rest) = (words.next(), words.next(), words.next());
        match (first, second, rest) {
            (Some(name), _, _) if loads => by_name(scan, name, evidence),
            (Some(b"softdep"), Some(_), Some(rest)) => soft(scan, rest, evidence),
            (Some(b"install" | b"remove"), Some(_), Some(rest)) => script::words(scan, rest),
            _ => {}
        }
    }
}

/// What `modules.dep` says: for each module those that are loaded before it.
pub(crate) fn read_needs(
    needs: &mut BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    directory: &[u8],
    content: &[u8],
) {
    let absolute = |path: &[u8]| match path.first() {
        Some(b'/') => path.to_vec(),
        _ => [directory, b"/", path].concat(),
    };
    for line in content.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let needed = line[colon + 1..].split(u8::is_ascii_whitespace);
        let needed = needed.filter(|path| !path.is_empty()).map(absolute).collect();
        needs.insert(absolute(&line[..colon]), needed);
    }
}

impl System<'_> {
    /// Modules for a name or an alias.
    pub(crate) fn modules_for(&self, name: &[u8]) -> Vec<Vec<u8>> {
        if let Some(paths) = self.modules.get(&normal(name)) {
            return paths.clone();
        }
        let mut paths = Vec::new();
        for (pattern, module) in &self.module_aliases {
            let literal = pattern.iter().position(|byte| b"*?[".contains(byte));
            let literal = literal.unwrap_or(pattern.len());
            // Most patterns are told apart by how they begin.
            if !name.starts_with(&pattern[..literal]) {
                continue;
            }
            let pattern = Glob::new(&format!("/{}", String::from_utf8_lossy(pattern)));
            if pattern.is_ok_and(|pattern| pattern.matches(&[b"/", name].concat())) {
                paths.extend(self.modules.get(module).into_iter().flatten().cloned());
            }
        }
        paths.sort();
        paths.dedup();
        paths
    }
}
