//! `upmass collect`

use serde_json::json;

use crate::arguments::Collect;
use crate::{Outcome, output};

pub fn run(arguments: &Collect) -> Outcome {
    let store = super::open_for_writing(&arguments.store)?;
    let collected = store.collect(arguments.dry_run);
    super::report_steps();
    let collected = collected?;
    if arguments.json.json {
        return output::json(json!({
            "dry_run": arguments.dry_run,
            "removed": collected.removed,
            "removed_bytes": collected.removed_bytes,
            "kept": collected.kept,
            "kept_bytes": collected.kept_bytes,
            "abandoned": collected.abandoned,
        }));
    }
    output::line(&format!(
        "{} {} objects of {} bytes and {} unfinished files; {} objects of {} bytes stay",
        if arguments.dry_run { "would remove" } else { "removed" },
        output::bytes(collected.removed),
        output::bytes(collected.removed_bytes),
        output::bytes(collected.abandoned),
        output::bytes(collected.kept),
        output::bytes(collected.kept_bytes),
    ))
}
