//! From roots to all that is needed, round by round.
//!
//! Each round scans the files that the last one added, in parallel, and takes what they need in
//! the order of their paths. So a file's reason is the shortest chain from a root, and the first
//! of these by path: the same for the same system. A file is scanned once, whatever goes round
//! in a circle.

use std::collections::BTreeSet;

use rayon::prelude::*;

use crate::evidence::{Evidence, Found, Scan};
use crate::files::parent_of;
use crate::packages::PackageId;
use crate::report::{Drop, Minified, Reason, Verdict};
use crate::roots::roots;
use crate::rules::Rules;
use crate::system::System;
use crate::tree::Id;
use crate::{Files, Kind, Level, Options, Result, Rule};

/// Decides for every entry whether it stays, and why. Reads and never writes.
///
/// `progress` is told how many more bytes were looked at, from any thread. Memory: some 500
/// bytes for each entry, and for each thread one file (at most 128 MiB of it).
///
/// # Errors
/// What cannot be read is an error, and so is a root that is not there.
pub fn minify(
    files: &dyn Files,
    options: &Options,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Minified> {
    let system = System::new(files)?;
    let rules = Rules::new(&system, options)?;
    let mut analysis = Analysis::new(&system, options, &rules);
    match options.level {
        Level::Safe => analysis.keep_all_but_rules(),
        Level::Lean | Level::Bare => analysis.keep_what_is_needed(progress)?,
    }
    analysis.keep_directories();
    Ok(analysis.finish())
}

struct Analysis<'a, 'f> {
    system: &'a System<'f>,
    options: &'a Options,
    /// By id.
    dropped: Vec<Option<Rejected>>,
    kept: Vec<Option<Reason>>,
    /// What was added since the last round.
    fresh: Vec<Id>,
    /// Packages of which something is needed.
    packages: BTreeSet<PackageId>,
}

#[derive(Debug, Clone, Copy)]
enum Rejected {
    Rule(&'static Rule),
    /// Index of the user's pattern.
    User(usize),
}

impl<'a, 'f> Analysis<'a, 'f> {
    fn new(system: &'a System<'f>, options: &'a Options, rules: &Rules) -> Self {
        let reject = |id: Id| {
            let path = system.tree.path(id);
            if options.keep.iter().any(|glob| glob.matches(path)) {
                return None;
            }
            let user = options.drop.iter().position(|glob| glob.matches(path));
            user.map(Rejected::User).or_else(|| rules.drops(system, id).map(Rejected::Rule))
        };
        let dropped = (0..system.tree.len() as u32).into_par_iter().map(|id| reject(Id(id)));
        Self {
            system,
            options,
            dropped: dropped.collect(),
            kept: vec![None; system.tree.len()],
            fresh: Vec::new(),
            packages: BTreeSet::new(),
        }
    }

    fn keep_all_but_rules(&mut self) {
        for id in self.system.tree.ids() {
            if self.dropped[id.0 as usize].is_none()
                && self.system.tree.entry(id).kind != Kind::Directory
            {
                self.keep(id, Evidence::Level, None, "");
            }
        }
        // What a link that stays leads to stays with it.
        while !self.fresh.is_empty() {
            for id in std::mem::take(&mut self.fresh) {
                self.follow_link(id);
            }
        }
    }

    fn keep_what_is_needed(&mut self, progress: &(dyn Fn(u64) + Sync)) -> Result<()> {
        let system = self.system;
        for root in roots(system, self.options)? {
            self.keep(root.id, root.evidence, None, &root.detail);
        }
        while !self.fresh.is_empty() {
            let mut round = std::mem::take(&mut self.fresh);
            round.sort_by(|a, b| system.tree.path(*a).cmp(system.tree.path(*b)));
            let found = round
                .par_iter()
                .map(|id| {
                    let found = Scan::run(system, *id)?;
                    progress(system.tree.entry(*id).size());
                    Ok(found)
                })
                .collect::<Result<Vec<Vec<Found>>>>()?;
            for (id, found) in round.iter().zip(found) {
                self.follow_link(*id);
                let is_basic = self.evidence(*id) == Some(Evidence::Basic);
                for found in found {
                    // Nobody asked for what a basic command could do with others.
                    if !is_basic || found.evidence.is_certain() {
                        self.need(*id, found);
                    }
                }
            }
            for id in round {
                self.companions(id);
            }
        }
        Ok(())
    }

    /// Takes what a scanner found, with all links on the way.
    fn need(&mut self, from: Id, found: Found) {
        let system = self.system;
        let resolved = system.tree.resolve(&found.path);
        for link in resolved.links {
            let detail = String::from_utf8_lossy(&found.path);
            // A link is as certain as what it is followed for.
            let evidence =
                if found.evidence.is_certain() { Evidence::Link } else { found.evidence };
            self.keep(link, evidence, Some(from), &detail);
        }
        if let Some(end) = resolved.end
            && system.tree.entry(end).kind != Kind::Directory
        {
            self.keep(end, found.evidence, Some(from), &found.detail);
        } else if let Some(end) = resolved.end {
            self.keep_directory(end, found.evidence, Some(from), &found.detail);
        }
    }

    fn evidence(&self, id: Id) -> Option<Evidence> {
        self.kept[id.0 as usize].as_ref().map(|reason| reason.evidence)
    }

    fn follow_link(&mut self, id: Id) {
        let entry = self.system.tree.entry(id);
        if let Kind::Symlink(target) = &entry.kind {
            let detail = String::from_utf8_lossy(target).into_owned();
            let path = entry.path.clone();
            self.need(id, Found { path, evidence: Evidence::Link, detail });
        }
    }

    fn keep(&mut self, id: Id, evidence: Evidence, from: Option<Id>, detail: &str) {
        let index = id.0 as usize;
        let entry = self.system.tree.entry(id);
        if entry.kind == Kind::Directory {
            return self.keep_directory(id, evidence, from, detail);
        }
        let is_rejected = match self.dropped[index] {
            None => false,
            Some(Rejected::User(_)) => true,
            Some(Rejected::Rule(rule)) => rule.is_firm || !evidence.is_certain(),
        };
        if is_rejected || self.kept[index].is_some() {
            return;
        }
        self.kept[index] = Some(Reason { evidence, from, detail: detail.to_owned() });
        self.fresh.push(id);
    }

    fn keep_directory(&mut self, id: Id, evidence: Evidence, from: Option<Id>, detail: &str) {
        let kept = &mut self.kept[id.0 as usize];
        if kept.is_none() {
            *kept = Some(Reason { evidence, from, detail: detail.to_owned() });
        }
    }

    /// Configuration, state and licence of a package of which something is needed.
    fn companions(&mut self, id: Id) {
        let system = self.system;
        let Some(package) = system.packages.of(id) else { return };
        // A mere configuration file does not make its package needed.
        if self.evidence(id) == Some(Evidence::Companion) || !self.packages.insert(package) {
            return;
        }
        let package = system.packages.get(package);
        for file in &package.files {
            let path = system.tree.path(*file);
            if is_companion(path) && !self.is_replaced_by_unit(path) {
                let detail = format!("package {}", package.name);
                self.keep(*file, Evidence::Companion, Some(id), &detail);
            }
        }
    }

    /// Whether it is a script of System V that a unit of the same name stands for.
    fn is_replaced_by_unit(&self, path: &[u8]) -> bool {
        let Some(name) = path.strip_prefix(b"/etc/init.d/") else { return false };
        let has_systemd = self.system.tree.resolve(b"/usr/lib/systemd/systemd").end.is_some();
        has_systemd && self.system.unit(&[name, b".service"].concat(), false).is_some()
    }

    /// Directories of what stays, and empty ones outside of packages' places.
    fn keep_directories(&mut self) {
        let system = self.system;
        // Empty ones first: what they are in stays for them.
        for id in system.tree.ids() {
            let path = system.tree.path(id);
            if system.tree.entry(id).kind == Kind::Directory
                && system.tree.below(path).next().is_none()
                && !self.dropped_directory(path)
            {
                self.keep_directory(id, Evidence::Level, None, "an empty directory");
            }
        }
        let mut has_kept = vec![false; system.tree.len()];
        for id in system.tree.ids() {
            if self.kept[id.0 as usize].is_none() {
                continue;
            }
            let mut parent = parent_of(system.tree.path(id));
            while let Some(directory) = system.tree.at(parent) {
                if std::mem::replace(&mut has_kept[directory.0 as usize], true) {
                    break;
                }
                parent = parent_of(parent);
            }
        }
        for id in system.tree.ids() {
            let entry = system.tree.entry(id);
            if entry.kind != Kind::Directory || self.kept[id.0 as usize].is_some() {
                continue;
            }
            let depth = entry.path.iter().filter(|byte| **byte == b'/').count();
            let in_usr = entry.path.starts_with(b"/usr/") && depth > 2;
            let has_kept = has_kept[id.0 as usize];
            if has_kept || !in_usr && !self.dropped_directory(&entry.path) {
                let detail = match has_kept {
                    true => "something in it stays",
                    false => "a directory that programs may expect",
                };
                self.keep_directory(id, Evidence::Level, None, detail);
            }
        }
    }

    fn dropped_directory(&self, path: &[u8]) -> bool {
        self.options.drop.iter().any(|glob| glob.matches(path))
            && !self.options.keep.iter().any(|glob| glob.matches(path))
    }

    fn finish(self) -> Minified {
        let system = self.system;
        let mut entries = Vec::with_capacity(system.tree.len());
        let mut verdicts = Vec::with_capacity(system.tree.len());
        for id in system.tree.ids() {
            let index = id.0 as usize;
            let verdict = match (&self.kept[index], self.dropped[index]) {
                (Some(reason), _) => Verdict::Kept(reason.clone()),
                (None, Some(Rejected::Rule(rule))) => Verdict::Dropped(Drop::Rule(rule)),
                (None, Some(Rejected::User(index))) => {
                    Verdict::Dropped(Drop::User(self.options.drop[index].to_string()))
                }
                (None, None) => Verdict::Dropped(Drop::NotNeeded { back: self.back(id) }),
            };
            entries.push(system.tree.entry(id).clone());
            verdicts.push(verdict);
        }
        let packages = system.tree.ids().map(|id| system.packages.of(id)).collect();
        let names = system.packages.all().map(|(_, package)| package.name.clone()).collect();
        Minified::new(self.options.level, entries, verdicts, packages, names)
    }

    /// What would bring a file back that nothing needs.
    fn back(&self, id: Id) -> String {
        let system = self.system;
        let path = String::from_utf8_lossy(system.tree.path(id)).into_owned();
        let entry = system.tree.entry(id);
        if system.commands.get(entry.name()) == Some(&id) {
            return format!("--root {}", String::from_utf8_lossy(entry.name()));
        }
        if crate::evidence::systemd::is_unit_name(entry.name())
            && system.unit(entry.name(), false).is_some_and(|unit| unit == entry.path)
        {
            return format!("--root {}", String::from_utf8_lossy(entry.name()));
        }
        let Some(package) = system.packages.of(id) else { return format!("--keep {path}") };
        let package = system.packages.get(package);
        let command = package.files.iter().find(|file| {
            let entry = system.tree.entry(**file);
            self.kept[file.0 as usize].is_none() && system.commands.get(entry.name()) == Some(file)
        });
        match command {
            Some(command) => {
                let name = String::from_utf8_lossy(system.tree.entry(*command).name());
                format!(
                    "--root {name} (of its package {}) if that needs it, else --keep {path}",
                    package.name
                )
            }
            None => format!("--keep {path} (package {})", package.name),
        }
    }
}

/// What makes no sense without its package, and its package none without it.
fn is_companion(path: &[u8]) -> bool {
    const PLACES: &[&[u8]] = &[
        b"/etc/",
        b"/var/",
        b"/usr/lib/tmpfiles.d/",
        b"/usr/lib/sysusers.d/",
        b"/usr/lib/sysctl.d/",
        b"/usr/lib/binfmt.d/",
        b"/usr/lib/modprobe.d/",
        b"/usr/lib/modules-load.d/",
        b"/usr/lib/environment.d/",
        b"/usr/lib/udev/rules.d/",
        b"/usr/lib/udev/hwdb.d/",
        b"/usr/lib/systemd/network/",
        b"/usr/lib/systemd/system-preset/",
        b"/usr/lib/pam.d/",
        b"/usr/lib/NetworkManager/conf.d/",
        b"/usr/share/dbus-1/system.d/",
        b"/usr/share/dbus-1/session.d/",
        b"/usr/share/polkit-1/",
        b"/usr/share/common-licenses/",
        b"/lib/udev/rules.d/",
    ];
    let is_licence = path.starts_with(b"/usr/share/doc/") && path.ends_with(b"/copyright");
    is_licence || PLACES.iter().any(|place| path.starts_with(place))
}
