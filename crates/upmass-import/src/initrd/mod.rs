//! The initial RAM disk of Upmass: its init program and the kernel modules that this needs to
//! find the disk (`upmass-init`, and `spec/initrd.md` there). The same parts make the same bytes.

mod cpio;
mod modules;

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use lzma_rust2::XzReader;

use self::cpio::Cpio;
use self::modules::{Chosen, Indexes, NoSuchModule};

/// Where a system has the modules of its kernel, below a name that is the kernel's version.
pub(crate) const MODULES: &str = "/lib/modules/*";

/// Longest file that is taken: a module, an index, or the init program.
pub(crate) const MAX_FILE: u64 = 256 << 20;

/// Why there is no initial RAM disk. The texts are ends of sentences that begin with its place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitrdError<E> {
    /// Reading the system failed.
    #[error(transparent)]
    Read(E),
    #[error("module {0} is neither in {1} nor built into that kernel")]
    NoSuchModule(String, String),
    #[error("{0} is listed in modules.dep and is not there")]
    Missing(String),
    #[error("{path} cannot be unpacked: {why}")]
    Compressed { path: String, why: std::io::Error },
    #[error("{0}")]
    Init(&'static str),
    #[error("the init program is for another machine ({init}) than {path} ({module})")]
    OtherMachine { init: u16, module: u16, path: String },
}

/// The content of a file of a directory, by its path there. `None` of one that is not there.
pub(crate) type ReadFile<'r, E> = dyn FnMut(&str) -> Result<Option<Vec<u8>>, E> + 'r;

/// A directory of modules, read file by file.
pub(crate) struct ModuleTree<'r, E> {
    /// Its path, for messages.
    pub(crate) path: String,
    pub(crate) read: &'r mut ReadFile<'r, E>,
}

/// Makes an initial RAM disk of an init program and the modules of a system, if it has some.
/// `more` are modules that are loaded at each start.
pub(crate) fn make<E>(
    init: &[u8],
    tree: Option<ModuleTree<'_, E>>,
    more: &[String],
) -> Result<Vec<u8>, InitrdError<E>> {
    let machine = machine_of_static(init).map_err(InitrdError::Init)?;
    let mut cpio = Cpio::new();
    for directory in ["data", "dev", "layer", "modules", "proc", "root", "sys", "system"] {
        cpio.directory(directory);
    }
    // The kernel opens it for init before anything is mounted.
    cpio.device("dev/console", (5, 1));
    cpio.file("init", 0o755, init);
    let mut index = String::new();
    if let Some(ModuleTree { path: place, read }) = tree {
        let chosen = choose(read, &place, more)?;
        for module in &chosen.modules {
            let path = format!("{place}/{}", module.path);
            let content = read(&module.path).map_err(InitrdError::Read)?;
            let content = content.ok_or_else(|| InitrdError::Missing(path.clone()))?;
            let content = unpack(&module.path, content)
                .map_err(|why| InitrdError::Compressed { path: path.clone(), why })?;
            if let Some(module) = machine_of(&content).filter(|module| *module != machine) {
                return Err(InitrdError::OtherMachine { init: machine, module, path });
            }
            cpio.file(&format!("modules/{}.ko", module.name), 0o644, &content);
        }
        index = index_of(&chosen, more);
    } else if let Some(name) = more.first() {
        return Err(InitrdError::NoSuchModule(name.clone(), MODULES.to_owned()));
    }
    cpio.file("modules/index", 0o644, index.as_bytes());
    Ok(pack(&cpio.finish()))
}

