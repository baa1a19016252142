//! `upmass release`

use std::path::PathBuf;

use serde_json::{Value, json};
use upmass_import::{ImportedRelease, MinifiedSystem, import_release, read_description};

use super::minify::report::{explained, report, summary};
use crate::arguments::ReleaseArguments;
use crate::failure::{Failure, Kind};
use crate::{Outcome, output, progress};

pub fn run(arguments: &ReleaseArguments) -> Outcome {
    let mut description = read_description(&arguments.description)?;
    if let Some(path) = init_program() {
        description.set_init_program(path);
    }
    let store = super::open_or_create(&arguments.store)?;
    let bar = progress::bytes("importing", None);
    let imported = import_release(&store, &description, &|bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    if let Some(path) = &arguments.explain {
        return explain(&imported, path, arguments.json.json);
    }
    if let Some(path) = &arguments.report {
        let report = json!({ "version": 1, "systems": reports(&imported) });
        output::file(path, &[report.to_string().as_bytes()])?;
    }
    let recorded = store.record(&imported.release);
    super::report_steps();
    let id = recorded?;
    imported.warnings.iter().for_each(output::note);
    let files: u64 = imported.components.iter().map(|component| component.files).sum();
    let bytes: u64 = imported.components.iter().map(|component| component.bytes).sum();
    let hashed: u64 = imported.components.iter().map(|component| component.hashed_bytes).sum();
    if arguments.json.json {
        return output::json(json!({
            "release": id.to_string(),
            "release_version": description.version(),
            "machine": description.machine(),
            "components": imported.components.len(),
            "files": files,
            "bytes": bytes,
            "hashed_bytes": hashed,
            "warnings": imported.warnings,
            "minified": summaries(&imported),
        }));
    }
    output::line(&format!("{id} {}", description.version()))?;
    output::note(format_args!(
        "{} components, {} files, {} bytes ({} hashed)",
        imported.components.len(),
        output::bytes(files),
        output::bytes(bytes),
        output::bytes(hashed)
    ));
    for MinifiedSystem { system, minified, .. } in &imported.minified {
        let (before, after) = minified.totals();
        output::note(format_args!(
            "system {system}: {} of {} bytes stay (level {})",
            output::bytes(after.bytes),
            output::bytes(before.bytes),
            minified.level()
        ));
    }
    Ok(())
}

/// Totals for each system that was made smaller.
fn summaries(imported: &ImportedRelease) -> Value {
    imported.minified.iter().map(|made| (made.system.clone(), summary(&made.minified))).collect()
}

/// Every path, for each system.
fn reports(imported: &ImportedRelease) -> Value {
    imported.minified.iter().map(|made| (made.system.clone(), report(&made.minified))).collect()
}

/// Says, for each system that has the path, why it stays or goes.
fn explain(imported: &ImportedRelease, path: &str, is_json: bool) -> Outcome {
    if imported.minified.is_empty() {
        return Err(Failure::new(
            Kind::Usage,
            "--explain: the description has no [minify], so all of every source stays",
        ));
    }
    let absolute = format!("/{}", path.trim_matches('/'));
    let having = |made: &&MinifiedSystem| made.minified.verdict(absolute.as_bytes()).is_some();
    let mut systems: Vec<&MinifiedSystem> = imported.minified.iter().filter(having).collect();
    if systems.is_empty() {
        // One of them says that there is no such path.
        systems.extend(imported.minified.first());
    }
    if is_json {
        let explained = systems
            .iter()
            .map(|made| Ok((made.system.clone(), explained(&made.minified, &absolute)?)));
        let explained = explained.collect::<Result<serde_json::Map<_, _>, Failure>>()?;
        return output::json(json!({ "systems": explained }));
    }
    for made in systems {
        if imported.minified.len() > 1 {
            output::line(&format!("system {}:", made.system))?;
        }
        super::minify::explain(&made.minified, &absolute, false)?;
    }
    Ok(())
}

/// The init program for initial RAM disks is installed beside this command.
fn init_program() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.join("upmass-init"))
}
