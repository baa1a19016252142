//! The disks that the kernel shows.

use std::path::{Path, PathBuf};

use upmass_disk::gpt::{LayoutError, Partition};
use upmass_disk::{FileDisk, Found, SlotError};

use super::{DiscoverError, Roots, is_absent, open};

/// A disk with two boot slots.
pub(super) struct Candidate {
    /// The kernel's name.
    pub(super) name: String,
    /// Its node.
    pub(super) node: PathBuf,
    pub(super) found: Found,
}

impl Candidate {
    pub(super) fn disk(&self) -> Result<FileDisk, DiscoverError> {
        Ok(open(&self.node)?)
    }
}

/// All disks.
pub(super) struct Looked {
    pub(super) names: Vec<String>,
    pub(super) unread: Vec<String>,
    pub(super) found: Vec<Candidate>,
}

/// Looks at the tables of all disks.
pub(super) fn look(roots: &Roots) -> Result<Looked, DiscoverError> {
    let block = roots.sys.join("block");
    let mut looked = Looked { names: list(&block)?, unread: Vec::new(), found: Vec::new() };
    looked.names.retain(|name| number(&block.join(name).join("size")) != Some(0));
    for name in &looked.names {
        // Where a name has a slash, the kernel writes an exclamation mark.
        let node = roots.dev.join(name.replace('!', "/"));
        let disk = match open(&node) {
            Ok(disk) => disk,
            Err(error) if is_absent(&error) => continue,
            Err(error) => {
                looked.unread.push(error.to_string());
                continue;
            }
        };
        match Found::on(&disk) {
            Ok(found) => looked.found.push(Candidate { name: name.clone(), node, found }),
            Err(SlotError::Layout(LayoutError::NoSlots) | SlotError::NoTable { .. }) => {}
            Err(error) => looked.unread.push(format!("{name}: {error}")),
        }
    }
    Ok(looked)
}

/// The node of a partition: the kernel's that begins and ends where the table says.
pub(super) fn partition_node(roots: &Roots, disk: &str, partition: &Partition) -> Option<PathBuf> {
    let disk = roots.sys.join("block").join(disk);
    let sectors = partition.last - partition.first + 1;
    let names = list(&disk).ok()?;
    let name = names.into_iter().find(|name| {
        let directory = disk.join(name);
        // Other things than partitions have no file of that name.
        directory.join("partition").exists()
            && number(&directory.join("start")) == Some(partition.first)
            && number(&directory.join("size")) == Some(sectors)
    });
    name.map(|name| roots.dev.join(name.replace('!', "/")))
}

/// Names in a directory, ascending.
fn list(directory: &Path) -> Result<Vec<String>, DiscoverError> {
    let fail = |source| DiscoverError::Io { path: directory.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fail)? {
        if let Ok(name) = entry.map_err(fail)?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