fn choose<E>(
    read: &mut ReadFile<'_, E>,
    place: &str,
    more: &[String],
) -> Result<Chosen, InitrdError<E>> {
    let mut text = |name: &str| -> Result<String, InitrdError<E>> {
        let bytes = read(name).map_err(InitrdError::Read)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let indexes = Indexes {
        dependencies: text("modules.dep")?,
        built_in: text("modules.builtin")?,
        aliases: text("modules.alias")?,
        soft_dependencies: text("modules.softdep")?,
    };
    indexes
        .choose(more)
        .map_err(|NoSuchModule(name)| InitrdError::NoSuchModule(name, place.to_owned()))
}

/// What the init program reads: `spec/initrd.md` of `upmass-init`.
fn index_of(chosen: &Chosen, more: &[String]) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for module in &chosen.modules {
        let _ = writeln!(text, "module {} {}", module.name, module.before.join(" "));
    }
    let text_of = |name: &str| modules::underscored(name);
    let always: Vec<String> = (modules::ALWAYS.iter().copied())
        .chain(more.iter().map(String::as_str))
        .map(text_of)
        .filter(|name| chosen.modules.iter().any(|module| module.name == *name))
        .collect();
    for name in always {
        let _ = writeln!(text, "always {name}");
    }
    for (pattern, name) in &chosen.aliases {
        let _ = writeln!(text, "alias {pattern} {name}");
    }
    text
}

/// Modules are unpacked once here, instead of at each start.
fn unpack(path: &str, content: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let mut read = |reader: &mut dyn Read| {
        reader.take(MAX_FILE + 1).read_to_end(&mut plain)?;
        match plain.len() as u64 > MAX_FILE {
            true => Err(std::io::Error::other("it is longer than 256 MiB")),
            false => Ok(()),
        }
    };
    match path.rsplit('.').next() {
        Some("xz") => read(&mut XzReader::new(&content[..], true))?,
        Some("gz") => read(&mut MultiGzDecoder::new(&content[..]))?,
        Some("zst") => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(&content[..]);
            read(&mut decoder.map_err(std::io::Error::other)?)?;
        }
        _ => return Ok(content),
    }
    Ok(plain)
}

/// gzip, since every kernel reads it, and a device packs it again with little memory when it is
/// patched.
fn pack(archive: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(archive).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}

/// The machine that an ELF file is for.
fn machine_of(content: &[u8]) -> Option<u16> {
    let bytes = content.starts_with(b"\x7fELF").then(|| content.get(18..20))??;
    let is_big_endian = content.get(5) == Some(&2);
    let bytes = [bytes[0], bytes[1]];
    Some(if is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
}

/// The machine of a program that needs no loader: there is none in the RAM disk.
fn machine_of_static(content: &[u8]) -> Result<u16, &'static str> {
    let machine = machine_of(content).ok_or("the init program is no ELF file")?;
    let text = |needle: &[u8]| content.windows(needle.len()).any(|window| window == needle);
    // A program header of type PT_INTERP (3).
    let has_loader = program_header_types(content).contains(&3);
    match has_loader {
        true => Err(
            "the init program needs shared libraries: build it with `make init`, or link it statically",
        ),
        false if !text(MARK) => Err("the init program is another one than upmass-init"),
        false => Ok(machine),
    }
}

/// What the program of Upmass says of itself.
const MARK: &[u8] = b"upmass-init: ";

fn program_header_types(content: &[u8]) -> Vec<u32> {
    let is_64 = content.get(4) == Some(&2);
    let (at, size, count) = if is_64 { (32, 54, 56) } else { (28, 42, 44) };
    let is_big_endian = content.get(5) == Some(&2);
    let number = |at: usize, len: usize| -> Option<usize> {
        let bytes = content.get(at..at.checked_add(len)?)?;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let value = match is_big_endian {
            true => bytes.iter().fold(0, fold),
            false => bytes.iter().rev().fold(0, fold),
        };
        usize::try_from(value).ok()
    };
    let header = || {
        let first = number(at, if is_64 { 8 } else { 4 })?;
        let (size, count) = (number(size, 2)?, number(count, 2)?);
        let types = (0..count).map_while(|index| {
            number(first.checked_add(index.checked_mul(size)?)?, 4).map(|kind| kind as u32)
        });
        Some(types.collect())
    };
    header().unwrap_or_default()
}
