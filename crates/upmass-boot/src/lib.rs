//! Which slot and which system boot next.
//!
//! - [`discover()`] finds the disk that this system was started from, and what of it really booted.
//! - [`policy`] says which durable steps follow from what is known: pure.
//! - [`Control`] does them, on the disk, the boot loader and the system partition.
//! - [`Bootloader`] is what is asked of firmware and loader; each kind has one module ([`uefi`], [`uboot`]).
//!
//! A release is *armed* (the next start alone boots it), *tried* (that start), and *confirmed* (its
//! slot becomes active, by one sector of the partition table). That a release is on trial is
//! written nowhere: it is so when the slot that booted is not the active one. So there is nothing
//! that could disagree, and whatever resets a device on trial brings the old release back.
//!
//! This crate never prints, never mounts, and decides nothing at a start: what boots is said by the
//! partition table and by the firmware's one-shot, and nowhere else.
//!
//! Read first: [`Device`], [`policy::View`], [`policy::Step`].

pub mod attempt;
pub mod bootloader;
pub mod command_line;
mod content;
mod control;
pub mod discover;
mod loader;
pub mod policy;
pub mod uboot;
pub mod uefi;
pub mod variables;

pub use bootloader::{BootError, Bootloader};
pub use content::{ContentError, check_slot, slot_release};
pub use control::{Control, ControlError, Here, Outcome, view};
pub use discover::{Device, DiscoverError, Part, Roots, ToldBy, discover};
