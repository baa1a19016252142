//! The systems that a boot slot can start, by its entries.

use upmass_disk::ReadAt;
use upmass_disk::fat::{FatError, FileSystem, NodeKind};
use upmass_format::slot::{EXTLINUX_DIRECTORY, EXTLINUX_FILE};

/// An entry of the boot loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the loader calls it: the name of its file, in small letters.
    pub id: String,
    /// The name of the system.
    pub system: String,
    /// Whether it is started when nothing else is said.
    pub is_fallback: bool,
}

/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 16;

/// Where a kind of loader has its entries, and how they say what they are.
struct Kind {
    directory: &'static str,
    /// The key of the name of the system.
    title: &'static str,
    /// The file that says which entry is the fallback (`default`).
    default: &'static str,
    /// What it leaves out of the name.
    suffix: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind { directory: "loader/entries", title: "title", default: "loader/loader.conf", suffix: "" },
    Kind {
        directory: EXTLINUX_DIRECTORY,
        title: "menu label",
        default: EXTLINUX_FILE,
        suffix: ".conf",
    },
];

/// The entries of a slot, in the order of its directory.
pub fn entries(content: &dyn ReadAt) -> Result<Vec<Entry>, FatError> {
    let files = FileSystem::open(content)?;
    let text = |path: &str| -> Result<String, FatError> {
        Ok(String::from_utf8_lossy(&files.read(path, MAX_FILE)?).into_owned())
    };
    let value = |text: &str, key: &str| {
        let line =
            text.lines().find_map(|line| line.trim_start().strip_prefix(key)?.strip_prefix(' '));
        line.unwrap_or_default().to_owned()
    };
    let mut entries = Vec::new();
    for kind in KINDS {
        if files.node(kind.directory)?.is_none() {
            continue;
        }
        let fallback = match files.node(kind.default)? {
            Some(_) => value(&text(kind.default)?, "default") + kind.suffix,
            None => String::new(),
        };
        for node in files.list(kind.directory)? {
            let id = node.name.to_ascii_lowercase();
            if !matches!(node.kind, NodeKind::File(_)) || !id.ends_with(".conf") {
                continue;
            }
            let system = value(&text(&format!("{}/{}", kind.directory, node.name))?, kind.title);
            let is_fallback = id.eq_ignore_ascii_case(&fallback);
            entries.push(Entry { id, system, is_fallback });
        }
    }
    Ok(entries)
}
