//! `upmass apply`

mod device;
mod room;

pub(super) use device::needed;

use std::fs::File;
use std::path::Path;

use serde_json::json;
use upmass_apply::{Applied, Limits, Outcome as Done, Received, Trust, Verified};
use upmass_store::Store;

use crate::arguments::{Apply, StoreArgument};
use crate::failure::{Failure, Kind};
use crate::{Outcome, keys, output, progress};

pub fn run(arguments: &Apply) -> Outcome {
    match &arguments.place.store {
        Some(store) => to_store(arguments, store),
        None => device::run(arguments),
    }
}

/// Applies an update to a store, and nothing else.
fn to_store(arguments: &Apply, store: &Path) -> Outcome {
    let trust = trust(arguments)?.ok_or_else(|| {
        let message = "expected --trust DIR with the public keys (*.pub) that are trusted";
        Failure::new(Kind::Usage, message)
    })?;
    let file = open(&arguments.update)?;
    let verified = Received::read(&file)?.verify(&trust)?;
    let signed_by = verified.signed_by();
    // A device without a store can only start with a full update.
    let store = StoreArgument { store: store.to_owned() };
    let store = match verified.header().base {
        Some(_) => super::open_for_writing(&store)?,
        None => super::open_or_create(&store)?,
    };
    let applied = rebuild(verified, &store, arguments)?;
    if arguments.json.json {
        output::json(json!({
            "release": applied.release.to_string(),
            "applied": applied.outcome == Done::Recorded,
            "signed_by": signed_by.map(|key| key.to_string()),
        }))?;
    } else if applied.outcome == Done::Recorded {
        output::line(&applied.release.to_string())?;
    }
    match applied.outcome {
        Done::Recorded => Ok(()),
        Done::AlreadyThere => Err(Failure::new(
            Kind::NothingToDo,
            format_args!("release {} is there already", applied.release.short()),
        )),
    }
}

/// Whom the words of the command trust; `None` when they say nothing of it.
fn trust(arguments: &Apply) -> Result<Option<Trust>, Failure> {
    Ok(match (&arguments.trust, arguments.allow_unsigned) {
        (Some(directory), _) => Some(keys::trust(directory)?),
        (None, true) => {
            output::note("WARNING: signatures are not checked (--allow-unsigned)");
            Some(Trust::anything())
        }
        (None, false) => None,
    })
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| Failure::io("open", path, error))
}

/// Makes the release in the store.
fn rebuild(verified: Verified<'_>, store: &Store, arguments: &Apply) -> Result<Applied, Failure> {
    let limits = Limits {
        machine: arguments.machine.clone(),
        memory_kib: arguments.memory_limit.map(|mib| mib << 10),
        ..Limits::default()
    };
    let bar = progress::bytes("rebuilding", None);
    let applied = verified.fit(store, &limits)?.apply(&mut |progress| {
        bar.set_position(progress.bytes);
    });
    bar.finish_and_clear();
    super::report_steps();
    Ok(applied?)
}
