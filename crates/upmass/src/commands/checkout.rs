//! `upmass checkout`

use serde_json::json;
use upmass_checkout::{Options, Owners, Registration, checkout_system};

use crate::arguments::Checkout;
use crate::{Outcome, output, progress, releases};

pub fn run(arguments: &Checkout) -> Outcome {
    let store = super::open(&arguments.store)?;
    let (id, _, system) = releases::find_system(&store, &arguments.system)?;
    let owners = if arguments.as_current_user { Owners::Current } else { Owners::Keep };
    let registration = if arguments.nix { Registration::Nix } else { Registration::None };
    let options =
        Options { owners, registration, durable: arguments.durable, ..Options::default() };
    let bar = progress::bytes("writing", None);
    let report = checkout_system(
        &store,
        id,
        system.as_deref(),
        &arguments.directory,
        &options,
        &mut |bytes| bar.set_position(bytes),
    )?;
    bar.finish_and_clear();
    if arguments.json.json {
        return output::json(json!({
            "release": id.to_string(),
            "directory": arguments.directory.display().to_string(),
            "entries": report.entries,
            "bytes": report.bytes,
            "registered": arguments.nix.then_some(report.registered),
        }));
    }
    output::note(format_args!(
        "{} entries, {} bytes in {}",
        output::bytes(report.entries),
        output::bytes(report.bytes),
        arguments.directory.display()
    ));
    Ok(())
}
