//! `upmass report`

use std::fs::File;
use std::path::Path;

use serde_json::json;
use upmass_apply::{Received, inspect};
use upmass_format::update::Header;
use upmass_report::{Report, html, report_release, report_update};
use upmass_store::Store;

use crate::arguments::Report as Arguments;
use crate::failure::Failure;
use crate::{Outcome, output, releases};

/// How many of the costliest are printed.
const ROWS: usize = 20;

pub fn run(arguments: &Arguments) -> Outcome {
    let Arguments { what, output, .. } = arguments;
    let path = Path::new(what);
    let report = match path.is_file() {
        true => of_update(path, &Store::open(&arguments.store.store)?)?,
        false => {
            let store = releases::open(&arguments.store, &[what])?;
            let (id, release) = releases::find(&store, what)?;
            report_release(&store, id, &release)?
        }
    };
    if let Some(path) = output {
        output::file(path, &[html(&report).as_bytes()])?;
        output::note(format_args!("{} shows all of it", path.display()));
    }
    match arguments.json.json {
        true => output::json(json!({ "report": report })),
        false => print(&report),
    }
}

fn of_update(path: &Path, store: &Store) -> Result<Report, Failure> {
    let file = File::open(path).map_err(|error| Failure::io("open", path, error))?;
    let received = Received::read(&file)?;
    let header = received.header();
    let inspection = inspect(&received, store)?;
    if inspection.components.is_none() {
        return Err(Failure::refused(format_args!(
            "{}: the store has no release {}…, from which this update leads; give --store one that has it",
            path.display(),
            header.base.map_or_else(String::new, |base| base.to_string()),
        )));
    }
    let (from, to) = names(header, store)?;
    Ok(report_update(header, &inspection, (&from, &to)))
}

/// What people call the releases that an update leads from and to, as far as the store knows.
fn names(header: &Header, store: &Store) -> Result<(String, String), Failure> {
    let mut names = (
        header.base.map_or_else(|| "nothing".to_owned(), |base| format!("{base}…")),
        header.target.short().to_string(),
    );
    for id in store.releases()? {
        let Some(version) = store.release(id)?.version().map(str::to_owned) else { continue };
        if header.base.is_some_and(|base| base.matches(id)) {
            names.0.clone_from(&version);
        }
        if header.target == id {
            names.1 = version;
        }
    }
    Ok(names)
}

fn print(report: &Report) -> Outcome {
    output::line(&report.title)?;
    for (word, value) in &report.facts {
        output::line(&format!("{word:14}{value}"))?;
    }
    let total = report.root.bytes().round() as u64;
    let by_cause = report.root.by_cause(report.causes.len());
    let mut rows: Vec<_> = report.causes.iter().zip(by_cause).collect();
    rows.retain(|(_, bytes)| *bytes >= 0.5);
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    let row = |bytes: f64, text: String| {
        let bytes = bytes.round() as u64;
        vec![output::bytes(bytes), output::percent(bytes, total), text]
    };
    output::line("")?;
    let rows: Vec<_> =
        rows.into_iter().map(|(cause, bytes)| row(bytes, cause.label.to_owned())).collect();
    output::table(&rows)?;
    output::line("\nThe costliest:")?;
    let rows: Vec<_> = report
        .costliest(ROWS)
        .into_iter()
        .map(|(path, node, bytes)| {
            let cause = report.main_cause(node).map_or("", |cause| cause.label);
            let why = node.why.as_ref().map_or_else(String::new, |why| format!("; {why}"));
            row(bytes, format!("{path}: mostly {cause}{why}"))
        })
        .collect();
    output::table(&rows)
}
