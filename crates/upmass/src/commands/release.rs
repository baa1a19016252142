//! `upmass release`

use std::path::PathBuf;

use serde_json::json;
use upmass_import::{import_release, read_description};

use crate::arguments::ReleaseArguments;
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
    Ok(())
}

/// The init program for initial RAM disks is installed beside this command.
fn init_program() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.join("upmass-init"))
}
