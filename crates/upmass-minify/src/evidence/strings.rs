//! Names that occur in a file: paths, libraries, names on the bus.
//!
//! A program says what it opens in texts; so whatever text in it names something that the
//! system has is taken for a need. Paths that are put together at run time are not seen; for
//! these a directory that is mentioned brings what its package has there.

use super::{Evidence, Scan, dbus, iconv};
use crate::files::{name_of, parent_of};
use crate::tree::Id;

/// All texts of a program.
pub(super) fn program(scan: &mut Scan<'_>, linked: &[Vec<u8>]) {
    let content = scan.content;
    let converts = iconv::is_used(content);
    for text in texts(content) {
        paths(scan, text);
        // Where it looks for what it is linked with, the loader has said.
        if !linked.iter().any(|name| name == text) {
            library(scan, text);
        }
        dbus::name(scan, text);
        if converts {
            iconv::charset(scan, text);
        }
        own_command(scan, text);
    }
}

/// Paths and libraries in a text file.
pub(super) fn text(scan: &mut Scan<'_>) {
    let content = scan.content;
    // What is no text is data, which nobody reads for names.
    if content.iter().take(4096).any(|byte| *byte == 0) {
        return;
    }
    for line in content.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_start();
        if line.first() == Some(&b'#') && !line.starts_with(b"#!") {
            continue;
        }
        paths(scan, line);
        for word in line.split(|byte| !is_path_byte(*byte)) {
            library(scan, word);
            dbus::name(scan, word);
        }
    }
}

/// Each absolute path in a text.
pub(super) fn paths(scan: &mut Scan<'_>, text: &[u8]) {
    let mut from = 0;
    while let Some(slash) = text[from..].iter().position(|byte| *byte == b'/') {
        let start = from + slash;
        let len = text[start..].iter().take_while(|byte| is_path_byte(**byte)).count();
        // A slash in the middle of a word belongs to an address or a relative path.
        let begins = start == 0 || !is_path_byte(text[start - 1]) || is_option(&text[from..start]);
        if begins {
            path(scan, &text[start..start + len]);
        }
        from = start + len.max(1);
    }
}

/// `-I/usr/include`, `--config=/etc/x`: the path begins after an option's letter or sign.
fn is_option(before: &[u8]) -> bool {
    before.ends_with(b"=") || before.ends_with(b":")
}

fn path(scan: &mut Scan<'_>, path: &[u8]) {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let trimmed = path.trim_ascii_end();
    let without = trimmed.strip_suffix(b".").or(trimmed.strip_suffix(b",")).unwrap_or(trimmed);
    for candidate in [path, without] {
        if candidate.len() < 3 || candidate.len() > 4096 {
            continue;
        }
        let Some(end) = scan.system.tree.resolve(candidate).end else { continue };
        if end != scan.id {
            mention(scan, candidate, end);
        }
        return;
    }
}

fn mention(scan: &mut Scan<'_>, path: &[u8], end: Id) {
    use crate::Kind;
    let system = scan.system;
    scan.want(path.to_vec(), Evidence::Mention, path);
    if system.tree.entry(end).kind != Kind::Directory {
        return;
    }
    let directory = system.tree.path(end).to_vec();
    if system.is_shared_directory(&directory) {
        return;
    }
    let mine = system.packages.of(scan.id);
    let below: Vec<Id> = system.tree.below(&directory).take(MAX_BELOW).collect();
    for id in below {
        let other = system.packages.of(id);
        if system.packages.is_empty() || other == mine || other.is_none() {
            let found = system.tree.path(id).to_vec();
            scan.want(found, Evidence::MentionedDirectory, path);
        }
    }
}

/// A name such as `libfoo.so.1`, or a path that ends like this.
fn library(scan: &mut Scan<'_>, text: &[u8]) {
    if !text.windows(3).any(|window| window == b".so") || text.starts_with(b"/") {
        return;
    }
    let system = scan.system;
    for id in system.libraries_anywhere(name_of(text), None) {
        if id != scan.id {
            let path = system.tree.path(id).to_vec();
            scan.want(path, Evidence::LibraryName, text);
        }
    }
}

/// A text that is the name of a command of the same package, or of a program beside this one.
fn own_command(scan: &mut Scan<'_>, text: &[u8]) {
    if text.len() < 2 || text.len() > 64 || text.contains(&b'/') {
        return;
    }
    let system = scan.system;
    let beside = [parent_of(scan.path), b"/", text].concat();
    let candidates = [system.commands.get(text).copied(), system.tree.at(&beside)];
    let mine = system.packages.of(scan.id);
    for id in candidates.into_iter().flatten() {
        let is_program = system.tree.resolve(system.tree.path(id)).end;
        let is_program = is_program.is_some_and(|end| system.tree.entry(end).is_program());
        if id != scan.id && is_program && mine.is_some() && system.packages.of(id) == mine {
            let path = system.tree.path(id).to_vec();
            scan.want(path, Evidence::Mention, text);
        }
    }
}

/// Runs of printable bytes, three at least.
fn texts(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let printable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    content.split(move |byte| !printable(byte)).filter(|text| text.len() >= 3)
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+@~".contains(&byte)
}

/// A directory with more than this is a shelf of many things, not somebody's data.
const MAX_BELOW: usize = 20_000;
