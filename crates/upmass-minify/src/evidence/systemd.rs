//! Units of systemd: what they start, execute and read.

use super::{Evidence, Scan, script, strings};
use crate::Kind;
use crate::files::name_of;

/// Whether a file is a unit or adds to one.
pub(super) fn is_unit(path: &[u8]) -> bool {
    let name = name_of(path);
    let suffix = UNIT_SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    let adds = name.ends_with(b".conf") && path.windows(3).any(|window| window == b".d/");
    (suffix || adds) && path.windows(9).any(|window| window == b"/systemd/")
}

/// Whether a text is the name of a unit.
pub(crate) fn is_unit_name(name: &[u8]) -> bool {
    !name.contains(&b'/') && UNIT_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// Follows what a unit starts and what it executes.
pub(super) fn unit(scan: &mut Scan<'_>) {
    let name = name_of(scan.path).to_vec();
    let user = scan.path.windows(14).any(|window| window == b"/systemd/user/");
    beside(scan, &name, user);
    for (from, to) in ACTIVATED {
        if let Some(stem) = name.strip_suffix(*from) {
            wants(scan, &[stem, *to].concat(), user);
            let template = [stem.strip_suffix(b"@").unwrap_or(stem), b"@", *to].concat();
            wants(scan, &template, user);
        }
    }
    for (key, value) in assignments(scan.content) {
        let (key, value) = (&key[..], &value[..]);
        if STARTS.contains(&key) {
            for name in value.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty()) {
                wants(scan, name, user);
            }
        } else if key.starts_with(b"Exec") {
            execute(scan, value);
        } else if key == b"PAMName" {
            scan.want([b"/etc/pam.d/", value].concat(), Evidence::Pam, value);
        } else if READS.contains(&key) {
            strings::paths(scan, value);
        }
    }
}

/// A unit by its name, with all that is configured for it.
pub(super) fn wants(scan: &mut Scan<'_>, name: &[u8], user: bool) {
    if let Some(path) = scan.system.unit(name, user) {
        scan.want(path, Evidence::Unit, name);
    }
    // What is enabled for an instance, or for a unit that another file provides.
    beside(scan, name, user);
}

/// `name.wants/`, `name.requires/` and `name.d/`, and those of the template and the type.
fn beside(scan: &mut Scan<'_>, name: &[u8], user: bool) {
    let mut names = vec![name.to_vec()];
    if let (Some(at), Some(dot)) =
        (name.iter().position(|b| *b == b'@'), name.iter().rposition(|b| *b == b'.'))
        && at < dot
    {
        names.push([&name[..=at], &name[dot..]].concat());
    }
    if let Some(dot) = name.iter().rposition(|byte| *byte == b'.') {
        names.push(name[dot + 1..].to_vec());
    }
    let system = scan.system;
    for directory in system.unit_directories(user) {
        for name in &names {
            for suffix in [&b".wants"[..], b".requires", b".upholds", b".d"] {
                let directory = [&directory[..], b"/", name, suffix].concat();
                for id in system.tree.children(&directory) {
                    let path = system.tree.path(id).to_vec();
                    scan.want(path, Evidence::Unit, name_of(&directory));
                }
            }
        }
    }
}

/// A command line: the program, the paths among its arguments, and the words of shell code.
pub(super) fn execute(scan: &mut Scan<'_>, line: &[u8]) {
    let line = line.trim_ascii();
    let prefix = line.iter().take_while(|byte| b"@-:+!|".contains(byte)).count();
    let line = &line[prefix..];
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (command, arguments) = line.split_at(end);
    let command =
        command.strip_prefix(b"\"").and_then(|c| c.strip_suffix(b"\"")).unwrap_or(command);
    scan.want_command(command, Evidence::Execute);
    strings::paths(scan, arguments);
    if [&b"sh"[..], b"bash", b"dash"].contains(&name_of(command)) {
        script::words(scan, &unquoted(arguments));
    } else {
        // `env`, `nice`, `systemd-run` and others execute what they are given.
        for word in arguments.split(u8::is_ascii_whitespace).filter(|word| word.len() > 2).take(64)
        {
            if scan.system.commands.contains_key(word) {
                scan.want_command(word, Evidence::Word);
            }
        }
    }
}

