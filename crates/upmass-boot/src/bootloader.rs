//! What is asked of a boot loader and its firmware, and what is promised.
//!
//! How to add one: a module beside `uefi` and `uboot` that implements [`Bootloader`] on its durable
//! store (a simulated one for tests), a row in `tests/bootloaders.rs`, and the files of its slots
//! beside `upmass_image::uefi`.

use upmass_disk::DiskError;
use upmass_disk::ReadAt;
use upmass_disk::fat::FatError;
use upmass_disk::gpt::{Layout, Slot};

use crate::variables::VariableError;

/// How one kind of firmware and loader is told what to start once.
///
/// For every implementation: a change that returned is durable and was read back; cut short, it is
/// as before or as after, or nothing is armed. None of it decides about later starts but
/// [`Bootloader::prefer`], which only chooses among the systems of a slot.
pub trait Bootloader: Send + Sync {
    /// Whether a slot could be armed. Changes nothing.
    fn check(&self) -> Result<(), BootError>;

    /// The slot that the next start alone boots. `None` when that is not said, or is no slot of
    /// this disk, or the one-shot is damaged.
    fn armed(&self, layout: &Layout) -> Result<Option<Slot>, BootError>;

    /// Lets the next start, and no other, boot a slot.
    fn arm(&self, target: &Target<'_>) -> Result<(), BootError>;

    /// Takes back what [`Self::arm`] did, and no one-shot of others.
    fn disarm(&self, layout: &Layout) -> Result<(), BootError>;

    /// The system that the next start alone chooses in its slot, by the name of its entry.
    fn chosen(&self) -> Result<Option<String>, BootError>;

    /// Lets the next start, and no other, choose a system; or takes that back.
    fn choose(&self, entry: Option<&str>) -> Result<(), BootError>;

    /// The system that all starts choose which are told nothing else, by the name of its entry.
    /// `None`: the fallback system of the release.
    fn preferred(&self) -> Result<Option<String>, BootError>;

    /// Lets all starts choose a system; or takes that back.
    fn prefer(&self, entry: Option<&str>) -> Result<(), BootError>;
}

/// A slot that is to be armed.
pub struct Target<'a> {
    /// The partitions of the disk.
    pub layout: &'a Layout,
    /// Which slot; not the active one.
    pub slot: Slot,
    /// What is in it.
    pub content: &'a dyn ReadAt,
}

impl Target<'_> {
    /// Its number in the table in use, from 1: the active slot is the first one.
    pub const NUMBER: u32 = 2;
}

/// No boot loader that could be asked: nothing is armed or chosen, and nothing can be.
pub struct Unknown;

impl Bootloader for Unknown {
    fn check(&self) -> Result<(), BootError> {
        Err(BootError::Unknown)
    }

    fn armed(&self, _: &Layout) -> Result<Option<Slot>, BootError> {
        Ok(None)
    }

    fn arm(&self, _: &Target<'_>) -> Result<(), BootError> {
        Err(BootError::Unknown)
    }

    fn disarm(&self, _: &Layout) -> Result<(), BootError> {
        Ok(())
    }

    fn chosen(&self) -> Result<Option<String>, BootError> {
        Ok(None)
    }

    fn choose(&self, _: Option<&str>) -> Result<(), BootError> {
        Err(BootError::Unknown)
    }

    fn preferred(&self) -> Result<Option<String>, BootError> {
        Ok(None)
    }

    fn prefer(&self, _: Option<&str>) -> Result<(), BootError> {
        Err(BootError::Unknown)
    }
}

/// Why a boot loader was not asked, or did not do it.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// An EFI variable.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// What is in the slot.
    #[error("slot {slot}: {source}")]
    Content {
        /// Which slot.
        slot: Slot,
        /// What is wrong.
        source: FatError,
    },
    /// No program for this machine.
    #[error(
        "slot {slot} has no EFI/BOOT/{wanted}, so that firmware of this machine cannot start it"
    )]
    NoLoader {
        /// Which slot.
        slot: Slot,
        /// What is missing.
        wanted: &'static str,
    },
    /// No script, or nothing that it could start.
    #[error("slot {slot} has no {file}, so that U-Boot cannot start it")]
    NoScript {
        /// Which slot.
        slot: Slot,
        /// What is missing.
        file: &'static str,
    },
    /// A name that the boot script does not take.
    #[error(
        "the name of an entry has characters that U-Boot's script does not take, or more than {max}"
    )]
    Entry {
        /// Most characters.
        max: usize,
    },
    /// The medium does not have what was written.
    #[error(
        "what U-Boot is told reads back differently at byte {offset} of the disk: the medium is failing"
    )]
    ReadBack {
        /// Where, in bytes from the start of the disk.
        offset: u64,
    },
    /// Nobody to ask.
    #[error("there is no boot loader that could be told what to start")]
    Unknown,
    /// The loader is another one, or too old.
    #[error(
        "the boot loader does not say that it can be told which system to start (EFI variable \
         LoaderFeatures); systemd-boot 240 and later can"
    )]
    NoChoice,
}
