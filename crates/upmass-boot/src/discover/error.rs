//! Why it is not known what runs.

use std::path::PathBuf;

use upmass_disk::DiskError;
use upmass_disk::gpt::Guid;
use upmass_format::ReleaseId;

/// Why the disk that this system was started from was not found.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// Something could not be read.
    #[error("read {}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A word of the command line is missing.
    #[error(
        "this system was not started from a boot slot of Upmass: the kernel's command line has no \
         {missing}=…; write a disk with `upmass image` and start from it"
    )]
    NotStartedByUs {
        /// Which one.
        missing: &'static str,
    },
    /// The release on the command line is none.
    #[error(
        "the kernel's command line says upmass.release={found}, expected an id of 64 hexadecimal digits"
    )]
    Release {
        /// What it says.
        found: String,
    },
    /// The slot on the command line is none.
    #[error("the kernel's command line says upmass.slot={found}, expected the GUID of a partition")]
    Slot {
        /// What it says.
        found: String,
    },
    /// No disk with two slots.
    #[error("there is no disk with two boot slots; looked at {}{}", list(looked_at), but(unread))]
    NoDisk {
        /// Names of all disks.
        looked_at: Vec<String>,
        /// Those that could not be read, with the reason.
        unread: Vec<String>,
    },
    /// The loader was started from something else.
    #[error(
        "this system was started from partition {id}, which is no boot slot of a disk with two; \
         looked at {}{}",
        list(looked_at),
        but(unread)
    )]
    NotASlot {
        /// The partition that the loader names.
        id: Guid,
        /// Names of all disks.
        looked_at: Vec<String>,
        /// Those that could not be read, with the reason.
        unread: Vec<String>,
    },
    /// Two disks could be it.
    #[error(
        "{} all have boot slots that this system may have been started from: remove all but one",
        disks.iter().map(|disk| disk.display().to_string()).collect::<Vec<_>>().join(" and ")
    )]
    Several {
        /// Their nodes.
        disks: Vec<PathBuf>,
    },
    /// Nobody tells which slot it was, and none has the release.
    #[error("release {} runs, which no boot slot of {} has", release.short(), disk.display())]
    InNoSlot {
        /// The node of the disk.
        disk: PathBuf,
        /// The release that runs.
        release: ReleaseId,
    },
    /// A disk with slots and without the rest.
    #[error("{} has boot slots and no partition {name:?}", disk.display())]
    NoPartition {
        /// The node of the disk.
        disk: PathBuf,
        /// What is missing.
        name: &'static str,
    },
}

impl DiscoverError {
    /// Whether it goes away by itself when a disk shows up late, so that waiting helps.
    pub fn is_too_early(&self) -> bool {
        matches!(self, Self::NoDisk { .. } | Self::NotASlot { .. })
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => "nothing, since the kernel shows no disk".to_owned(),
        names => names.join(", "),
    }
}

fn but(unread: &[String]) -> String {
    unread.iter().map(|why| format!("; {why}")).collect()
}
