//! `upmass collect`

use std::path::Path;

use rustix::fs::{CWD, RenameFlags};
use serde_json::json;
use upmass_format::ReleaseId;
use upmass_store::{Collected, Store};

use super::apply::needed;
use crate::arguments::{Collect, StoreArgument};
use crate::device::{Access, Session};
use crate::failure::Failure;
use crate::{Outcome, output};

pub fn run(arguments: &Collect) -> Outcome {
    let (dropped, collected) = match &arguments.place.store {
        Some(store) => {
            let store = super::open_for_writing(&StoreArgument { store: store.clone() })?;
            (Vec::new(), store.collect(arguments.dry_run))
        }
        None => of_device(arguments)?,
    };
    super::report_steps();
    let collected = collected?;
    if arguments.json.json {
        let mut said = json!({
            "dry_run": arguments.dry_run,
            "removed": collected.removed,
            "removed_bytes": collected.removed_bytes,
            "kept": collected.kept,
            "kept_bytes": collected.kept_bytes,
            "abandoned": collected.abandoned,
        });
        if arguments.place.store.is_none() {
            let dropped: Vec<String> = dropped.iter().map(ToString::to_string).collect();
            said["releases"] = dropped.into();
        }
        return output::json(said);
    }
    let would = if arguments.dry_run { "would remove" } else { "removed" };
    for release in dropped {
        output::line(&format!("{would} release {release}, which neither boot slot has"))?;
    }
    output::line(&format!(
        "{would} {} objects of {} bytes and {} unfinished files; {} objects of {} bytes stay",
        output::bytes(collected.removed),
        output::bytes(collected.removed_bytes),
        output::bytes(collected.abandoned),
        output::bytes(collected.kept),
        output::bytes(collected.kept_bytes),
    ))
}

type OfDevice = (Vec<ReleaseId>, Result<Collected, upmass_store::StoreError>);

/// Keeps what runs and what either slot boots, and removes all other releases.
fn of_device(arguments: &Collect) -> Result<OfDevice, Failure> {
    let session = Session::open(&arguments.place.device.root, Access::Write)?;
    let control = session.control()?;
    let kept = needed(&control.view()?);
    let store = super::open_for_writing(&StoreArgument { store: session.store_path() })?;
    if arguments.dry_run {
        let dropped = store.releases()?.into_iter().filter(|id| !kept.contains(id)).collect();
        return Ok((dropped, store.collect(true)));
    }
    let dropped = drop_directories(&session, &store, &kept)?;
    Ok((dropped, store.collect(false)))
}

/// Removes all releases but these, their systems, and what they alone needed.
pub(super) fn drop_releases(session: &Session, store: &Store, kept: &[ReleaseId]) -> Outcome {
    drop_directories(session, store, kept)?;
    store.collect(false)?;
    Ok(())
}

/// What a directory is called while it is removed.
const REMOVED: &str = ".removed-";

/// Removes the systems of all releases but these, and stops keeping the releases.
///
/// (POWER-LOSS.md, row "drop".) A directory gets another name before anything of it goes, since one
/// that has the right name is taken for whole; the next collection removes what is left of it.
fn drop_directories(
    session: &Session,
    store: &Store,
    kept: &[ReleaseId],
) -> Result<Vec<ReleaseId>, Failure> {
    let systems = session.systems();
    for name in names(&systems)? {
        let path = systems.join(&name);
        match name.parse::<ReleaseId>() {
            Ok(id) if kept.contains(&id) => remove_partial(&path)?,
            Ok(_) => {
                let removed = systems.join(format!("{REMOVED}{name}"));
                let renamed =
                    rustix::fs::renameat_with(CWD, &path, CWD, &removed, RenameFlags::NOREPLACE);
                if let Err(rustix::io::Errno::EXIST) = renamed {
                    // What a cut left of the same release.
                    remove(&removed)?;
                    std::fs::rename(&path, &removed)
                        .map_err(|error| Failure::io("rename", &path, error))?;
                } else {
                    renamed.map_err(|errno| Failure::io("rename", &path, errno.into()))?;
                }
                sync(&systems)?;
                remove(&removed)?;
            }
            Err(_) if name.starts_with(REMOVED) => remove(&path)?,
            Err(_) => {}
        }
    }
    let mut dropped = Vec::new();
    for id in store.releases()? {
        if !kept.contains(&id) {
            store.remove_release(id)?;
            dropped.push(id);
        }
    }
    Ok(dropped)
}

/// What interrupted checkouts left.
fn remove_partial(directory: &Path) -> Outcome {
    for name in names(directory)? {
        if name.starts_with('.') && name.contains(".partial-upmass-") {
            remove(&directory.join(name))?;
        }
    }
    Ok(())
}

fn names(directory: &Path) -> Result<Vec<String>, Failure> {
    let fail = |error| Failure::io("list", directory, error);
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(fail)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(fail)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

fn remove(path: &Path) -> Outcome {
    std::fs::remove_dir_all(path).map_err(|error| Failure::io("remove", path, error))
}

fn sync(directory: &Path) -> Outcome {
    let sync = std::fs::File::open(directory).and_then(|directory| directory.sync_all());
    sync.map_err(|error| Failure::io("sync", directory, error))
}
