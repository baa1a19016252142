//! Where the bytes of a release or of an update go: a tree of what takes them, and why, as data
//! and as one page of HTML that needs nothing else.

mod content;
mod html;
mod model;
mod release;
mod update;

pub use html::html;
pub use model::{Cause, Kind, Node, Report};
pub use release::report_release;
pub use update::report_update;
