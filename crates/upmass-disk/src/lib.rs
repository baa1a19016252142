//! The one place that makes data durable.
//!
//! A [`Volume`] is a directory in which the store lives, with the few operations the store
//! needs, and with a rule for each of what is on disk after a power cut. [`DirVolume`] is a real
//! directory. [`SimVolume`] is one in memory that loses what was not synced, so that every crash
//! point can be enumerated. [`FaultVolume`] wraps a volume and kills the process or fills the
//! disk at a chosen step.
//!
//! A [`Disk`] is what holds partitions: [`FileDisk`] is a block device or an image, [`SimDisk`]
//! loses power.
//!
//! [`gpt`] is the partition table of a disk with two boot slots, [`SlotDisk`] writes the inactive
//! one and switches. [`fat`] makes and reads what is in a slot.
//!
//! This crate knows nothing of objects, trees and releases.

mod dir;
mod disk;
pub mod fat;
mod fault;
pub mod gpt;
mod sim;
mod slots;
mod volume;

pub use dir::DirVolume;
pub use disk::{Disk, DiskRange, FileDisk, Flushes, Region, SECTOR_LEN, SharedDisk, SimDisk};
pub use fault::{Fault, FaultVolume, StepCounter};
pub use sim::{SimVolume, Survivors};
pub use slots::{Found, InactiveSlot, SlotContent, SlotDisk, SlotError, SlotImage, WrittenSlot};
pub use volume::{DiskError, Entry, EntryKind, Lock, LockMode, ReadAt, Result, Volume, WriteFile};
