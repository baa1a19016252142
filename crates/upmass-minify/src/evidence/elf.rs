//! Programs and libraries: what the loader loads with them.
//!
//! Libraries are looked for as ld.so(8) says: `DT_RPATH` where there is no `DT_RUNPATH`, then
//! `DT_RUNPATH`, then the directories of `/etc/ld.so.conf`, then its own; in each of them below
//! `glibc-hwcaps` too, for every machine there may be. Whatever a file claims, it is only
//! believed within its own bytes.

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

use super::{Evidence, Scan, python, systemd};
use crate::files::{name_of, parent_of};
use crate::tree::Id;

/// What the dynamic section says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Linked {
    interpreter: Vec<u8>,
    needed: Vec<Vec<u8>>,
    rpath: Vec<Vec<u8>>,
    runpath: Vec<Vec<u8>>,
}

/// Class and machine of an ELF file: what a program and its libraries have in common.
pub(crate) fn machine_of(head: &[u8]) -> Option<(u8, [u8; 2])> {
    let machine = head.get(18..20)?;
    (head.starts_with(b"\x7fELF")).then(|| (head[4], [machine[0], machine[1]]))
}

/// Says which loader and which libraries are needed, and gives the names of the libraries.
pub(super) fn scan(scan: &mut Scan<'_>) -> Vec<Vec<u8>> {
    if name_of(scan.path) == b"systemd" {
        systemd::manager(scan);
    }
    if python::is_interpreter(scan.path) {
        python::interpreter(scan);
    }
    let Some(linked) = read(scan.content) else { return Vec::new() };
    if linked.interpreter.starts_with(b"/") {
        let interpreter = linked.interpreter.clone();
        scan.want(interpreter, Evidence::Interpreter, &linked.interpreter);
    }
    let machine = machine_of(scan.content);
    let own = if linked.runpath.is_empty() { &linked.rpath } else { &linked.runpath };
    let own: Vec<Vec<u8>> = own.iter().flat_map(|path| expand(path, scan.path)).collect();
    for needed in linked.needed.iter().take(MAX_NEEDED) {
        for id in libraries(scan, &own, needed, machine) {
            let path = scan.system.tree.path(id).to_vec();
            scan.want(path, Evidence::Library, needed);
        }
    }
    linked.needed
}

/// Every file that a loader could take for a name.
fn libraries(
    scan: &Scan<'_>,
    own: &[Vec<u8>],
    needed: &[u8],
    machine: Option<(u8, [u8; 2])>,
) -> Vec<Id> {
    let system = scan.system;
    if needed.contains(&b'/') {
        return expand(needed, scan.path)
            .iter()
            .filter_map(|path| system.tree.named(path))
            .collect();
    }
    for directory in own.iter().chain(&system.library_directories) {
        let found = system.libraries_in(directory, needed, machine);
        if !found.is_empty() {
            return found;
        }
    }
    // Beside a plugin that its program has loaded before, or in a directory that only a wrapper
    // sets: rather all that have the name than none.
    system.libraries_anywhere(needed, machine)
}

/// `$ORIGIN`, `$LIB` and `$PLATFORM` in each part of a path of directories.
fn expand(path: &[u8], program: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|byte| *byte == b':').filter(|part| !part.is_empty());
    let mut paths = Vec::new();
    for part in parts.take(MAX_NEEDED) {
        let part = replace(part, b"ORIGIN", parent_of(program));
        if part.windows(4).any(|window| window == b"$LIB" || window == b"{LIB") {
            for lib in [&b"lib64"[..], b"lib", b"lib/x86_64-linux-gnu"] {
                paths.push(replace(&part, b"LIB", lib));
            }
        } else {
            paths.push(part);
        }
    }
    paths
}

fn replace(text: &[u8], name: &[u8], by: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let braced = after.strip_prefix(b"{").and_then(|after| after.strip_prefix(name));
        let braced = braced.and_then(|after| after.strip_prefix(b"}"));
        match braced.or(after.strip_prefix(name)).filter(|_| *first == b'$') {
            Some(after) => {
                replaced.extend_from_slice(by);
                rest = after;
            }
            None => {
                replaced.push(*first);
                rest = after;
            }
        }
    }
    replaced
}

fn read(content: &[u8]) -> Option<Linked> {
    match FileKind::parse(content).ok()? {
        FileKind::Elf32 => read_as::<FileHeader32<Endianness>>(content),
        FileKind::Elf64 => read_as::<FileHeader64<Endianness>>(content),
        _ => None,
    }
}

fn read_as<Elf: FileHeader<Endian = Endianness>>(content: &[u8]) -> Option<Linked> {
    let header = Elf::parse(content).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, content).ok()?;
    let mut linked = Linked::default();
    for segment in segments {
        if let Ok(Some(interpreter)) = segment.interpreter(endian, content) {
            linked.interpreter = interpreter.to_vec();
        }
        if let Ok(Some(entries)) = segment.dynamic(endian, content) {
            let value = |tag: elf::DynamicTag| {
                entries
                    .iter()
                    .take_while(|entry| entry.tag(endian) != elf::DT_NULL)
                    .find(|entry| entry.tag(endian) == tag)
                    .map(|entry| entry.val(endian))
            };
            let (Some(start), Some(len)) = (value(elf::DT_STRTAB), value(elf::DT_STRSZ)) else {
                continue;
            };
            let table = segments
                .iter()
                .find_map(|segment| segment.data_range(endian, content, start, len).ok().flatten());
            let Some(table) = table else { continue };
            for entry in entries.iter().take_while(|entry| entry.tag(endian) != elf::DT_NULL) {
                let Some(text) = text(table, entry.val(endian)) else { continue };
                match entry.tag(endian) {
                    elf::DT_NEEDED => linked.needed.push(text),
                    elf::DT_RPATH => linked.rpath.push(text),
                    elf::DT_RUNPATH => linked.runpath.push(text),
                    _ => {}
                }
            }
        }
    }
    Some(linked)
}

/// The text that begins at an offset of a string table.
fn text(table: &[u8], offset: u64) -> Option<Vec<u8>> {
    let rest = table.get(usize::try_from(offset).ok()?..)?;
    let len = rest.iter().position(|byte| *byte == 0)?;
    (len > 0).then(|| rest[..len].to_vec())
}

/// More than any program has.
const MAX_NEEDED: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_program_stands_for_its_origin() {
        let expanded = expand(b"$ORIGIN/../lib:/opt/${ORIGIN}x:/lib", b"/opt/a/bin/run");
        assert_eq!(expanded, [&b"/opt/a/bin/../lib"[..], b"/opt//opt/a/binx", b"/lib"]);
        assert_eq!(expand(b"/usr/$LIB/x", b"/p").len(), 3);
    }

    #[test]
    fn the_dynamic_section_of_this_test_names_its_loader_and_libc() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let linked = read(&program).unwrap();
        assert!(linked.interpreter.starts_with(b"/lib"), "{linked:?}");
        assert!(linked.needed.contains(&b"libc.so.6".to_vec()), "{linked:?}");
    }

    #[test]
    fn no_cut_and_no_flipped_byte_of_a_program_panics() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let mut head = program[..4096.min(program.len())].to_vec();
        for len in 0..head.len() {
            let _ = read(&head[..len]);
        }
        for at in 0..1024 {
            for flip in [0xff, 0x80, 0x01] {
                head[at] ^= flip;
                let _ = read(&head);
                head[at] ^= flip;
            }
        }
    }
}
