//! An image of a registry becomes an OCI image layout on this machine, from which it is imported.
//!
//! [`pull`] asks for one image by the OCI distribution specification 1.1, with bearer tokens as Docker's
//! token authentication describes them. Whatever the registry says is taken for hostile: every
//! document and blob is as long as it may be and has the digest by which it was asked for, before it
//! gets its name. A pull that is interrupted goes on where it was.
//!
//! This crate never imports, and a device has no use for it.
//!
//! Read first: [`pull`], [`PullOptions`] and [`Reference`].

mod challenge;
mod client;
mod credentials;
mod documents;
mod error;
mod layout;
mod pull;
mod reference;

pub use credentials::Credentials;
pub use error::{PullError, Result};
pub use pull::{PullOptions, Pulled, pull};
pub use reference::Reference;
