//! What a system starts with, and what must work.

use crate::evidence::{Evidence, python, systemd};
use crate::files::name_of;
use crate::options::no_such_root;
use crate::system::System;
use crate::tree::Id;
use crate::{Kind, Level, Options, Result};

/// Something that stays because the system is for it.
pub(crate) struct Root {
    pub(crate) id: Id,
    pub(crate) evidence: Evidence,
    pub(crate) detail: String,
}

/// All roots, in an order that depends only on the system.
pub(crate) fn roots(system: &System<'_>, options: &Options) -> Result<Vec<Root>> {
    let mut roots = Roots { system, roots: Vec::new() };
    for name in &options.roots {
        roots.named(name)?;
    }
    roots.kept(options);
    roots.start();
    roots.boot(options);
    if roots.roots.is_empty() {
        return Err(crate::MinifyError::NoRoots);
    }
    roots.own();
    roots.locales();
    if options.level < Level::Bare {
        roots.basic();
    }
    Ok(roots.roots)
}

struct Roots<'a, 'f> {
    system: &'a System<'f>,
    roots: Vec<Root>,
}

impl Roots<'_, '_> {
    fn add(&mut self, id: Id, detail: impl Into<String>) {
        self.roots.push(Root { id, evidence: Evidence::Root, detail: detail.into() });
    }

    fn path(&mut self, path: &[u8], detail: &str) {
        if let Some(id) = self.system.tree.named(path) {
            self.add(id, detail);
            self.links(path);
        }
    }

    /// The links on the way to a path: whoever uses the path goes over them.
    fn links(&mut self, path: &[u8]) {
        for link in self.system.tree.resolve(path).links {
            self.add(link, format!("on the way to {}", String::from_utf8_lossy(path)));
        }
    }

    /// A command, a unit or a path that the user names.
    fn named(&mut self, name: &str) -> Result<()> {
        let system = self.system;
        let bytes = name.as_bytes();
        let path = if name.starts_with('/') {
            Some(bytes.strip_suffix(b"/").unwrap_or(bytes).to_vec())
        } else if let Some(command) = system.command(bytes) {
            Some(command)
        } else if systemd::is_unit_name(bytes) {
            system.unit(bytes, false)
        } else {
            None
        };
        let id =
            path.and_then(|path| system.tree.named(&path)).ok_or_else(|| no_such_root(name))?;
        self.add(id, "asked for");
        if name.starts_with('/') {
            self.links(bytes);
        }
        if system.tree.entry(id).kind == Kind::Directory {
            for below in system.tree.below(system.tree.path(id)) {
                self.add(below, format!("below {name}"));
            }
        }
        // Who asks for an interpreter means its library too.
        let end = system.tree.resolve(system.tree.path(id)).end;
        let end = end.map(|end| system.tree.path(end));
        let libraries = match end {
            Some(end) if python::is_interpreter(end) => &system.python_path,
            Some(end) if name_of(end).starts_with(b"perl") => &system.perl_path,
            _ => return Ok(()),
        };
        for directory in libraries {
            for id in system.tree.below(directory) {
                let evidence = Evidence::Companion;
                let detail = format!("the library of {name}, which was asked for");
                self.roots.push(Root { id, evidence, detail });
            }
        }
        Ok(())
    }

    fn kept(&mut self, options: &Options) {
        let system = self.system;
        for id in system.tree.ids() {
            if let Some(glob) = options.keep.iter().find(|glob| glob.matches(system.tree.path(id)))
            {
                let detail = glob.to_string();
                self.roots.push(Root { id, evidence: Evidence::Keep, detail });
            }
        }
    }

    /// What the kernel executes.
    fn start(&mut self) {
        for path in [&b"/sbin/init"[..], b"/etc/init", b"/bin/init", b"/init", b"/linuxrc"] {
            self.path(path, "the first process");
        }
        for path in [&b"/bin/sh"[..], b"/sbin/modprobe", b"/etc/inittab"] {
            if !self.roots.is_empty() {
                self.path(path, "used by the kernel or the first process");
            }
        }
    }

    /// Kernel, modules and what finds them.
    fn boot(&mut self, options: &Options) {
        let system = self.system;
        for id in system.tree.ids() {
            let entry = system.tree.entry(id);
            let path = &entry.path[..];
            if entry.kind == Kind::Directory {
                continue;
            }
            let rest = path.strip_prefix(b"/usr").unwrap_or(path);
            if path.starts_with(b"/boot/") || path == b"/vmlinuz" || path == b"/initrd.img" {
                self.add(id, "a boot file");
            } else if let Some(rest) = rest.strip_prefix(b"/lib/modules/") {
                let depth = rest.iter().filter(|byte| **byte == b'/').count();
                // Which modules stay says the rule for them.
                let evidence = match options.hardware.is_some() && depth > 1 {
                    true => Evidence::Companion,
                    false => Evidence::Root,
                };
                let detail = match (depth, &options.hardware) {
                    (..=1, _) => "an index of kernel modules",
                    (_, Some(_)) => "in the list of hardware",
                    (_, None) => "a kernel module, and there is no list of hardware",
                };
                self.roots.push(Root { id, evidence, detail: detail.to_owned() });
            }
        }
    }

