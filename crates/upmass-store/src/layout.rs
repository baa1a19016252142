//! Where things are in a store.

use upmass_format::{ObjectId, ReleaseId};

pub(crate) const VERSION_FILE: &str = "version";
pub(crate) const VERSION_TEXT: &str = "upmass-store 1\n";
pub(crate) const LOCK: &str = "lock";
pub(crate) const OBJECTS: &str = "objects";
pub(crate) const RELEASES: &str = "releases";
pub(crate) const INCOMING: &str = "incoming";

/// The directory of an object: named by the first byte of its id, as composefs does.
pub(crate) fn object_dir(id: ObjectId) -> String {
    format!("{OBJECTS}/{}", &id.to_string()[..2])
}

/// The file of an object.
pub(crate) fn object_path(id: ObjectId) -> String {
    let text = id.to_string();
    format!("{OBJECTS}/{}/{}", &text[..2], &text[2..])
}

/// The id of an object from the name of its directory and its own. `None` for foreign files.
pub(crate) fn object_id(dir: &str, name: &str) -> Option<ObjectId> {
    format!("{dir}{name}").parse().ok()
}

pub(crate) fn release_path(id: ReleaseId) -> String {
    format!("{RELEASES}/{id}")
}
