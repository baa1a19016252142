//! What is known of a system before any program is looked at: where its commands, libraries,
//! units, modules and services are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::evidence::iconv::{self, Charsets};
use crate::evidence::kernel::{self, Modules};
use crate::evidence::machine_of;
use crate::files::{name_of, parent_of};
use crate::glob::Glob;
use crate::packages::Packages;
use crate::tree::{Id, Tree};
use crate::{Files, Kind, Result};

/// A system, its contents not looked at.
pub(crate) struct System<'f> {
    pub(crate) tree: Tree<'f>,
    pub(crate) packages: Packages,
    /// Commands by name, the first of the usual path.
    pub(crate) commands: BTreeMap<Vec<u8>, Id>,
    /// Where the loader looks, in its order.
    pub(crate) library_directories: Vec<Vec<u8>>,
    /// Everything that has `.so` in its name, by name.
    libraries: HashMap<Vec<u8>, Vec<Id>>,
    /// Services of the bus by the name they own.
    pub(crate) bus_names: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    pub(crate) charsets: Charsets,
    pub(crate) modules: Modules,
    /// By path of the module.
    pub(crate) module_needs: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    /// Patterns of devices, and the module for each.
    pub(crate) module_aliases: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) python_path: Vec<Vec<u8>>,
    pub(crate) perl_path: Vec<Vec<u8>>,
}

impl<'f> System<'f> {
    pub(crate) fn new(files: &'f dyn Files) -> Result<Self> {
        let tree = Tree::new(files)?;
        let mut system = Self {
            packages: Packages::read(&tree)?,
            commands: BTreeMap::new(),
            library_directories: Vec::new(),
            libraries: HashMap::new(),
            bus_names: BTreeMap::new(),
            charsets: Charsets::new(),
            modules: kernel::modules(&tree),
            module_needs: BTreeMap::new(),
            module_aliases: Vec::new(),
            python_path: Vec::new(),
            perl_path: Vec::new(),
            tree,
        };
        system.find_commands();
        system.find_libraries()?;
        system.find_languages();
        system.read_lists()?;
        Ok(system)
    }

    /// The path of a command.
    pub(crate) fn command(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.commands.get(name).map(|id| self.tree.path(*id).to_vec())
    }

    /// Libraries of this name in a directory and in its variants for newer machines, of the
    /// same class and machine.
    pub(crate) fn libraries_in(
        &self,
        directory: &[u8],
        name: &[u8],
        machine: Option<(u8, [u8; 2])>,
    ) -> Vec<Id> {
        let direct = [directory, b"/", name].concat();
        let mut found: Vec<Id> = self.tree.named(&direct).into_iter().collect();
        if let Some(real) = self.tree.resolve(directory).end {
            let variants = [self.tree.path(real), b"/glibc-hwcaps"].concat();
            for id in self.tree.children(&variants) {
                found.extend(self.tree.at(&[self.tree.path(id), b"/", name].concat()));
            }
        }
        found.retain(|id| self.is_library_for(*id, machine));
        found
    }

    /// Libraries of this name, wherever they are.
    pub(crate) fn libraries_anywhere(
        &self,
        name: &[u8],
        machine: Option<(u8, [u8; 2])>,
    ) -> Vec<Id> {
        let found = self.libraries.get(name).into_iter().flatten().copied();
        found.filter(|id| self.is_library_for(*id, machine)).take(MAX_SAME_NAME).collect()
    }

    fn is_library_for(&self, id: Id, machine: Option<(u8, [u8; 2])>) -> bool {
        let Some(end) = self.tree.resolve(self.tree.path(id)).end else { return false };
        if !matches!(self.tree.entry(end).kind, Kind::File { .. }) {
            return false;
        }
        match machine {
            None => true,
            // What cannot be read is found out when it is scanned.
            Some(_) => self.tree.head(end, 20).map_or(true, |head| machine_of(&head) == machine),
        }
    }

    /// The file of a unit; that of the template, for an instance.
    pub(crate) fn unit(&self, name: &[u8], user: bool) -> Option<Vec<u8>> {
        let mut names = vec![name.to_vec()];
        if let (Some(at), Some(dot)) =
            (name.iter().position(|b| *b == b'@'), name.iter().rposition(|b| *b == b'.'))
            && at < dot
        {
            names.push([&name[..=at], &name[dot..]].concat());
        }
        let paths = names.iter().flat_map(|name| {
            self.unit_directories(user)
                .iter()
                .map(move |directory| [*directory, b"/", &name[..]].concat())
        });
        paths.into_iter().find(|path| self.tree.at(path).is_some())
    }