/// Shell code without the quotes around it.
fn unquoted(code: &[u8]) -> Vec<u8> {
    code.iter().map(|byte| if b"'\"".contains(byte) { b' ' } else { *byte }).collect()
}

/// What the manager itself needs: its generators, and the units that it knows by name.
pub(super) fn manager(scan: &mut Scan<'_>) {
    let system = scan.system;
    for directory in PARTS_OF_MANAGER {
        for id in system.tree.below(directory) {
            if system.tree.entry(id).kind != Kind::Directory {
                let path = system.tree.path(id).to_vec();
                scan.want(path, Evidence::Execute, name_of(directory));
            }
        }
    }
    for user in [false, true] {
        wants(scan, b"default.target", user);
    }
}

/// Assignments `key=value` of all sections, with lines that go on joined.
fn assignments(content: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut assignments: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut goes_on = false;
    for line in content.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.first().is_some_and(|first| b"#;".contains(first)) {
            continue;
        }
        let (text, more) = match line.strip_suffix(b"\\") {
            Some(text) => (text, true),
            None => (line, false),
        };
        if goes_on {
            if let Some((_, value)) = assignments.last_mut() {
                value.push(b' ');
                value.extend_from_slice(text);
            }
        } else if let Some(equals) = text.iter().position(|byte| *byte == b'=') {
            let (key, value) = (&text[..equals], &text[equals + 1..]);
            assignments.push((key.trim_ascii().to_vec(), value.trim_ascii().to_vec()));
        }
        goes_on = more;
    }
    assignments
}

const UNIT_SUFFIXES: &[&[u8]] = &[
    b".service",
    b".socket",
    b".target",
    b".timer",
    b".path",
    b".mount",
    b".automount",
    b".slice",
    b".swap",
    b".scope",
    b".device",
];
/// Keys whose values are units that are started with this one.
const STARTS: &[&[u8]] = &[
    b"Wants",
    b"Requires",
    b"Requisite",
    b"BindsTo",
    b"Upholds",
    b"OnFailure",
    b"OnSuccess",
    b"Unit",
    b"Service",
    b"Sockets",
    b"Slice",
];
/// Keys whose values are files that are read.
const READS: &[&[u8]] = &[
    b"EnvironmentFile",
    b"Environment",
    b"WorkingDirectory",
    b"RootDirectory",
    b"LoadCredential",
    b"What",
    b"BindPaths",
    b"BindReadOnlyPaths",
];
/// What starts a unit of another kind but the same name.
const ACTIVATED: &[(&[u8], &[u8])] = &[
    (b".socket", b".service"),
    (b".timer", b".service"),
    (b".path", b".service"),
    (b".automount", b".mount"),
];
const PARTS_OF_MANAGER: &[&[u8]] = &[
    b"/usr/lib/systemd/system-generators",
    b"/usr/lib/systemd/user-generators",
    b"/usr/lib/systemd/system-environment-generators",
    b"/usr/lib/systemd/user-environment-generators",
    b"/usr/lib/systemd/system-shutdown",
    b"/usr/lib/systemd/system-sleep",
    b"/lib/systemd/system-generators",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_go_on_are_one_value_and_comments_are_none() {
        let unit = b"[Service]\n# ExecStart=/no\nExecStart=/bin/a \\\n  -x\nWants = b.service\n";
        let expected = [("ExecStart", "/bin/a -x"), ("Wants", "b.service")];
        let read = assignments(unit);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let read: Vec<_> = read.iter().map(|(key, value)| (text(key), text(value))).collect();
        assert_eq!(read, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn units_are_known_by_their_place_and_ending() {
        assert!(is_unit(b"/etc/systemd/system/a.service"));
        assert!(is_unit(b"/usr/lib/systemd/system/a.service.d/x.conf"));
        assert!(!is_unit(b"/usr/share/dbus-1/system-services/org.a.service"));
        assert!(!is_unit(b"/etc/systemd/system.conf"));
    }
}
