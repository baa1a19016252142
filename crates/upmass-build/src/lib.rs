//! Two releases become an update file.
//!
//! The host has both releases whole and pays all the costs: it pairs components, trees and
//! objects, finds what the new ones share with the old ones, and writes a program that a device
//! executes in one pass. The same inputs and options give the same bytes.
//!
//! This crate never applies an update and knows nothing of the crate that does: they meet in
//! the update file. It reads the store and never writes to it.
//!
//! Memory: [`Options::memory`] for the objects in work, and for each segment its streams
//! before compression: at most [`Options::segment`] or one object, and 12 times the largest
//! dictionary for each compressor.
//!
//! Read first: [`build_update`], [`pair()`], `diff::TreeDiff` and `bases::BaseChooser`.

mod bases;
mod budget;
mod bundles;
mod changes;
mod derived;
mod diff;
mod error;
mod members;
mod names;
mod object;
mod old;
mod pairing;
mod parses;
mod partners;
mod renamed;
mod room;
mod segment;
mod similar;
mod sketch;
mod update;

pub use changes::{Change, ChangeKind, changes};
pub use derived::Names;
pub use error::{BuildError, Result};
pub use pairing::{Pair, Pairing, Why, pair};
pub use update::{Built, Effort, Options, Payload, Progress, Summary, build_payload, build_update};
pub use upmass_delta::Section;
pub use upmass_member::{Codec, Codecs};
