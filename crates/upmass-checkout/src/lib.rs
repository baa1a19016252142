//! A system of a release becomes a directory: every component at its install path, exactly as
//! its tree says, with owners, modes, attributes, devices, links and holes.
//!
//! The directory is built beside its target and gets its name when it is whole
//! ([`checkout_system`]). There are two passes over the trees, each of which holds one entry in
//! memory and a few open directories, however deep and large the trees are:
//!
//! 1. *fill* makes all names. Directories are private to us (mode 0700) meanwhile, so that
//!    nobody can put anything in our way, and so that no access list is inherited.
//! 2. *settle* gives the directories what their trees say. No name is made any more, so their
//!    modification times stay.
//!
//! This crate never follows a symlink that a tree brought, never writes outside of the parent
//! directory of the target, and never replaces anything but an empty directory. It does not
//! hash: whether objects are what their names say is asked of the store
//! ([`Store::check`](upmass_store::Store::check)). Their length is checked.
//!
//! Read first: [`checkout_system`], [`Options`] and [`CheckoutError`].

mod attributes;
mod checkout;
mod content;
mod descent;
mod error;
mod fill;
mod leaf;
mod member;
mod object;
mod options;
mod partial;
mod registration;
mod remove;
mod settle;
mod share;

pub use checkout::{checkout_component, checkout_system};
pub use error::{CheckoutError, Result};
pub use options::{LeftOut, Options, Owners, Registration, Report, Sharing, Times};
pub use registration::{NIX_REGISTRATION, NIX_SIGNATURES};
