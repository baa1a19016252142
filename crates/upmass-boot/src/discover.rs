//! Finding the disk that this system was started from, and what of it booted.
//!
//! The loader tells the GUID of the slot that it was started from; the disk that has this slot is
//! the one. Its other partitions are found in its own table, by name, and in the kernel by where
//! they begin, since numbers change with the active slot and the kernel's names with the hardware.

mod disks;
mod error;

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use upmass_disk::gpt::{Guid, Slot};
use upmass_disk::{DiskRange, FileDisk, Found};
use upmass_format::ReleaseId;

pub use crate::content::slot_release;
use crate::{command_line, loader};

pub use error::DiscoverError;

/// Where the kernel shows what there is. `Default` is where Linux has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// `/sys`
    pub sys: PathBuf,
    /// `/dev`
    pub dev: PathBuf,
    /// `/proc`
    pub proc: PathBuf,
    /// Where `efivarfs` is mounted, below `/sys`; it may be missing.
    pub efi_variables: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self::below(Path::new("/"))
    }
}

impl Roots {
    /// All of them below another directory.
    pub fn below(root: &Path) -> Self {
        Self {
            sys: root.join("sys"),
            dev: root.join("dev"),
            proc: root.join("proc"),
            efi_variables: root.join("sys/firmware/efi/efivars"),
        }
    }
}

/// What runs, and where from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The node of the disk.
    pub disk: PathBuf,
    /// What its tables say.
    pub found: Found,
    /// The slot that was really booted. Another one than `found.active` while a release is tried,
    /// or after a switch before the next start.
    pub booted: Slot,
    /// Who told that.
    pub told_by: ToldBy,
    /// The partition with store and systems.
    pub system_partition: Part,
    /// The partition for what changes.
    pub data_partition: Part,
    /// The release that runs, by the kernel's command line.
    pub release: ReleaseId,
    /// The system of it that runs, by the kernel's command line.
    pub system: String,
}

/// Who told which slot was booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToldBy {
    /// The boot loader, in the EFI variable `LoaderDevicePartUUID`.
    Loader,
    /// The boot loader, on the kernel's command line (`upmass.slot=<GUID>`).
    CommandLine,
    /// Nobody; it is the one slot that has the release which runs, or the active one of two.
    Release,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its node; `None` when the kernel shows none, as of an image.
    pub node: Option<PathBuf>,
    /// Where it is on the disk.
    pub range: DiskRange,
    /// Its GUID.
    pub id: Guid,
}

impl Device {
    /// The GUID of the slot that was booted.
    pub fn booted_id(&self) -> Guid {
        self.found.layout.slot(self.booted).id
    }
}

/// Finds the disk that this system was started from. Changes nothing.
///
/// Which disk: the one that has the slot which the loader names ([`ToldBy`]); if none is named, the
/// only one with two boot slots.
///
/// # Errors
/// See [`DiscoverError`]; [`DiscoverError::is_too_early`] tells those that go away by themselves
/// when a disk shows up late.
pub fn discover(roots: &Roots) -> Result<Device, DiscoverError> {
    let line = command_line(roots)?;
    let word = |key: &'static str| {
        command_line::value(&line, key).ok_or(DiscoverError::NotStartedByUs { missing: key })
    };
    let (id, system) = (word(command_line::RELEASE)?, word(command_line::SYSTEM)?);
    let release = id.parse().map_err(|_| DiscoverError::Release { found: id })?;
    let named = named_slot(roots, &line)?;
    let looked = disks::look(roots)?;
    let candidates = looked.found.iter().filter(|candidate| match named {
        Some((id, _)) => Slot::ALL.iter().any(|slot| candidate.found.layout.slot(*slot).id == id),
        None => true,
    });
    let candidates: Vec<_> = candidates.collect();
    let candidate = match candidates[..] {
        [candidate] => candidate,
        [] => return Err(none(named.map(|(id, _)| id), looked)),
        _ => {
            let disks = candidates.iter().map(|candidate| candidate.node.clone()).collect();
            return Err(DiscoverError::Several { disks });
        }
    };
    let layout = &candidate.found.layout;
    let (booted, told_by) = match named {
        Some((id, told_by)) => {
            let slot = Slot::ALL.into_iter().find(|slot| layout.slot(*slot).id == id);
            (slot.unwrap_or(candidate.found.active), told_by)
        }
        None => (slot_with(candidate, release)?, ToldBy::Release),
    };
    let part = |name: &'static str| -> Result<Part, DiscoverError> {
        let partition = layout.partition(name);
        let missing = || DiscoverError::NoPartition { disk: candidate.node.clone(), name };
        let partition = partition.ok_or_else(missing)?;
        let node = disks::partition_node(roots, &candidate.name, partition);
        Ok(Part { node, range: partition.range, id: partition.id })
    };
    Ok(Device {
        disk: candidate.node.clone(),
        booted,
        told_by,
        system_partition: part("system")?,
        data_partition: part("data")?,
        found: candidate.found.clone(),
        release,
        system,
    })
}

/// The slot that the loader says it was started from.
fn named_slot(roots: &Roots, line: &str) -> Result<Option<(Guid, ToldBy)>, DiscoverError> {
    let told = loader::booted_partition(&roots.efi_variables);
    if let Some(id) = told.map_err(|(path, source)| DiscoverError::Io { path, source })? {
        return Ok(Some((id, ToldBy::Loader)));
    }
    // Empty where the loader knows no more than we do.
    match command_line::value(line, command_line::SLOT).filter(|text| !text.is_empty()) {
        Some(text) => match text.parse() {
            Ok(id) => Ok(Some((id, ToldBy::CommandLine))),
            Err(_) => Err(DiscoverError::Slot { found: text }),
        },
        None => Ok(None),
    }
}

fn none(named: Option<Guid>, looked: disks::Looked) -> DiscoverError {
    let (looked_at, unread) = (looked.names, looked.unread);
    match named {
        Some(id) => DiscoverError::NotASlot { id, looked_at, unread },
        None => DiscoverError::NoDisk { looked_at, unread },
    }
}

/// The slot that has a release; the active one when both have it.
fn slot_with(candidate: &disks::Candidate, release: ReleaseId) -> Result<Slot, DiscoverError> {
    let active = candidate.found.active;
    let disk = Arc::new(candidate.disk()?);
    for slot in [active, active.other()] {
        let content = candidate.found.content(disk.clone(), slot);
        if content.is_some_and(|content| slot_release(&content) == Some(release)) {
            return Ok(slot);
        }
    }
    Err(DiscoverError::InNoSlot { disk: candidate.node.clone(), release })
}

/// Longest command line that is read; kernels have at most 4 KiB.
const MAX_COMMAND_LINE: u64 = 1 << 16;

fn command_line(roots: &Roots) -> Result<String, DiscoverError> {
    let path = roots.proc.join("cmdline");
    let mut bytes = Vec::new();
    std::fs::File::open(&path)
        .and_then(|file| file.take(MAX_COMMAND_LINE).read_to_end(&mut bytes))
        .map_err(|source| DiscoverError::Io { path, source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether a device node stands for nothing that could be read, such as a drive without a medium.
fn is_absent(error: &upmass_disk::DiskError) -> bool {
    const ENXIO: i32 = 6;
    const ENOMEDIUM: i32 = 123;
    error.source.kind() == ErrorKind::NotFound
        || matches!(error.source.raw_os_error(), Some(ENXIO | ENOMEDIUM))
}

fn open(node: &Path) -> upmass_disk::Result<FileDisk> {
    FileDisk::open_to_read(node)
}
