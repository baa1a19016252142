//! Space on the system partition, before it is needed.

use std::os::unix::fs::MetadataExt;

use upmass_boot::Control;
use upmass_format::release::Release;
use upmass_format::tree::{Event, Meta, Node};
use upmass_format::{ObjectId, ReleaseId};
use upmass_store::{Store, StoreError};

use super::super::collect;
use crate::device::Session;
use crate::failure::{Failure, Kind};
use crate::{Outcome, output};

/// Makes room for new objects, or refuses: first what no slot needs goes, then what the inactive
/// slot needs, which is overwritten anyway. `keep` is what the update starts from.
pub(super) fn for_objects(
    session: &Session,
    control: &Control,
    store: &Store,
    needed: u64,
    keep: Option<ReleaseId>,
) -> Outcome {
    make(session, control, store, needed, keep, "its new files")
}

/// Makes room for the systems of a release, as far as they are not there.
pub(super) fn for_systems(
    session: &Session,
    control: &Control,
    store: &Store,
    id: ReleaseId,
    release: &Release,
) -> Outcome {
    let directory = session.systems().join(id.to_string());
    let mut needed = 0;
    for system in &release.systems {
        if directory.join(&system.name).is_dir() {
            continue;
        }
        for component in release.closure(system) {
            needed += space_of(store, release.components[component].tree)?;
        }
    }
    make(session, control, store, needed, Some(id), "its systems")
}

/// What a tree takes of a file system beside the objects of the store, to which its files are links
/// where they can be: blocks of 4 KiB, and an inode for each entry.
fn space_of(store: &Store, tree: upmass_format::TreeId) -> Result<u64, Failure> {
    let damaged = |source| StoreError::Damaged { id: tree.into(), source };
    let mut reader = store.tree_reader(tree)?;
    let mut bytes = 4096;
    while let Some(event) = reader.next_event().map_err(damaged)? {
        let Event::Entry(entry) = event else { continue };
        bytes += match entry.node {
            Node::Object { size, id } => match is_linked(store, id, &entry.meta) {
                true => 64,
                false => size.next_multiple_of(4096) + 256,
            },
            Node::Hardlink(_) => 64,
            _ => 4096 + 256,
        };
    }
    reader.finish().map_err(damaged)?;
    Ok(bytes)
}

/// Whether a file will be a link to its object, as far as it can be told cheaply.
fn is_linked(store: &Store, id: ObjectId, meta: &Meta) -> bool {
    let found = store.object_path(id).and_then(|path| std::fs::symlink_metadata(path).ok());
    found.is_none_or(|found| {
        let attributes = (found.uid(), found.gid(), found.mode() & 0o7777);
        found.nlink() == 1 || attributes == (meta.uid, meta.gid, meta.mode.into())
    })
}

/// What the file system keeps for itself beside what is asked for: directories, journals, rounding.
const MARGIN: u64 = 4 << 20;

fn make(
    session: &Session,
    control: &Control,
    store: &Store,
    needed: u64,
    keep: Option<ReleaseId>,
    what: &str,
) -> Outcome {
    let wanted = needed.saturating_add(MARGIN);
    if needed == 0 || session.system_free()? >= wanted {
        return Ok(());
    }
    let view = control.view()?;
    let mut kept = super::device::needed(&view);
    kept.extend(keep);
    collect::drop_releases(session, store, &kept)?;
    if session.system_free()? >= wanted {
        return Ok(());
    }
    let other = view.holds(view.active.other());
    if let Some(other) = other.filter(|other| *other != view.running && Some(*other) != keep) {
        output::note(format_args!(
            "release {} in slot {} makes room for the new one",
            other.short(),
            view.active.other()
        ));
        control.clear_inactive()?;
        kept.retain(|release| *release != other);
        collect::drop_releases(session, store, &kept)?;
    }
    let free = session.system_free()?;
    if free >= wanted {
        return Ok(());
    }
    let message = format!(
        "{what} need {} bytes of the system partition, which has {} free; the device can keep fewer \
         or smaller systems, or needs a longer system partition",
        output::bytes(wanted),
        output::bytes(free)
    );
    Err(Failure::new(Kind::Temporary, message))
}
