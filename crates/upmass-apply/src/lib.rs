//! An update file becomes a new release in the store of a device.
//!
//! The phases are types, and each step consumes the one before: [`Received`] (the front was
//! read), [`Verified`] (a trusted key signed it), [`Fitting`] (it is for this device, which has
//! the base, the memory and the space), then [`Fitting::apply`]. Nothing is written before the
//! last step, and what that writes below `incoming` and `objects` means nothing until the
//! release is recorded, in one step at the end.
//!
//! A [`Patch`] is the same for plain files and directories, without signature: it is applied to a
//! store that its caller makes for it.
//!
//! This crate never decides which release boots, and never talks to a network: an update is a
//! file that can be read twice.

mod derived;
mod engine;
mod error;
mod frames;
mod inspect;
mod kept;
mod members;
mod objects;
mod parts;
mod patch;
mod plan;
mod prelude;
mod received;
mod renaming;
mod staging;
mod trees;

pub use engine::{Applied, Outcome, Progress};
pub use error::{ApplyError, Blame, Result};
pub use inspect::{
    ComponentCost, FileCost, Inspection, ObjectKind, Origin, inspect, inspect_alone,
};
pub use patch::{Patch, PatchError};
pub use received::{Fitting, Limits, Received, Trust, UpdateFile, Verified};
pub use upmass_delta::Section;
pub use upmass_member::{Codec, Codecs};
