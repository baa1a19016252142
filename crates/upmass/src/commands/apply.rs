//! `upmass apply`

use std::fs::File;

use serde_json::json;
use upmass_apply::{Limits, Outcome as Applied, Received, Trust};

use crate::arguments::Apply;
use crate::failure::{Failure, Kind};
use crate::{Outcome, keys, output, progress};

pub fn run(arguments: &Apply) -> Outcome {
    let trust = match (&arguments.trust, arguments.allow_unsigned) {
        (Some(directory), false) => keys::trust(directory)?,
        (None, true) => {
            output::note("WARNING: signatures are not checked (--allow-unsigned)");
            Trust::anything()
        }
        _ => {
            let message = "expected --trust DIR with the public keys (*.pub) that are trusted";
            return Err(Failure::new(Kind::Usage, message));
        }
    };
    let path = &arguments.update;
    let file = File::open(path).map_err(|error| Failure::io("open", path, error))?;
    let verified = Received::read(&file)?.verify(&trust)?;
    let header = verified.header().clone();
    let signed_by = verified.signed_by();
    // A device without a store can only start with a full update.
    let store = match header.base {
        Some(_) => super::open_for_writing(&arguments.store)?,
        None => super::open_or_create(&arguments.store)?,
    };
    let limits = Limits {
        machine: arguments.machine.clone(),
        memory_kib: arguments.memory_limit.map(|mib| mib << 10),
    };
    let bar = progress::bytes("rebuilding", None);
    let applied = verified.fit(&store, &limits)?.apply(&mut |progress| {
        bar.set_position(progress.bytes);
    });
    bar.finish_and_clear();
    super::report_steps();
    let applied = applied?;
    if arguments.json.json {
        output::json(json!({
            "release": applied.release.to_string(),
            "applied": applied.outcome == Applied::Recorded,
            "signed_by": signed_by.map(|key| key.to_string()),
        }))?;
    } else if applied.outcome == Applied::Recorded {
        output::line(&applied.release.to_string())?;
    }
    match applied.outcome {
        Applied::Recorded => Ok(()),
        Applied::AlreadyThere => Err(Failure::new(
            Kind::NothingToDo,
            format_args!("release {} is there already", applied.release.short()),
        )),
    }
}