    /// Where units are, in the order in which they hide each other.
    pub(crate) fn unit_directories(&self, user: bool) -> &'static [&'static [u8]] {
        if user { USER_UNITS } else { SYSTEM_UNITS }
    }

    /// Whether a directory holds things of many packages, so that its name says nothing of what
    /// is wanted of it.
    pub(crate) fn is_shared_directory(&self, directory: &[u8]) -> bool {
        let depth = directory.iter().filter(|byte| **byte == b'/').count();
        depth < 3
            || directory.starts_with(b"/etc/")
            || SHARED.iter().any(|shared| {
                directory
                    .strip_prefix(*shared)
                    .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
            })
            || self.library_directories.iter().any(|known| known == directory)
            || self
                .python_path
                .iter()
                .any(|known| known == directory || parent_of(known) == directory)
            || self.perl_path.iter().any(|known| known == directory)
    }

    fn find_commands(&mut self) {
        for directory in COMMANDS {
            let Some(real) = self.tree.resolve(directory).end else { continue };
            for id in self.tree.children(self.tree.path(real)) {
                let end = self.tree.resolve(self.tree.path(id)).end;
                if end.is_some_and(|end| self.tree.entry(end).is_program()) {
                    self.commands.entry(self.tree.entry(id).name().to_vec()).or_insert(id);
                }
            }
        }
    }

    fn find_libraries(&mut self) -> Result<()> {
        for id in self.tree.ids() {
            let entry = self.tree.entry(id);
            if entry.kind != Kind::Directory && entry.name().windows(3).any(|part| part == b".so") {
                self.libraries.entry(entry.name().to_vec()).or_default().push(id);
            }
        }
        let mut directories = Vec::new();
        let mut read = BTreeSet::new();
        let mut waiting = vec![b"/etc/ld.so.conf".to_vec()];
        while let Some(path) = waiting.pop() {
            // Each file once, however they include each other.
            if !read.insert(path.clone()) || read.len() > MAX_INCLUDES {
                continue;
            }
            let Some(content) = self.tree.text(&path)? else { continue };
            for line in content.split(|byte| *byte == b'\n') {
                let line = line.split(|byte| *byte == b'#').next().unwrap_or(b"").trim_ascii();
                match line.strip_prefix(b"include ") {
                    Some(pattern) => waiting.extend(self.included(&path, pattern.trim_ascii())),
                    None if line.starts_with(b"/") => directories.push(line.to_vec()),
                    None => {}
                }
            }
        }
        for id in self.tree.children(b"/etc") {
            let path = self.tree.path(id);
            if path.starts_with(b"/etc/ld-musl-") && path.ends_with(b".path") {
                let content = self.tree.content(id)?;
                let lines = content.split(|byte| b"\n:".contains(byte));
                directories.extend(lines.filter(|line| line.starts_with(b"/")).map(<[u8]>::to_vec));
            }
        }
        for directory in [&b"/lib"[..], b"/usr/lib"] {
            let Some(real) = self.tree.resolve(directory).end else { continue };
            for id in self.tree.children(self.tree.path(real)) {
                if self.tree.entry(id).name().windows(10).any(|part| part == b"-linux-gnu") {
                    directories.push(self.tree.path(id).to_vec());
                }
            }
        }
        directories
            .extend([&b"/lib64"[..], b"/usr/lib64", b"/lib", b"/usr/lib"].map(<[u8]>::to_vec));
        self.library_directories = directories;
        Ok(())
    }

    /// Files that a line `include` names.
    fn included(&self, from: &[u8], pattern: &[u8]) -> Vec<Vec<u8>> {
        let pattern = match pattern.first() {
            Some(b'/') => pattern.to_vec(),
            _ => [parent_of(from), b"/", pattern].concat(),
        };
        let Ok(glob) = Glob::new(&String::from_utf8_lossy(&pattern)) else { return Vec::new() };
        let found = self.tree.children(parent_of(&pattern)).map(|id| self.tree.path(id));
        let mut found: Vec<_> =
            found.filter(|path| glob.matches(path)).map(<[u8]>::to_vec).collect();
        found.reverse();
        found
    }

    fn find_languages(&mut self) {
        for id in self.tree.ids() {
            if self.tree.entry(id).kind != Kind::Directory {
                continue;
            }
            let path = self.tree.path(id);
            let (name, above) = (name_of(path), name_of(parent_of(path)));
            let is_python = [&b"dist-packages"[..], b"site-packages"].contains(&name)
                || (name.starts_with(b"python3.") && above == b"lib")
                || (name == b"lib-dynload" && above.starts_with(b"python3"));
            if is_python {
                self.python_path.push(path.to_vec());
            }
            let is_perl = [&b"perl"[..], b"perl5"].contains(&above)
                || name == b"perl-base"
                || name == b"perl5"
                || path == b"/etc/perl";
            if is_perl && !path.starts_with(b"/usr/share/doc/") {
                self.perl_path.push(path.to_vec());
            }
        }
    }

    fn read_lists(&mut self) -> Result<()> {
        for id in self.tree.ids() {
            let path = self.tree.path(id);
            let (name, directory) = (name_of(path), parent_of(path));
            if name == b"gconv-modules"
                || (name.ends_with(b".conf") && directory.ends_with(b"/gconv-modules.d"))
            {
                let content = self.tree.content(id)?;
                let directory = directory.strip_suffix(b"/gconv-modules.d").unwrap_or(directory);
                iconv::read(&mut self.charsets, directory, &content);
            } else if directory.windows(13).any(|part| part == b"/lib/modules/") {
                match name {
                    b"modules.dep" => {
                        let content = self.tree.content(id)?;
                        kernel::read_needs(&mut self.module_needs, directory, &content);
                    }
                    b"modules.alias" => {
                        let content = self.tree.content(id)?;
                        self.module_aliases
                            .extend(content.split(|b| *b == b'\n').filter_map(alias));
                    }
                    _ => {}
                }
            } else if name.ends_with(b".service") && directory.windows(8).any(|p| p == b"/dbus-1/")
            {
                let content = self.tree.content(id)?;
                let owned =
                    content.split(|byte| *byte == b'\n').find_map(|l| l.strip_prefix(b"Name="));
                if let Some(owned) = owned {
                    let paths = self.bus_names.entry(owned.trim_ascii().to_vec()).or_default();
                    paths.push(self.tree.path(id).to_vec());
                }
            }
        }
        Ok(())
    }
}

