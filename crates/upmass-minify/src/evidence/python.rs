//! Python: what a module imports.
//!
//! Imports are read line by line wherever they stand, also those that are only made in some
//! case; a module that is only named in a text (`importlib`) is found when the text is its
//! dotted name.

use super::{Evidence, Scan};
use crate::files::{name_of, parent_of};

/// What every interpreter loads before it does anything.
const START: &[&str] = &[
    "site",
    "os",
    "encodings",
    "runpy",
    "importlib",
    "codecs",
    "io",
    "abc",
    "sitecustomize",
    "sysconfig",
    "zipimport",
    "warnings",
    "traceback",
    "linecache",
    "threading",
];

/// Whether a program is an interpreter, or the library that is one.
pub(crate) fn is_interpreter(path: &[u8]) -> bool {
    let name = name_of(path);
    let rest = name.strip_prefix(b"python3").or(name.strip_prefix(b"libpython3"));
    rest.is_some_and(|rest| {
        let rest = rest.split(|byte| *byte == b's').next().unwrap_or(b"");
        rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
    })
}

/// What an interpreter needs to start.
pub(super) fn interpreter(scan: &mut Scan<'_>) {
    for module in START {
        import(scan, module.as_bytes());
    }
    let system = scan.system;
    for directory in &system.python_path {
        for id in system.tree.children(directory) {
            let path = system.tree.path(id);
            if path.ends_with(b".pth") {
                scan.want(path.to_vec(), Evidence::PythonImport, "site");
            }
        }
        // Codecs are imported by names that are data.
        for id in system.tree.below(&[directory, &b"/encodings"[..]].concat()) {
            scan.want(system.tree.path(id).to_vec(), Evidence::PythonImport, "encodings");
        }
    }
}

/// Follows the imports of one module.
pub(super) fn module(scan: &mut Scan<'_>) {
    let content = scan.content;
    byte_code(scan);
    let mut at = 0;
    while at < content.len() {
        let rest = &content[at..];
        let len = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        statement(scan, &rest[..len], rest);
        at += len + 1;
    }
    if contains(content, b"import_module")
        || contains(content, b"__import__")
        || contains(content, b"entry_points")
    {
        for text in content.split(|byte| b"\"'".contains(byte)).filter(|text| is_dotted(text)) {
            import(scan, text);
        }
    }
}

/// The cached byte code of a module.
fn byte_code(scan: &mut Scan<'_>) {
    let Some(stem) = name_of(scan.path).strip_suffix(b".py") else { return };
    let system = scan.system;
    let prefix = [parent_of(scan.path), b"/__pycache__/", stem, b"."].concat();
    let directory = parent_of(&prefix).to_vec();
    for id in system.tree.children(&directory) {
        let path = system.tree.path(id);
        if path.starts_with(&prefix) {
            scan.want(path.to_vec(), Evidence::Companion, "byte code");
        }
    }
}

/// One line, which may go on in parentheses.
fn statement(scan: &mut Scan<'_>, line: &[u8], rest: &[u8]) {
    let line = line.trim_ascii();
    let line = line.strip_prefix(b"try: ").unwrap_or(line);
    if let Some(list) = line.strip_prefix(b"import ") {
        for name in list.split(|byte| b",;".contains(byte)) {
            let name = name.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or(b"");
            import(scan, name);
        }
    } else if let Some(after) = line.strip_prefix(b"from ")
        && let Some(at) = after.windows(8).position(|window| window == b" import ")
    {
        let from = after[..at].trim_ascii();
        let mut list = after[at + 8..].trim_ascii();
        if list.starts_with(b"(") {
            let open = rest.iter().position(|byte| *byte == b'(').unwrap_or(0);
            let len = rest[open..].iter().take(MAX_LIST).position(|byte| *byte == b')');
            list = &rest[open + 1..open + len.unwrap_or(1).max(1)];
        }
        import_from(scan, from, list);
    }
}

fn import_from(scan: &mut Scan<'_>, from: &[u8], list: &[u8]) {
    let names = list
        .split(|byte| b",\n".contains(byte))
        .map(|name| name.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or(b""));
    let names: Vec<&[u8]> = names.filter(|name| is_dotted(name)).take(MAX_NAMES).collect();
    let dots = from.iter().take_while(|byte| **byte == b'.').count();
    if dots > 0 {
        // Relative to the package that the module is in.
        let mut base = scan.path;
        for _ in 0..dots {
            base = parent_of(base);
        }
        let base = base.to_vec();
        let from = &from[dots..];
        if !from.is_empty() {
            import_in(scan, &base, from);
        }
        for name in names {
            let dotted = if from.is_empty() { name.to_vec() } else { [from, b".", name].concat() };
            import_in(scan, &base, &dotted);
        }
        return;
    }
    import(scan, from);
    for name in names {
        import(scan, &[from, b".", name].concat());
    }
}

/// A module by its dotted name.
fn import(scan: &mut Scan<'_>, name: &[u8]) {
    if !is_dotted(name) {
        return;
    }
    let system = scan.system;
    let beside = parent_of(scan.path).to_vec();
    // A script finds its own directory first; a module of a package does not.
    let own = (!system.python_path.contains(&beside)).then_some(beside);
    for directory in own.iter().chain(&system.python_path) {
        if import_in(scan, directory, name) {
            return;
        }
    }
}

/// A module in one directory of the path. Says whether its first part is there.
fn import_in(scan: &mut Scan<'_>, directory: &[u8], name: &[u8]) -> bool {
    let system = scan.system;
    let mut here = directory.to_vec();
    let mut found = false;
    for part in name.split(|byte| *byte == b'.') {
        let package = [&here[..], b"/", part].concat();
        let source = [&package[..], b".py"].concat();
        let initial = [&package[..], b"/__init__.py"].concat();
        if system.tree.at(&initial).is_some() {
            scan.want(initial, Evidence::PythonImport, name);
        } else if system.tree.at(&source).is_some() {
            scan.want(source, Evidence::PythonImport, name);
            return true;
        } else {
            let prefix = [&package[..], b"."].concat();
            for id in system.tree.children(&here) {
                let path = system.tree.path(id);
                if path.starts_with(&prefix) && path.ends_with(b".so") {
                    scan.want(path.to_vec(), Evidence::PythonImport, name);
                    found = true;
                }
            }
            if found || system.tree.at(&package).is_none() {
                return found;
            }
            // A directory without __init__.py is a package too.
        }
        found = true;
        here = package;
    }
    found
}

fn is_dotted(name: &[u8]) -> bool {
    (1..=200).contains(&name.len())
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(byte))
        && !name.starts_with(b".")
        && !name.ends_with(b".")
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

const MAX_LIST: usize = 1 << 16;
const MAX_NAMES: usize = 1000;
