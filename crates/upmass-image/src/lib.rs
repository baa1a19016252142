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
//! systemd-boot, [`extlinux`] those of U-Boot.
//!
//! A device needs [`uefi`], [`extlinux`] and [`SlotFileSystem`] alone: all else is behind the feature `disks`.
//!
//! This crate never hashes: whether objects are what their names say is asked of the store.
//!
//! Read first: [`Plan`], [`DiskDescription`], [`SlotFile`].

#[cfg(feature = "disks")]
mod bmap;
#[cfg(feature = "disks")]
mod description;
mod error;
#[cfg(feature = "disks")]
mod ext4;
pub mod extlinux;
mod lookup;
#[cfg(feature = "disks")]
mod merged;
#[cfg(feature = "disks")]
mod plan;
mod slot;
#[cfg(feature = "disks")]
mod staging;
mod start;
pub mod uefi;
#[cfg(feature = "disks")]
mod write;

#[cfg(feature = "disks")]
pub use description::{DiskDescription, Loader};
pub use error::{ImageError, Result};
#[cfg(feature = "disks")]
pub use plan::{Plan, Sizes};
pub use slot::{SlotFile, SlotFileSystem, Source};
#[cfg(feature = "disks")]
pub use write::{Built, claim};

/// Where the store is on the system partition.
pub const STORE: &str = "upmass";
/// Where the systems are on the system partition: below this, by id of the release and name.
pub const SYSTEMS: &str = "systems";