    /// Locales of libc: programs get them by their names. Which ones stay says the rule for them.
    fn locales(&mut self) {
        for id in self.system.tree.below(b"/usr/lib/locale") {
            let (evidence, detail) = (Evidence::Companion, "a locale that programs may ask for");
            self.roots.push(Root { id, evidence, detail: detail.to_owned() });
        }
    }

    /// What no package brought: the user's own, wherever users put things.
    fn own(&mut self) {
        let system = self.system;
        let init_is_systemd = system.tree.resolve(b"/sbin/init").end;
        let init_is_systemd =
            init_is_systemd.is_some_and(|id| name_of(system.tree.path(id)) == b"systemd");
        for id in system.tree.ids() {
            let entry = system.tree.entry(id);
            if entry.kind == Kind::Directory || system.packages.of(id).is_some() {
                continue;
            }
            if !is_users_place(&entry.path) {
                continue;
            }
            if let Some(link) = runlevel_link(&entry.path) {
                // With systemd, a script whose name a unit has is never called.
                let unit = [link, b".service"].concat();
                if link.is_empty() || (init_is_systemd && system.unit(&unit, false).is_some()) {
                    continue;
                }
                self.add(id, "started at boot");
            } else {
                self.add(
                    id,
                    match system.packages.is_empty() {
                        true => "configuration and the user's own",
                        false => "no package brought it, so it is the user's own",
                    },
                );
            }
        }
    }

    /// Shells of the users, and the commands that everybody relies on.
    fn basic(&mut self) {
        let system = self.system;
        if let Ok(Some(passwd)) = system.tree.text(b"/etc/passwd") {
            for line in passwd.split(|byte| *byte == b'\n') {
                let shell = line.rsplit(|byte| *byte == b':').next().unwrap_or(b"");
                if shell.starts_with(b"/")
                    && !shell.ends_with(b"nologin")
                    && !shell.ends_with(b"false")
                {
                    self.path(shell, "the shell of a user");
                }
            }
        }
        if system.packages.is_empty() {
            let commands: Vec<Id> = system.commands.values().copied().collect();
            for id in commands {
                self.add(id, "a command, and there is no package database to tell more");
            }
            return;
        }
        for (_, package) in system.packages.all().filter(|(_, package)| package.is_essential) {
            // Packages are not managed on the device.
            if ["dpkg", "perl-base", "init-system-helpers", "debianutils"]
                .contains(&package.name.as_str())
            {
                continue;
            }
            for id in &package.files {
                let path = system.tree.path(*id);
                let is_command = system.commands.get(name_of(path)) == Some(id);
                let has_none = !package.files.iter().any(|id| system.tree.entry(*id).is_program());
                if is_command || has_none || path.starts_with(b"/etc/") {
                    let detail =
                        format!("package {}, on which every program may rely", package.name);
                    self.roots.push(Root { id: *id, evidence: Evidence::Basic, detail });
                }
            }
        }
    }
}

/// The name in `/etc/rc2.d/S01name`; empty for a link that only stops something.
fn runlevel_link(path: &[u8]) -> Option<&[u8]> {
    let rest = path.strip_prefix(b"/etc/rc")?;
    let (level, name) = rest.split_at_checked(4)?;
    if !level.ends_with(b".d/") {
        return None;
    }
    match name.strip_prefix(b"S") {
        Some(name) => Some(&name[name.iter().take_while(|byte| byte.is_ascii_digit()).count()..]),
        None => Some(b""),
    }
}

fn is_users_place(path: &[u8]) -> bool {
    const PLACES: &[&[u8]] =
        &[b"/etc/", b"/opt/", b"/srv/", b"/home/", b"/root/", b"/usr/local/", b"/var/"];
    // Links that say what is enabled or chosen: they count when somebody comes by.
    const NOT: &[&[u8]] = &[
        b"/etc/alternatives/",
        b"/etc/systemd/system/",
        b"/etc/systemd/user/",
        b"/var/lib/dpkg/",
        b"/var/lib/apt/",
        b"/var/cache/",
        b"/var/log/",
        b"/var/lib/systemd/deb-systemd-",
        b"/etc/ssl/private/",
    ];
    const STANDARD: &[&[u8]] = &[
        b"/bin", b"/boot", b"/dev", b"/etc", b"/home", b"/lib", b"/lib32", b"/lib64", b"/libx32",
        b"/media", b"/mnt", b"/opt", b"/proc", b"/root", b"/run", b"/sbin", b"/srv", b"/sys",
        b"/tmp", b"/usr", b"/var",
    ];
    if NOT.iter().any(|place| path.starts_with(place)) {
        return false;
    }
    let top = path[1..].iter().position(|byte| *byte == b'/').map_or(path, |len| &path[..len + 1]);
    PLACES.iter().any(|place| path.starts_with(place)) || !STANDARD.contains(&top)
}
