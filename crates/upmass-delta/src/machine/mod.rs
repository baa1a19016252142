//! What is known about executable files: where in them addresses are written down.

pub(crate) mod elf;
pub(crate) mod field;
mod scan;
mod x86;

pub(crate) use elf::{Image, Meaning, Region, Segments};
pub(crate) use field::{Field, KINDS, Relation, Shape};
pub(crate) use scan::{Scanned, Scanner};
