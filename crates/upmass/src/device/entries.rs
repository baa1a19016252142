//! The systems that a boot slot can start, by its entries.

use upmass_disk::ReadAt;
use upmass_disk::fat::{FatError, FileSystem, NodeKind};

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

/// The entries of a slot, in the order of its directory.
pub fn entries(content: &dyn ReadAt) -> Result<Vec<Entry>, FatError> {
    let files = FileSystem::open(content)?;
    let text = |path: &str| -> Result<String, FatError> {
        Ok(String::from_utf8_lossy(&files.read(path, MAX_FILE)?).into_owned())
    };
    let value = |text: &str, key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        line.unwrap_or_default().to_owned()
    };
    let fallback = match files.node("loader/loader.conf")? {
        Some(_) => value(&text("loader/loader.conf")?, "default").to_ascii_lowercase(),
        None => String::new(),
    };
    let mut entries = Vec::new();
    if files.node("loader/entries")?.is_none() {
        return Ok(entries);
    }
    for node in files.list("loader/entries")? {
        let id = node.name.to_ascii_lowercase();
        if !matches!(node.kind, NodeKind::File(_)) || !id.ends_with(".conf") {
            continue;
        }
        let system = value(&text(&format!("loader/entries/{}", node.name))?, "title");
        let is_fallback = id == fallback;
        entries.push(Entry { id, system, is_fallback });
    }
    Ok(entries)
}
