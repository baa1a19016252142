//! What is known about executable files: where in them addresses are written down.

mod elf;
pub(crate) mod field;
mod images;
mod made;
mod regions;
mod scan;
mod segments;
mod types;
mod x86;

pub(crate) use elf::Program;
pub(crate) use field::{Field, KINDS, Relation, Shape, Token};
pub(crate) use images::Images;
pub(crate) use made::Made;
#[cfg(feature = "encoder")]
pub(crate) use regions::Format;
pub(crate) use regions::{Meaning, Region};
pub(crate) use scan::{Scanned, Scanner};
pub(crate) use segments::{Layout, Place};
#[cfg(feature = "encoder")]
pub(crate) use types::Record;
