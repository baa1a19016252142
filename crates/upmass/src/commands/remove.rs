//! `upmass remove`

use serde_json::json;

use crate::arguments::Remove;
use crate::{Outcome, output, releases};

pub fn run(arguments: &Remove) -> Outcome {
    let store = super::open_for_writing(&arguments.store)?;
    let (id, release) = releases::find(&store, &arguments.release)?;
    store.remove_release(id)?;
    if arguments.json.json {
        return output::json(json!({ "removed": id.to_string() }));
    }
    let version = release.version().unwrap_or_default();
    output::line(&format!("{id} {version}"))?;
    output::note("not kept any more; `upmass collect` gives the space back");
    Ok(())
}
