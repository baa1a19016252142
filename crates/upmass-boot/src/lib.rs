//! Which slot and which system boot next.
//!
//! [`discover()`] finds the disk that this system was started from, and what of it really booted.
//!
//! This crate never prints, never mounts, and decides nothing by itself at a start: what boots is
//! said by the partition table and by the firmware's one-shot, and nowhere else.
//!
//! Read first: [`Device`], [`Roots`].

pub mod command_line;
pub mod discover;
mod loader;

pub use discover::{Device, DiscoverError, Part, Roots, ToldBy, discover};
