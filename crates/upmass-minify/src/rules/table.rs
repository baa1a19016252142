//! The rules themselves.

use super::Rule;
use crate::Level::{Bare, Lean, Safe};

/// What of a rule's files stays after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spares {
    Nothing,
    /// Translations into languages that are wanted.
    Languages,
    TimeZones,
    Terminals,
    /// Kernel modules that drive what is there.
    Hardware,
    /// The hardware database where nobody said what hardware there is.
    HwdbWithoutHardware,
    /// Sources of a hardware database that was never built.
    HwdbSources,
    /// Boot files that are used, and links to them.
    Boot,
    /// Byte code that Python would use.
    ByteCodeInUse,
    /// What kmod has in a form of its own, where another program loads modules.
    WithoutKmod,
}

const RULE: Rule = Rule {
    name: "",
    level: Safe,
    what: "",
    back: "",
    patterns: &[],
    except: &[],
    unless_command: &[],
    spares: Spares::Nothing,
    is_firm: false,
};

/// Commands without which nobody reads headers and archives of objects.
const COMPILERS: &[&str] = &["ld", "gcc", "cc", "clang", "tcc", "rustc", "go", "g++", "c++"];

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "man-pages",
        what: "a manual page",
        patterns: &["/usr/share/man", "/usr/local/share/man", "/usr/X11R6/man"],
        ..RULE
    },
    Rule { name: "info", what: "an Info manual", patterns: &["/usr/share/info"], ..RULE },
    Rule {
        name: "documentation",
        what: "documentation",
        patterns: &[
            "/usr/share/doc/*/**",
            "/usr/local/share/doc/*/**",
            "/usr/share/doc-base",
            "/usr/share/gtk-doc",
            "/usr/share/lintian",
            "/usr/share/linda",
        ],
        except: &[
            "/usr/share/doc/*/copyright",
            "/usr/share/doc/*/LICENSE*",
            "/usr/share/doc/*/COPYING*",
        ],
        ..RULE
    },
    Rule {
        name: "static-libraries",
        what: "a library for a linker that is not there",
        patterns: &["/lib/**/*.a", "/usr/lib/**/*.a", "/usr/lib/**/*.la", "/usr/local/lib/**/*.a"],
        unless_command: COMPILERS,
        ..RULE
    },
    Rule {
        name: "headers",
        what: "a file for a compiler that is not there",
        patterns: &[
            "/usr/include",
            "/usr/local/include",
            "/usr/lib/**/pkgconfig",
            "/usr/share/pkgconfig",
            "/usr/share/aclocal",
            "/usr/lib/**/cmake",
            // Perl's own.
            "/usr/lib/**/CORE/*.h",
        ],
        unless_command: COMPILERS,
        ..RULE
    },
    Rule {
        name: "package-caches",
        what: "a cache of a package manager",
        patterns: &[
            "/var/cache/apt/**",
            "/var/lib/apt/lists/**",
            "/var/cache/debconf/*-old",
            "/var/lib/dpkg/*-old",
            "/var/cache/apk/**",
            "/var/cache/dnf/**",
            "/var/cache/yum/**",
            "/var/cache/pacman/**",
            "/var/backups/**",
        ],
        ..RULE
    },
    Rule {
        name: "caches",
        what: "a cache that is made again, or a log of the installation",
        patterns: &[
            "/var/cache/man/**",
            "/var/cache/ldconfig/aux-cache",
            "/var/log/apt/**",
            "/var/log/dpkg.log*",
            "/var/log/bootstrap.log",
            "/var/log/alternatives.log*",
            "/tmp/**",
            "/var/tmp/**",
        ],
        ..RULE
    },
    Rule {
        name: "boot-files",
        // Only where somebody says what boots.
        level: Bare,
        what: "a boot file that is not among those that are used",
        back: "--boot PATH",
        patterns: &["/boot", "/vmlinuz*", "/initrd.img*"],
        spares: Spares::Boot,
        is_firm: true,
        ..RULE
    },
    Rule {
        name: "translations",
        level: Lean,
        what: "a translation into a language that is not wanted",
        back: "--locale LANGUAGE",
        patterns: &[
            "/usr/share/locale/*/**",
            "/usr/lib/locale/*/**",
            "/usr/share/locale-langpack/**",
        ],
        spares: Spares::Languages,
        ..RULE
    },
    Rule {
        name: "locale-sources",
        level: Lean,
        what: "a source that only localedef reads",
        back: "--root localedef",
        patterns: &["/usr/share/i18n"],
        unless_command: &["localedef", "locale-gen"],
        ..RULE
    },
    Rule {
        name: "time-zones",
        level: Lean,
        what: "a time zone that is not wanted",
        back: "--time-zone ZONE",
        patterns: &["/usr/share/zoneinfo"],
        spares: Spares::TimeZones,
        ..RULE
    },
    Rule {
        name: "terminals",
        level: Lean,
        what: "a terminal that is not wanted",
        back: "--terminal NAME",
        patterns: &["/usr/share/terminfo", "/usr/lib/terminfo", "/lib/terminfo", "/etc/terminfo"],
        spares: Spares::Terminals,
        ..RULE
    },
    Rule {
        name: "charsets",
        level: Lean,
        what: "a character set that no program names",
        patterns: &[
            "/usr/lib/**/gconv/*.so",
            "/lib/**/gconv/*.so",
            "/usr/lib/**/perl*/*/auto/Encode/CN",
            "/usr/lib/**/perl*/*/auto/Encode/JP",
            "/usr/lib/**/perl*/*/auto/Encode/KR",
            "/usr/lib/**/perl*/*/auto/Encode/TW",
            "/usr/lib/python3*/lib-dynload/_codecs_*.so",
        ],
        ..RULE
    },
    Rule {
        name: "kernel-modules",
        level: Lean,
        what: "a kernel module that the listed hardware does not need",
        back: "its name in the list of --hardware",
        patterns: &[
            "/usr/lib/modules/*/kernel",
            "/lib/modules/*/kernel",
            "/usr/lib/modules/*/updates",
        ],
        spares: Spares::Hardware,
        ..RULE
    },
    Rule {
        name: "module-lists",
        level: Lean,
        what: "a list of kernel modules that only depmod and people read",
        patterns: &[
            "/usr/lib/modules/*/modules.symbols",
            "/usr/lib/modules/*/modules.order",
            "/lib/modules/*/modules.symbols",
            "/lib/modules/*/modules.order",
        ],
        spares: Spares::WithoutKmod,
        is_firm: true,
        ..RULE
    },
    Rule {
        name: "firmware",
        level: Lean,
        what: "firmware that no kept kernel module asks for",
        patterns: &["/usr/lib/firmware", "/lib/firmware"],
        ..RULE
    },
    Rule {
        name: "hardware-database-sources",
        level: Lean,
        what: "a source of /usr/lib/udev/hwdb.bin, which is there",
        patterns: &["/usr/lib/udev/hwdb.d", "/lib/udev/hwdb.d"],
        spares: Spares::HwdbSources,
        ..RULE
    },
    Rule {
        name: "hardware-database",
        level: Lean,
        what: "names and quirks of all hardware, where a list says what there is",
        patterns: &["/usr/lib/udev/hwdb.bin", "/usr/share/hwdata", "/usr/share/misc/*.ids"],
        spares: Spares::HwdbWithoutHardware,
        ..RULE
    },
    Rule {
        name: "completions",
        level: Lean,
        what: "completion of commands in a shell",
        patterns: &[
            "/usr/share/bash-completion",
            "/etc/bash_completion.d",
            "/usr/share/zsh",
            "/usr/share/fish",
        ],
        ..RULE
    },
    Rule {
        name: "package-manager",
        level: Lean,
        what: "a package manager's own, and this system gets its changes as updates",
        back: "--root apt or --root dpkg",
        patterns: &[
            "/var/lib/dpkg",
            "/var/lib/apt",
            "/etc/apt",
            "/etc/dpkg",
            "/var/cache/debconf",
            "/var/lib/ucf",
            "/usr/share/debconf",
            "/usr/lib/systemd/system/apt-daily*",
            "/usr/lib/systemd/system/dpkg-db-backup*",
            "/etc/systemd/system/timers.target.wants/apt-daily*",
            "/etc/systemd/system/timers.target.wants/dpkg-db-backup*",
            "/etc/kernel",
            "/etc/initramfs-tools",
            "/usr/share/initramfs-tools",
        ],
        unless_command: &["apt", "apt-get", "dpkg"],
        is_firm: true,
        ..RULE
    },
    Rule {
        name: "manual-index",
        level: Lean,
        what: "what keeps an index of manual pages, and these are gone",
        back: "--root man",
        patterns: &[
            "/usr/lib/systemd/system/man-db*",
            "/etc/systemd/system/timers.target.wants/man-db*",
            "/etc/cron.*/man-db",
        ],
        unless_command: &["man"],
        is_firm: true,
        ..RULE
    },
    Rule {
        name: "python-workshop",
        level: Lean,
        what: "a part of Python for those who write programs: its tests, editor, installer and texts of help",
        patterns: &[
            "/usr/lib/python3*/test",
            "/usr/lib/python3*/idlelib",
            "/usr/lib/python3*/lib2to3",
            "/usr/lib/python3*/ensurepip",
            "/usr/lib/python3*/turtledemo",
            "/usr/lib/python3*/turtle.py",
            "/usr/lib/python3*/pydoc_data",
            "/usr/lib/python3*/config-*",
        ],
        except: &["/usr/lib/python3*/config-*/Makefile"],
        ..RULE
    },
    Rule {
        name: "perl-workshop",
        level: Lean,
        what: "a part of Perl for those who write programs: its tests, debugger, installers and texts of help",
        patterns: &[
            "/usr/share/perl/*/CPAN",
            "/usr/share/perl/*/CPAN.pm",
            "/usr/share/perl/*/App/Cpan.pm",
            "/usr/share/perl/*/App/Prove",
            "/usr/share/perl/*/App/Prove.pm",
            "/usr/share/perl/*/ExtUtils",
            "/usr/share/perl/*/Module/CoreList",
            "/usr/share/perl/*/Module/CoreList.pm",
            "/usr/share/perl/*/TAP",
            "/usr/share/perl/*/Test",
            "/usr/share/perl/*/Test.pm",
            "/usr/share/perl/*/Test2",
            "/usr/share/perl/*/Test2.pm",
            "/usr/share/perl/*/perl5db.pl",
            "/usr/share/perl/*/pod",
            "/usr/share/perl/*/**/*.pod",
            "/usr/share/perl/*/Unicode/Collate/*keys.txt",
            "/usr/lib/**/perl/*/Devel/PPPort.pm",
            "/usr/lib/**/perl/*/**/*.pod",
            "/usr/lib/**/perl/*/*.pod",
        ],
        ..RULE
    },
    Rule {
        name: "byte-code",
        level: Bare,
        what: "byte code that Python makes again when it needs it",
        patterns: &["/**/__pycache__", "/**/*.pyc"],
        spares: Spares::ByteCodeInUse,
        ..RULE
    },
    Rule {
        name: "licences",
        level: Bare,
        what: "the text of a licence",
        patterns: &["/usr/share/doc", "/usr/share/common-licenses", "/usr/share/licenses"],
        ..RULE
    },
];
