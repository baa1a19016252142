//! Why one file needs another: one module for each kind of evidence.
//!
//! A scanner looks at one file that is needed and says what else is. It gets the content of
//! that file and the system without contents, writes nothing, and does not know who called it;
//! so all files of one round are scanned at once.

mod dbus;
mod elf;
pub(crate) mod iconv;
pub(crate) mod kernel;
mod names;
mod pam;
mod perl;
pub(crate) mod python;
mod script;
mod strings;
pub(crate) mod systemd;
mod udev;

pub(crate) use self::elf::machine_of;

use crate::Result;
use crate::files::name_of;
use crate::system::System;
use crate::tree::Id;

/// A kind of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// It was asked for, or is what the system starts with.
    Root,
    /// A command on which every program may rely; what it only mentions is not wanted of it.
    Basic,
    /// A pattern of the user keeps it.
    Keep,
    /// The level keeps everything that no rule drops.
    Level,
    /// The loader of a program.
    Interpreter,
    /// A library that a program is linked with (`DT_NEEDED`).
    Library,
    /// A library that a program names, and may load (`dlopen`).
    LibraryName,
    /// What a symlink leads to, or a symlink on the way.
    Link,
    /// The first line of a script.
    Shebang,
    /// A word of a script that is a command.
    Word,
    /// An import of a Python module.
    PythonImport,
    /// A module that a Perl program uses.
    PerlUse,
    /// A unit of systemd that another one, a rule or a link starts.
    Unit,
    /// What a unit executes.
    Execute,
    /// A rule of udev and its helpers.
    UdevRule,
    /// A service that the bus starts when somebody asks for its name.
    BusName,
    /// A module of NSS.
    NameService,
    /// A module of PAM.
    Pam,
    /// A conversion of character sets.
    Charset,
    /// A kernel module that another one needs.
    KernelModule,
    /// Firmware that a kernel module asks for.
    Firmware,
    /// A path that occurs in a file.
    Mention,
    /// What is in a directory that occurs in a file of the same package.
    MentionedDirectory,
    /// Configuration and data that belong to a package of which a program is needed.
    Companion,
}

impl Evidence {
    /// Its word, in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Basic => "basic",
            Self::Keep => "keep",
            Self::Level => "level",
            Self::Interpreter => "interpreter",
            Self::Library => "library",
            Self::LibraryName => "library-name",
            Self::Link => "link",
            Self::Shebang => "shebang",
            Self::Word => "word",
            Self::PythonImport => "python-import",
            Self::PerlUse => "perl-use",
            Self::Unit => "unit",
            Self::Execute => "execute",
            Self::UdevRule => "udev-rule",
            Self::BusName => "bus-name",
            Self::NameService => "name-service",
            Self::Pam => "pam",
            Self::Charset => "charset",
            Self::KernelModule => "kernel-module",
            Self::Firmware => "firmware",
            Self::Mention => "mention",
            Self::MentionedDirectory => "mentioned-directory",
            Self::Companion => "companion",
        }
    }

    /// Whether whoever is kept cannot do without it. What is less certain yields to the rules
    /// of the level.
    pub(crate) fn is_certain(self) -> bool {
        !matches!(
            self,
            Self::LibraryName
                | Self::Word
                | Self::BusName
                | Self::Mention
                | Self::MentionedDirectory
                | Self::Companion
                | Self::Level
        )
    }
}

/// What a scanner found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// An absolute path, links not followed yet.
    pub(crate) path: Vec<u8>,
    pub(crate) evidence: Evidence,
    /// The words that say it, as they are in the file; may be empty.
    pub(crate) detail: String,
}

/// One file that is scanned.
pub(crate) struct Scan<'a> {
    pub(crate) system: &'a System<'a>,
    pub(crate) id: Id,
    pub(crate) path: &'a [u8],
    pub(crate) content: &'a [u8],
    pub(crate) found: Vec<Found>,
}

