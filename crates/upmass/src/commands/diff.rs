//! `upmass diff`

use serde_json::json;
use upmass_build::{ChangeKind, changes};

use crate::arguments::Diff;
use crate::{Outcome, output, releases};

pub fn run(arguments: &Diff) -> Outcome {
    let store = releases::open(&arguments.store, &[&arguments.old, &arguments.new])?;
    let (old, _) = releases::find(&store, &arguments.old)?;
    let (new, _) = releases::find(&store, &arguments.new)?;
    let changes = changes(&store, old, new)?;
    if arguments.json.json {
        let changes: Vec<_> = changes
            .iter()
            .map(|change| {
                json!({
                    "component": change.component,
                    "path": format!("/{}", change.path),
                    "kind": change.kind.word(),
                    "old_bytes": change.old_size,
                    "new_bytes": change.new_size,
                })
            })
            .collect();
        return output::json(json!({
            "old": old.to_string(),
            "new": new.to_string(),
            "changes": changes,
        }));
    }
    for change in &changes {
        let mark = match change.kind {
            ChangeKind::Added => '+',
            ChangeKind::Removed => '-',
            ChangeKind::Content => '~',
            ChangeKind::Attributes => 'a',
        };
        let (old, new) = (output::bytes(change.old_size), output::bytes(change.new_size));
        let path = format!("{}:/{}", change.component, change.path);
        output::line(&format!("{mark} {old:>13} {new:>13}  {path}"))?;
    }
    let count = |kind| changes.iter().filter(|change| change.kind == kind).count();
    output::note(format_args!(
        "{} added, {} removed, {} changed ({} bytes now), {} with other attributes",
        count(ChangeKind::Added),
        count(ChangeKind::Removed),
        count(ChangeKind::Content),
        output::bytes(
            changes.iter().filter(|c| c.kind == ChangeKind::Content).map(|c| c.new_size).sum()
        ),
        count(ChangeKind::Attributes),
    ));
    Ok(())
}
