//! `upmass log`

use serde_json::json;

use crate::arguments::Log;
use crate::{Outcome, output};

pub fn run(arguments: &Log) -> Outcome {
    let store = super::open(&arguments.store)?;
    let mut releases = Vec::new();
    for id in store.releases()? {
        releases.push((id, store.release(id)?));
    }
    releases.sort_by(|(a_id, a), (b_id, b)| {
        (&a.machine, a.counter, a_id).cmp(&(&b.machine, b.counter, b_id))
    });
    if arguments.json.json {
        let releases: Vec<_> = releases
            .iter()
            .map(|(id, release)| {
                json!({
                    "release": id.to_string(),
                    "release_version": release.version(),
                    "machine": release.machine,
                    "counter": release.counter,
                    "systems": release.systems.iter().map(|s| &s.name).collect::<Vec<_>>(),
                })
            })
            .collect();
        return output::json(json!({ "releases": releases }));
    }
    let mut rows = Vec::new();
    for (id, release) in &releases {
        let systems: Vec<&str> = release.systems.iter().map(|system| &system.name[..]).collect();
        rows.push(vec![
            format!("{} ", id.short()),
            release.version().unwrap_or("-").to_owned(),
            format!("{} #{}", release.machine, release.counter),
            systems.join(", "),
        ]);
    }
    for row in rows {
        output::line(row.join("  ").trim_end())?;
    }
    Ok(())
}
