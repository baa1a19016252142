//! `.xz` streams without what is in their blocks (The .xz File Format, 1.2).

mod check;
mod container;

pub(crate) use check::Sum;
pub(crate) use container::Container;
