//! Rules of udev: the helpers they run and the units they start.

use super::{Evidence, Scan, kernel, script, strings, systemd};

/// Whether a file is a list of rules.
pub(super) fn is_rules(path: &[u8]) -> bool {
    path.ends_with(b".rules") && path.windows(14).any(|window| window == b"/udev/rules.d/")
}

/// Follows `RUN`, `PROGRAM`, `IMPORT{program}` and `SYSTEMD_WANTS`.
pub(super) fn rules(scan: &mut Scan<'_>) {
    for line in scan.content.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_start();
        if line.first() == Some(&b'#') {
            continue;
        }
        for (key, value) in values(line) {
            if contains(key, b"SYSTEMD_WANTS") || contains(key, b"SYSTEMD_USER_WANTS") {
                for name in value.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty()) {
                    systemd::wants(scan, name, contains(key, b"USER"));
                }
            } else if let Some(module) = value.strip_prefix(b"kmod load ") {
                kernel::by_name(scan, module, Evidence::Mention);
            } else if ["RUN", "PROGRAM", "IMPORT{program}"]
                .iter()
                .any(|wanted| key.starts_with(wanted.as_bytes()))
                && !contains(key, b"{builtin}")
            {
                run(scan, value);
            }
        }
    }
}

fn run(scan: &mut Scan<'_>, value: &[u8]) {
    let command = value.split(u8::is_ascii_whitespace).next().unwrap_or(b"");
    if command.starts_with(b"/") {
        systemd::execute(scan, value);
        // `/bin/sh -c '…'` has its code in quotes of its own.
        script::words(scan, &value[command.len()..]);
    } else {
        for directory in [&b"/usr/lib/udev/"[..], b"/lib/udev/"] {
            let path = [directory, command].concat();
            if scan.system.tree.resolve(&path).end.is_some() {
                scan.want(path, Evidence::UdevRule, value);
                break;
            }
        }
        strings::paths(scan, value);
    }
}

/// Each `KEY="value"` of a line.
fn values(line: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut values = Vec::new();
    let mut rest = line;
    while let Some(open) = rest.iter().position(|byte| *byte == b'"') {
        let key = rest[..open].trim_ascii();
        let key = key.strip_prefix(b",").unwrap_or(key).trim_ascii();
        let after = &rest[open + 1..];
        let Some(close) = after.iter().position(|byte| *byte == b'"') else { break };
        values.push((key, &after[..close]));
        rest = &after[close + 1..];
    }
    values
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
