//! Applying an update to the device that this runs on.
//!
//! Everything that the new release needs is durable before its slot is armed, and the slot in use
//! is never written. So a cut at any moment leaves the old release, or the old one with the new one
//! armed; the update can be applied again in each case, and goes on where it was.

use serde_json::json;
use upmass_apply::{Outcome as Done, Received};
use upmass_boot::policy::{Phase, View};
use upmass_boot::{Control, Outcome as Armed};
use upmass_checkout::{Options, Sharing, checkout_system};
use upmass_disk::Found;
use upmass_disk::fat::{FileSystem, NodeKind};
use upmass_format::ReleaseId;
use upmass_format::release::Release;
use upmass_image::{ImageError, SlotFile, SlotFileSystem, Source, extlinux, uefi};
use upmass_store::Store;

use super::room;
use crate::arguments::{Apply, StoreArgument};
use crate::device::{Access, Session};
use crate::failure::{Failure, Kind};
use crate::{Outcome, keys, output, progress};

pub(super) fn run(arguments: &Apply) -> Outcome {
    let root = &arguments.place.device.root;
    let trust = match super::trust(arguments)? {
        Some(trust) => trust,
        None => keys::trust(&root.join("etc/upmass/keys"))?,
    };
    let file = super::open(&arguments.update)?;
    let verified = Received::read(&file)?.verify(&trust)?;
    let header = verified.header().clone();
    let signed_by = verified.signed_by();

    let session = Session::open(root, Access::Write)?;
    let control = session.control()?;
    control.check_arm()?;
    let view = control.view()?;
    let nothing_to_do = |why: &str| {
        let message = format!("release {} {why}", header.target.short());
        Err(Failure::new(Kind::NothingToDo, message))
    };
    if view.holds(view.active) == Some(header.target) {
        return nothing_to_do("runs already");
    }
    if view.phase() == Phase::Armed(header.target) {
        return nothing_to_do("is armed already: `upmass reboot` tries it");
    }

    let store = super::super::open_for_writing(&StoreArgument { store: session.store_path() })?;
    let base = header
        .base
        .and_then(|base| store.releases().ok()?.into_iter().find(|release| base.matches(*release)));
    room::for_objects(&session, &control, &store, header.space_kib << 10, base)?;
    let applied = super::rebuild(verified, &store, arguments)?;
    // From here on it is only read, so that making room may collect.
    drop(store);
    let store = session.store()?;
    let release = store.release(applied.release)?;
    prepare(&session, &control, &store, applied.release, &release)?;

    if arguments.json.json {
        return output::json(json!({
            "release": applied.release.to_string(),
            "applied": applied.outcome == Done::Recorded,
            "armed": true,
            "signed_by": signed_by.map(|key| key.to_string()),
        }));
    }
    output::line(&applied.release.to_string())?;
    output::note("armed: `upmass reboot` tries it once; it stays when it is confirmed");
    Ok(())
}

/// Writes the systems and the slot of a release that is in the store, and arms it.
fn prepare(
    session: &Session,
    control: &Control,
    store: &Store,
    id: ReleaseId,
    release: &Release,
) -> Outcome {
    // What cannot be is found out before anything is written.
    let files = slot_files(session, store, id, release)?;
    let layout = Found::on(&*session.disk).map_err(upmass_boot::ControlError::from)?.layout;
    let view = control.view()?;
    let slot = SlotFileSystem::plan(store, &files, layout.slot(view.active.other()))
        .map_err(ImageError::from)?;
    for system in &release.systems {
        let name = &system.name;
        if name.contains('/') || matches!(&name[..], "." | "..") {
            let message = format!("system {name:?} cannot have a directory of its name");
            return Err(Failure::refused(message));
        }
    }
    room::for_systems(session, control, store, id, release)?;
    checkout(session, store, id, release)?;
    let bar = progress::bytes("writing the boot slot", None);
    let armed = control.arm(id, &slot, &mut |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    match armed? {
        Armed::Done | Armed::Nothing => Ok(()),
    }
}

/// Each system becomes a directory below `systems/<release>`, unless it is there: a directory of the
/// right name is always whole.
fn checkout(session: &Session, store: &Store, id: ReleaseId, release: &Release) -> Outcome {
    let directory = session.systems().join(id.to_string());
    let make = |path: &std::path::Path| match std::fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Failure::io("make the directory", path, error))
        }
        _ => Ok(()),
    };
    make(&session.systems())?;
    make(&directory)?;
    // Their names are durable before anything in them is.
    for path in [directory.as_path(), &session.systems()] {
        let parent = path.parent().expect("both are below the system partition");
        let sync = std::fs::File::open(parent).and_then(|parent| parent.sync_all());
        sync.map_err(|error| Failure::io("sync", parent, error))?;
    }
    let bar = progress::bytes("writing the systems", None);
    for system in &release.systems {
        let target = directory.join(&system.name);
        if target.is_dir() {
            continue;
        }
        let options = Options { durable: true, sharing: Sharing::Links, ..Options::default() };
        let mut told = |bytes| bar.set_position(bytes);
        checkout_system(store, id, Some(&system.name), &target, &options, &mut told)?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// What the boot slot of a release has. U-Boot belongs to the board; of systemd-boot, where its systems
/// bring no loader, it is the one that started this system.
fn slot_files(
    session: &Session,
    store: &Store,
    id: ReleaseId,
    release: &Release,
) -> Result<Vec<SlotFile>, Failure> {
    if session.is_for_uboot() {
        return Ok(extlinux::slot_files(store, id, release)?);
    }
    match uefi::slot_files(store, id, release, None) {
        Err(ImageError::NoLoader) => {}
        files => return Ok(files?),
    }
    let loaders = loaders_here(session).map_err(|error| {
        let why = format_args!("read the boot loader of slot {}: {error}", session.device.booted);
        Failure::new(Kind::Failed, why)
    })?;
    match loaders.is_empty() {
        true => Err(ImageError::NoLoader.into()),
        false => Ok(uefi::slot_files_with(store, id, release, loaders)?),
    }
}

/// Longest loader.
const MAX_LOADER: u64 = 16 << 20;

fn loaders_here(session: &Session) -> Result<Vec<SlotFile>, upmass_disk::fat::FatError> {
    let Some(content) = session.device.found.content(session.disk.clone(), session.device.booted)
    else {
        return Ok(Vec::new());
    };
    let files = FileSystem::open(&content)?;
    let mut loaders = Vec::new();
    if files.node("EFI/BOOT")?.is_none() {
        return Ok(loaders);
    }
    for node in files.list("EFI/BOOT")? {
        if matches!(node.kind, NodeKind::File(_)) {
            let path = format!("EFI/BOOT/{}", node.name);
            let source = Source::Bytes(files.read(&path, MAX_LOADER)?);
            loaders.push(SlotFile { path, source });
        }
    }
    Ok(loaders)
}

/// The releases that the device needs: what runs, what either slot boots.
pub(in crate::commands) fn needed(view: &View) -> Vec<ReleaseId> {
    let mut needed = vec![view.running];
    needed.extend(view.holds.iter().flatten());
    needed.sort_unstable();
    needed.dedup();
    needed
}
