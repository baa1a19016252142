//! The vocabulary of Upmass and every byte layout, each with a specification beside it in `spec/`.
//!
//! This crate never opens a file and never talks to a device: it takes and gives bytes
//! ([`std::io::Read`] and [`std::io::Write`] at most). All bytes it decodes are hostile: nothing
//! panics, nothing allocates by an unchecked length, and a value that exists is valid.
//!
//! Read first: [`ObjectId`] (how content is named), [`tree::TreeWriter`] (how a directory tree
//! is written down) and [`release::Release`] (what a device has installed). Then
//! [`update::Header`], the front of an update file, and [`patch::Head`], that of a patch file.

pub mod derivations;
mod digest;
mod error;
mod id;
mod name;
pub mod nar;
pub mod nix;
pub mod oci;
pub mod patch;
pub mod payload;
pub mod release;
pub mod rename;
pub mod slot;
mod text;
pub mod tree;
pub mod tree_edit;
pub mod update;
pub mod wire;

pub use digest::{BLOCK_SIZE, ObjectHasher};
pub use error::{FormatError, Result};
pub use id::{ObjectId, ReleaseId, TreeId};
pub use name::{MAX_NAME, MAX_PATH, Name, TreePath};
pub use text::grouped;
