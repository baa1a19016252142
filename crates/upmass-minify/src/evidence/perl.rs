//! Perl: the modules that a program or module uses.

use super::{Evidence, Scan};

/// Whether a file is a module.
pub(super) fn is_module(name: &[u8]) -> bool {
    name.ends_with(b".pm") || name.ends_with(b".pl")
}

/// Follows `use`, `require`, and the lists after `use parent` and `use base`.
pub(super) fn module(scan: &mut Scan<'_>) {
    for line in scan.content.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.starts_with(b"__END__") {
            break;
        }
        for keyword in [&b"use "[..], b"require ", b"no "] {
            for at in positions(line, keyword).take(8) {
                let rest = line[at + keyword.len()..].trim_ascii_start();
                let mut words = rest.split(|byte| !is_name_byte(*byte)).filter(|w| !w.is_empty());
                let Some(name) = words.next() else { continue };
                uses(scan, name);
                if name == b"parent" || name == b"base" || name == b"if" || name == b"autouse" {
                    words.take(32).for_each(|word| uses(scan, word));
                }
            }
        }
    }
}

/// A module and, where it has one, its library.
fn uses(scan: &mut Scan<'_>, name: &[u8]) {
    if name.len() > 200 || name.first().is_some_and(u8::is_ascii_digit) {
        return;
    }
    let path = String::from_utf8_lossy(name).replace("::", "/");
    let leaf = path.rsplit('/').next().unwrap_or_default();
    let system = scan.system;
    for directory in &system.perl_path {
        let directory = String::from_utf8_lossy(directory);
        for candidate in [
            format!("{directory}/{path}.pm"),
            format!("{directory}/{path}"),
            format!("{directory}/auto/{path}/{leaf}.so"),
            format!("{directory}/auto/{path}/autosplit.ix"),
        ] {
            let found = system.tree.at(candidate.as_bytes());
            if found
                .is_some_and(|id| matches!(system.tree.entry(id).kind, crate::Kind::File { .. }))
            {
                scan.want(candidate.into_bytes(), Evidence::PerlUse, name);
            }
        }
    }
}

/// Where a keyword begins a word.
fn positions<'t>(line: &'t [u8], keyword: &'t [u8]) -> impl Iterator<Item = usize> + 't {
    let found =
        line.windows(keyword.len()).enumerate().filter(move |(_, window)| *window == keyword);
    found.map(|(at, _)| at).filter(|at| *at == 0 || !is_name_byte(line[at - 1]))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_:/.".contains(&byte)
}
