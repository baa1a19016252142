//! A source of files becomes trees and objects in a store: one module for each kind of source.
//!
//! Importing runs on the build host. It writes only through [`Store`](upmass_store::Store), so
//! whenever power goes, the store holds whole objects and what the next collection removes. It
//! never records a release, never follows a symlink of the source, and never writes to the
//! source.
//!
//! Read first: [`import_directory`], [`TreeBuilder`] (how entries in any order become one
//! canonical tree) and [`ImportError`].

mod acl;
mod beneath;
mod builder;
mod content;
mod description;
mod directory;
mod error;
mod file;
mod index;
mod initrd;
mod nix;
mod objects;
mod oci;
mod options;
mod read_at;
mod stat;
mod tar;
mod warnings;
mod xattr;

pub use builder::TreeBuilder;
pub use description::{
    ComponentReport, Description, DescriptionError, ImportedRelease, MinifiedSystem, PathPattern,
    Problem, import_release, read_description,
};
pub use directory::import_directory;
pub use error::{ImportError, Result};
pub use file::import_file;
pub use nix::{
    ImportedClosure, ImportedComponent, NixError, NixLabel, NixSource, ReferencesFrom, import_nix,
};
pub use oci::{
    ImageConfig, ImportedImage, OciDigest, OciError, OciLocation, OciSource, Platform, import_oci,
};
pub use options::{ImportOptions, Imported, IndexUse, Mounts, Owners, XattrUse};
pub use tar::{ArchiveFault, TarSource, import_tar, import_tar_stream};
