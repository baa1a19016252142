//! Conversions of character sets that libc loads.
//!
//! The ones for Unicode and ASCII are inside of libc. A program that calls `iconv_open` and
//! names another set needs the module of that set.

use std::collections::BTreeMap;

use super::{Evidence, Scan};

/// Sets and the modules that convert them, as absolute paths.
pub(crate) type Charsets = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

/// Reads a `gconv-modules` file that lies in `directory`.
pub(crate) fn read(charsets: &mut Charsets, directory: &[u8], content: &[u8]) {
    let mut aliases = Vec::new();
    for line in content.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or(b"");
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        match words.collect::<Vec<_>>()[..] {
            [b"alias", alias, name] => aliases.push((set(alias), set(name))),
            [b"module", from, to, file, ..] => {
                let path = [directory, b"/", file, b".so"].concat();
                for name in [set(from), set(to)] {
                    if name != b"INTERNAL" {
                        charsets.entry(name.to_vec()).or_default().push(path.clone());
                    }
                }
            }
            _ => {}
        }
    }
    for (alias, name) in aliases {
        if let Some(paths) = charsets.get(name).cloned() {
            charsets.entry(alias.to_vec()).or_default().extend(paths);
        }
    }
}

fn set(text: &[u8]) -> &[u8] {
    text.strip_suffix(b"//").unwrap_or(text)
}

/// Whether a program converts character sets.
pub(super) fn is_used(program: &[u8]) -> bool {
    // libc itself has the name too, among all the others.
    let has = |name: &[u8]| program.split(|byte| *byte == 0).any(|text| text == name);
    has(b"iconv_open") && !has(b"__libc_start_main_impl") && !has(b"gconv-modules")
}

/// A text that is the name of a character set.
pub(super) fn charset(scan: &mut Scan<'_>, text: &[u8]) {
    let system = scan.system;
    for path in system.charsets.get(text).into_iter().flatten() {
        scan.want(path.clone(), Evidence::Charset, text);
    }
}
