//! Which files of a system are needed, by what, and which are not.
//!
//! [`minify`] looks at a tree of files ([`Files`]) and decides for every entry whether it stays,
//! with the chain of reasons that leads from a root to it, or why it goes and what would bring
//! it back. From the roots (init, kernel, enabled units, named commands) it follows what the
//! loader, systemd, udev, shells, Python and others would ([`Evidence`]); rules ([`Rule`]) say
//! what goes by what it is.
//!
//! This crate only reads: it never writes to the source, never follows a symlink out of it, and
//! whatever a file claims costs bytes or keeps too much, and never fails or hangs.
//!
//! Read first: [`minify`], [`Options`] and [`Minified`].

mod analysis;
mod directory;
mod error;
mod evidence;
mod files;
mod glob;
mod options;
mod packages;
mod report;
mod roots;
mod rules;
mod stored;
mod system;
mod tree;

pub use analysis::minify;
pub use directory::DirectoryFiles;
pub use error::{MinifyError, Result};
pub use evidence::Evidence;
pub use files::{Entry, Files, Kind};
pub use glob::Glob;
pub use options::{Level, Options};
pub use report::{Count, Drop, Minified, Reason, Step, Verdict};
pub use rules::Rule;
pub use stored::{StoredFiles, minify_tree, prune_tree};