/// A line of `modules.alias`: the pattern, and the module.
fn alias(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut words = line.strip_prefix(b"alias ")?.split(|byte| *byte == b' ');
    Some((words.next()?.to_vec(), kernel::normal(words.next()?)))
}

const COMMANDS: &[&[u8]] =
    &[b"/usr/local/sbin", b"/usr/local/bin", b"/usr/sbin", b"/usr/bin", b"/sbin", b"/bin"];
const SYSTEM_UNITS: &[&[u8]] = &[
    b"/etc/systemd/system",
    b"/usr/local/lib/systemd/system",
    b"/usr/lib/systemd/system",
    b"/lib/systemd/system",
];
const USER_UNITS: &[&[u8]] = &[b"/etc/systemd/user", b"/usr/lib/systemd/user"];
/// Directories that many packages share, with all below them.
const SHARED: &[&[u8]] = &[
    b"/usr/lib/systemd",
    b"/usr/share/doc",
    b"/usr/share/man",
    b"/usr/share/info",
    b"/usr/share/locale",
    b"/usr/share/bash-completion",
    b"/usr/lib/modules",
    b"/usr/lib/firmware",
    b"/usr/share/dbus-1",
    b"/usr/local",
    b"/usr/share/icons",
    b"/usr/share/applications",
    b"/usr/lib/udev",
    b"/usr/share/i18n",
    b"/var/lib",
    b"/var/cache",
    b"/var/log",
    b"/var/spool",
    b"/usr/share/polkit-1",
    b"/usr/lib/tmpfiles.d",
    b"/usr/lib/sysusers.d",
    b"/usr/lib/pam.d",
];
const MAX_SAME_NAME: usize = 64;
const MAX_INCLUDES: usize = 1000;
