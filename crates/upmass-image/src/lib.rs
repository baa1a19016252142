//! A release becomes a disk image: two boot slots, a system partition and a data partition.
//!
//! No root, no mounts and no loop devices; the same release makes the same bytes. The file systems
//! of the system and data partitions are made by `mke2fs` and `debugfs` (e2fsprogs), all else by
//! `upmass-disk`.
//!
//! The system partition holds the store at `/upmass` and, below `/systems/<release id>/<system>`,
//! each system as files. Files that the store has as objects are hardlinks to these, so the
//! systems cost hardly more than their names. So nobody may write to them: a system is mounted
//! read-only, and what changes belongs on the data partition.
//!
//! What is in a boot slot is decided by whoever gives the [`SlotFile`]s; [`uefi`] gives those of
//! systemd-boot.
//!
//! This crate never hashes: whether objects are what their names say is asked of the store.
//!
//! Read first: [`Plan`], [`DiskDescription`], [`SlotFile`].

mod bmap;
mod description;
mod error;
mod ext4;
mod lookup;
mod merged;
mod plan;
mod slot;
mod staging;
pub mod uefi;
mod write;

pub use description::DiskDescription;
pub use error::{ImageError, Result};
pub use plan::{Plan, Sizes};
pub use slot::{SlotFile, Source};
pub use write::{Built, claim};
