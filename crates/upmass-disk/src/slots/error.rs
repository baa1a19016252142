//! What can go wrong with slots.

use crate::DiskError;
use crate::gpt::{Fault, LayoutError};

/// Why a slot was not read, written or made active.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There is no partition table that firmware would use.
    #[error(
        "the disk has no partition table: the primary one is {primary}, the backup is {backup}"
    )]
    NoTable {
        /// What is wrong with the primary one.
        primary: Fault,
        /// What is wrong with the backup.
        backup: Fault,
    },
    /// It has a table, but not one with two slots.
    #[error("the disk is not one with two boot slots: {0}")]
    Layout(#[from] LayoutError),
    /// The image is longer than the slot.
    #[error("the image has {needed} bytes, and the slot {slot} only {available}")]
    TooLong {
        /// Which slot.
        slot: crate::gpt::Slot,
        /// Length of the image in bytes.
        needed: u64,
        /// Length of the slot in bytes.
        available: u64,
    },
    /// What the image is made of could not be read, or has another length than it said.
    #[error("make the image of a slot: {0}")]
    Image(std::io::Error),
    /// The medium does not have what was written.
    #[error("{what} reads back differently at byte {offset} of the disk: the medium is failing")]
    ReadBack {
        /// What was written.
        what: String,
        /// Where, in bytes from the start of the disk.
        offset: u64,
    },
    /// The slot has other content than it should have.
    #[error("slot {slot} differs from its image at byte {offset} of the slot")]
    Differs {
        /// Which slot.
        slot: crate::gpt::Slot,
        /// Where, in bytes from the start of the slot.
        offset: u64,
    },
}
