//! The content-addressed store: objects, releases, collection and check.
//!
//! Layout of a store (`ARCHITECTURE.md` has the reasons, `POWER-LOSS.md` the arguments):
//!
//! ```text
//! version               "upmass-store 1\n"
//! objects/ab/cdef…      contents, trees and releases, named by their digest
//! releases/<id>         a root: this release and all it needs are kept
//! index/…               what importers remember; may be lost at any time
//! incoming/…            what is being written; nothing there is trusted
//! lock                  shared by writers, exclusive for collection
//! ```
//!
//! The store never decides which release boots, and never writes outside its volume.
//!
//! Read first: [`Store`], [`Batch`] (how objects become durable) and [`check`](Store::check).

mod batch;
mod check;
mod collect;
mod derivations;
mod error;
mod layout;
mod nar;
mod root;
mod scratch;
mod store;

pub use batch::{Batch, HashedContent, Incoming, MAX_BATCH};
pub use check::{CheckReport, Damage, Fault};
pub use collect::Collected;
pub use error::{Result, StoreError};
pub use nar::NarError;
pub use root::RootLock;
pub use scratch::{Scratch, ScratchContent};
pub use store::{ObjectReader, Store};
