//! FAT32 file systems: made in one go from a list of files, always to the same bytes
//! ([`Image`]), and read ([`FileSystem`]).
//!
//! What an image looks like is in `spec/slot-image.md`; FAT itself is in Microsoft's "FAT32 File
//! System Specification", version 1.03. Both directions are without I/O of their own.

mod directory;
mod error;
mod geometry;
mod image;
mod name;
mod reader;

pub use error::{FatError, PlanError};
pub use geometry::{Geometry, MIN_LEN};
pub use image::{Image, NewFile};
pub use reader::{FileSystem, Node, NodeKind};