impl<'a> Scan<'a> {
    /// Scans one file with all that applies to it.
    pub(crate) fn run(system: &'a System<'a>, id: Id) -> Result<Vec<Found>> {
        let path = system.tree.path(id);
        if !is_looked_at(path) {
            return Ok(Vec::new());
        }
        let content =
            if system.tree.entry(id).size() > 0 { system.tree.content(id)? } else { Vec::new() };
        let mut scan = Scan { system, id, path, content: &content, found: Vec::new() };
        if kernel::is_module(path) {
            kernel::module(&mut scan);
        } else if content.starts_with(b"\x7fELF") {
            let linked = elf::scan(&mut scan);
            strings::program(&mut scan, &linked);
        } else {
            scan.text();
        }
        Ok(scan.found)
    }

    fn text(&mut self) {
        let shell = script::shebang(self);
        let name = name_of(self.path);
        if systemd::is_unit(self.path) {
            return systemd::unit(self);
        }
        if udev::is_rules(self.path) {
            return udev::rules(self);
        }
        if pam::is_configuration(self.path) {
            return pam::configuration(self);
        }
        if dbus::is_service(self.path) {
            return dbus::service(self);
        }
        if self.path == b"/etc/nsswitch.conf" {
            return names::switch(self);
        }
        if kernel::is_list(self.path) {
            return kernel::list(self);
        }
        if shell == Some(script::Language::Python) || name.ends_with(b".py") {
            python::module(self);
        }
        if shell == Some(script::Language::Perl) || perl::is_module(name) {
            perl::module(self);
        }
        if shell == Some(script::Language::Shell) || script::is_sourced(self.path) {
            let content = self.content;
            script::words(self, content);
        }
        strings::text(self);
    }

    /// Something is needed.
    pub(crate) fn want(&mut self, path: Vec<u8>, evidence: Evidence, detail: impl AsRef<[u8]>) {
        let detail = String::from_utf8_lossy(detail.as_ref());
        let detail = detail.chars().filter(|c| !c.is_control()).take(MAX_DETAIL).collect();
        self.found.push(Found { path, evidence, detail });
    }

    /// A command is needed, by its name or path.
    pub(crate) fn want_command(&mut self, word: &[u8], evidence: Evidence) {
        if word.starts_with(b"/") {
            self.want(word.to_vec(), evidence, word);
        } else if let Some(path) = self.system.command(word) {
            self.want(path, evidence, word);
        }
    }
}

/// Whether a file can name others. Images of kernels and of file systems hold programs of their
/// own, and lists of all packages, pages and words hold every name there is.
fn is_looked_at(path: &[u8]) -> bool {
    const NEVER: &[&[u8]] = &[
        b"/boot/",
        b"/var/lib/dpkg/",
        b"/var/lib/apt/",
        b"/var/cache/",
        b"/var/log/",
        b"/usr/share/doc/",
        b"/usr/share/man/",
        b"/usr/share/info/",
        b"/usr/share/locale/",
        b"/usr/share/zoneinfo/",
        b"/usr/share/bash-completion/",
        b"/usr/share/ca-certificates/",
        b"/usr/lib/locale/",
        b"/usr/lib/udev/hwdb",
        b"/etc/ssl/certs/",
        // What these name is allowed or configured if it is there, and not wanted.
        b"/etc/apparmor.d/",
        b"/etc/login.defs",
        b"/usr/share/polkit-1/actions/",
        b"/usr/share/dbus-1/system.d/",
        b"/usr/lib/systemd/system-preset/",
    ];
    // How an interpreter was built, with every tool and library of that day.
    let name = name_of(path);
    let is_of_build = [&b"Config_heavy.pl"[..], b"Config_git.pl"].contains(&name)
        || name.starts_with(b"_sysconfigdata");
    let is_never = NEVER.iter().any(|prefix| path.starts_with(prefix));
    !is_never && !is_of_build && !path.ends_with(b".pyc")
}

const MAX_DETAIL: usize = 200;
