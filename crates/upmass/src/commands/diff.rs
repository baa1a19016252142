//! `upmass diff`

use serde_json::json;
use upmass_build::{ChangeKind, changes, pair};
use upmass_format::ReleaseId;
use upmass_store::Store;

use crate::arguments::Diff;
use crate::{Outcome, output, releases};

pub fn run(arguments: &Diff) -> Outcome {
    let store = releases::open(&arguments.store, &[&arguments.old, &arguments.new])?;
    let (old, _) = releases::find(&store, &arguments.old)?;
    let (new, _) = releases::find(&store, &arguments.new)?;
    if arguments.pairs {
        return pairs(&store, old, new, arguments.json.json);
    }
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

/// Which old component each new one is made from.
fn pairs(store: &Store, old: ReleaseId, new: ReleaseId, as_json: bool) -> Outcome {
    let pairing = pair(store, old, new)?;
    let (old_release, new_release) = (store.release(old)?, store.release(new)?);
    let old_name = |index: usize| &old_release.components[index].name;
    let new_name = |index: usize| &new_release.components[index].name;
    let mut is_left = vec![true; old_release.components.len()];
    pairing.pairs.iter().for_each(|pair| is_left[pair.old] = false);
    let removed = || (0..is_left.len()).filter(|index| is_left[*index]).map(old_name);
    let mut of_new = vec![None; new_release.components.len()];
    pairing.pairs.iter().for_each(|pair| of_new[pair.new] = Some(*pair));
    let base = |new: usize| {
        pairing.bases.iter().find(|(other, ..)| *other == new).map(|base| (base.1, base.2))
    };
    if as_json {
        let components: Vec<_> = of_new
            .iter()
            .enumerate()
            .map(|(new, pair)| match pair {
                Some(pair) => json!({
                    "new": new_name(new),
                    "old": old_name(pair.old),
                    "why": pair.why.word(),
                    "reason": pair.why.to_string(),
                }),
                None => json!({
                    "new": new_name(new),
                    "base": base(new).map(|(old, _)| old_name(old)),
                    "alike": base(new).map(|(_, share)| share),
                }),
            })
            .collect();
        return output::json(json!({
            "old": old.to_string(),
            "new": new.to_string(),
            "components": components,
            "removed": removed().collect::<Vec<_>>(),
        }));
    }
    for (new, pair) in of_new.iter().enumerate() {
        output::line(&match (pair, base(new)) {
            (Some(pair), _) if old_name(pair.old) == new_name(new) => {
                format!("=  {}", new_name(new))
            }
            (Some(pair), _) => {
                format!("~  {} from {}: {}", new_name(new), old_name(pair.old), pair.why)
            }
            (None, Some((old, share))) => {
                let share = share * 100.0;
                format!("+  {} like {}: {share:.0} % alike", new_name(new), old_name(old))
            }
            (None, None) => format!("+  {}", new_name(new)),
        })?;
    }
    for name in removed() {
        output::line(&format!("-  {name}"))?;
    }
    let same = pairing.pairs.iter().filter(|pair| old_name(pair.old) == new_name(pair.new)).count();
    output::note(format_args!(
        "{same} components keep their names, {} are new versions of others, {} are new, {} are gone",
        pairing.pairs.len() - same,
        of_new.len() - pairing.pairs.len(),
        removed().count(),
    ));
    Ok(())
}
