//! What the system is configured to use, or the user has listed.

use std::collections::BTreeSet;

use super::table::Spares;
use crate::glob::Glob;
use crate::system::System;
use crate::tree::Id;
use crate::{Kind, Level, Options, Result};

/// What rules leave alone.
pub(super) struct Spared {
    languages: BTreeSet<String>,
    time_zones: BTreeSet<String>,
    terminals: BTreeSet<String>,
    /// Paths of modules; `None` where all stay.
    modules: Option<BTreeSet<Vec<u8>>>,
    has_hwdb: bool,
    /// Boot files; `None` where all stay.
    boot: Option<Vec<Glob>>,
    is_bare: bool,
    /// Whether modules are loaded by kmod, which has its own form of most lists.
    has_kmod: bool,
}

impl Spared {
    pub(super) fn new(system: &System<'_>, options: &Options) -> Result<Self> {
        let languages = match &options.locales {
            Some(listed) => listed.clone(),
            None => configured_languages(system)?,
        };
        let time_zones = match &options.time_zones {
            Some(listed) => listed.clone(),
            None => configured_zone(system).into_iter().collect(),
        };
        let terminals = match &options.terminals {
            Some(listed) => listed.clone(),
            None => TERMINALS.iter().map(|name| (*name).to_owned()).collect(),
        };
        let modules = options.hardware.as_ref().map(|listed| {
            let names = listed.iter();
            names.flat_map(|name| system.modules_for(name.as_bytes())).collect()
        });
        let has_hwdb = system.tree.resolve(b"/usr/lib/udev/hwdb.bin").end.is_some();
        let modprobe = system.tree.resolve(b"/sbin/modprobe").end;
        let has_kmod = modprobe.is_some_and(|end| system.tree.entry(end).name() == b"kmod");
        Ok(Self {
            languages: languages.iter().map(|name| stem(name).to_owned()).collect(),
            time_zones: time_zones.into_iter().collect(),
            terminals: terminals.into_iter().collect(),
            modules,
            has_hwdb,
            boot: options.boot.clone(),
            is_bare: options.level == Level::Bare,
            has_kmod,
        })
    }

    pub(super) fn spares(&self, what: Spares, system: &System<'_>, id: Id) -> bool {
        let entry = system.tree.entry(id);
        match what {
            Spares::Nothing => false,
            Spares::Languages => {
                let name = entry.path.split(|byte| *byte == b'/').nth(4).unwrap_or(b"");
                let name = String::from_utf8_lossy(name);
                let is_file = entry.path.iter().filter(|byte| **byte == b'/').count() < 5;
                is_file || name.starts_with("C.") || self.languages.iter().any(|l| is_for(l, &name))
            }
            Spares::TimeZones => {
                let name = &entry.path[entry.path.len().min(20)..];
                let name = String::from_utf8_lossy(name);
                ALWAYS_ZONES.contains(&&*name)
                    || self.time_zones.contains(&*name)
                    || name.ends_with(".tab")
                    || name.ends_with("tzdata.zi")
                    || name.starts_with("leap")
            }
            Spares::Terminals => self.terminals.contains(&*String::from_utf8_lossy(entry.name())),
            Spares::Hardware => {
                self.modules.as_ref().is_none_or(|modules| modules.contains(&entry.path))
            }
            Spares::HwdbWithoutHardware => self.modules.is_none(),
            Spares::Boot => self.boot.as_ref().is_none_or(|globs| {
                let end = system.tree.resolve(&entry.path).end;
                let end = end.map(|end| system.tree.path(end));
                globs.iter().any(|glob| {
                    glob.matches(&entry.path) || end.is_some_and(|end| glob.matches(end))
                })
            }),
            Spares::ByteCodeInUse => !self.is_bare && !holds_time(system, id),
            Spares::WithoutKmod => !self.has_kmod,
            Spares::HwdbSources => !self.has_hwdb || matches!(entry.kind, Kind::Symlink(_)),
        }
    }
}

/// Whether byte code is compared with the time of its source, not with a digest (PEP 552).
fn holds_time(system: &System<'_>, id: Id) -> bool {
    let head = system.tree.head(id, 8).unwrap_or_default();
    head.get(4..8).is_some_and(|flags| flags == [0; 4])
}

/// Whether translations into `name` are for who wants `wanted`: `de_DE` takes those for `de` too,
/// and `pt` those for `pt_BR`.
fn is_for(wanted: &str, name: &str) -> bool {
    let name = stem(name);
    wanted == name || language(wanted) == name || wanted == language(name)
}

fn language(name: &str) -> &str {
    name.split(['_', '@']).next().unwrap_or(name)
}

fn stem(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// From `/etc/default/locale`, `/etc/locale.conf` and `/etc/locale.gen`.
fn configured_languages(system: &System<'_>) -> Result<Vec<String>> {
    let mut languages = Vec::new();
    for path in ["/etc/default/locale", "/etc/locale.conf", "/etc/locale.gen"] {
        let Some(content) = system.tree.text(path.as_bytes())? else { continue };
        for line in String::from_utf8_lossy(&content).lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let value = line.split_once('=').map_or(line, |(_, value)| value);
            for name in value.split([':', ' ', '"']) {
                if !name.is_empty() && !["C", "POSIX", "UTF-8"].contains(&stem(name)) {
                    languages.push(name.to_owned());
                }
            }
        }
    }
    Ok(languages)
}

/// The zone that `/etc/localtime` leads to.
fn configured_zone(system: &System<'_>) -> Option<String> {
    let end = system.tree.resolve(b"/etc/localtime").end?;
    let name = system.tree.path(end).strip_prefix(b"/usr/share/zoneinfo/")?;
    Some(String::from_utf8_lossy(name).into_owned())
}

const ALWAYS_ZONES: &[&str] = &["UTC", "Etc/UTC", "GMT", "Etc/GMT", "Factory"];
/// Consoles, serial lines, and what people log in from.
const TERMINALS: &[&str] = &[
    "linux",
    "vt100",
    "vt102",
    "vt220",
    "ansi",
    "dumb",
    "xterm",
    "xterm-256color",
    "xterm-color",
    "screen",
    "screen-256color",
    "tmux",
    "tmux-256color",
    "rxvt",
    "rxvt-unicode-256color",
    "alacritty",
    "xterm-kitty",
    "foot",
];
