//! `upmass patch`

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use upmass_checkout::{Options, Owners, Report, Times, checkout_component};
use upmass_format::ReleaseId;
use upmass_format::patch::{COMPONENT, FILE_NAME, Kind};
use upmass_format::tree::{Event, Node};
use upmass_store::Store;

use crate::arguments::Patch;
use crate::failure::Failure;
use crate::scratch::Scratch;
use crate::{Outcome, output, plain, progress};

pub fn run(arguments: &Patch) -> Outcome {
    let Patch { old, patch: path, output, .. } = arguments;
    let of_patch = |error| Failure::of_patch(error, path, old);
    let file = File::open(path).map_err(|error| Failure::io("open", path, error))?;
    let patch = upmass_apply::Patch::read(&file).map_err(of_patch)?;
    let kind = patch.kind();
    let found = plain::kind(old)?;
    if found != kind {
        let (old, path) = (old.display(), path.display());
        return Err(Failure::refused(format_args!(
            "{old} is a {}, and {path} is a patch of a {}: give what it was made from",
            found.word(),
            kind.word(),
        )));
    }
    plain::expect_nothing_at(output)?;
    let scratch = Scratch::beside(output)?;
    let store = plain::store(&scratch)?;
    let base = plain::import(&store, kind, old)?;
    let bar = progress::bytes("rebuilding", None);
    let applied = patch.apply(&store, base, &mut |progress| bar.set_position(progress.bytes));
    bar.finish_and_clear();
    let target = applied.map_err(of_patch)?;
    let report = match kind {
        Kind::Directory => checkout(&store, target, output)?,
        Kind::File => {
            let (partial, report) = rebuilt_file(&store, target, &scratch)?;
            finish_file(&partial, old).map_err(|error| Failure::io("write", output, error))?;
            plain::publish(&partial, output)?;
            report
        }
    };
    if arguments.json.json {
        return output::json(json!({
            "path": output.display().to_string(),
            "kind": kind.word(),
            "entries": report.entries,
            "bytes": report.bytes,
        }));
    }
    output::note(format_args!(
        "{} entries, {} bytes in {}",
        output::bytes(report.entries),
        output::bytes(report.bytes),
        output.display()
    ));
    Ok(())
}

fn checkout(store: &Store, release: ReleaseId, target: &Path) -> Result<Report, Failure> {
    let options = Options { owners: Owners::Maker, times: Times::Made, ..Options::default() };
    let bar = progress::bytes("writing", None);
    let report = checkout_component(store, release, COMPONENT, target, &options, &mut |bytes| {
        bar.set_position(bytes)
    });
    bar.finish_and_clear();
    Ok(report?)
}

/// The new file below the scratch directory: the object itself, which nobody else needs, and not a copy of it.
fn rebuilt_file(
    store: &Store,
    release: ReleaseId,
    scratch: &Scratch,
) -> Result<(PathBuf, Report), Failure> {
    let tree = store.release(release)?.components.first().map(|component| component.tree);
    if let Some(tree) = tree
        && let Ok(Some(Event::Entry(entry))) = store.tree_reader(tree)?.next_event()
        && let Node::Object { id, size } = entry.node
        && let Some(object) = store.object_path(id)
    {
        return Ok((object, Report { entries: 1, bytes: size, ..Report::default() }));
    }
    let directory = scratch.join("new");
    let report = checkout(store, release, &directory)?;
    Ok((directory.join(FILE_NAME), report))
}

/// Gives a new file the permissions of the old one, as who replaces it expects, and makes its
/// content durable.
fn finish_file(new: &Path, old: &Path) -> std::io::Result<()> {
    const PERMISSIONS: u32 = 0o777;
    let mode = fs::metadata(old)?.permissions().mode() & PERMISSIONS;
    let file = File::open(new)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}
