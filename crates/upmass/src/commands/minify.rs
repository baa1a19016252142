//! `upmass minify`

mod report;

use std::path::Path;

use serde_json::json;
use upmass_minify::{Count, DirectoryFiles, Drop, Minified, Options, Verdict, minify};

use self::report::{explained, report, shown};
use crate::arguments::Minify;
use crate::failure::{Failure, Kind};
use crate::{Outcome, output, plain, progress};

pub fn run(arguments: &Minify) -> Outcome {
    let options = options(arguments)?;
    if let Some(path) = &arguments.report {
        plain::expect_nothing_at(path)?;
    }
    let files = DirectoryFiles::open(&arguments.directory)?;
    let bar = progress::bytes("looking at what is needed", None);
    let minified = minify(&files, &options, &|bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    if let Some(path) = &arguments.explain {
        return explain(arguments, &minified, path);
    }
    if let Some(path) = &arguments.report {
        write_report(path, &minified)?;
    }
    if arguments.json.json { output::json(report::summary(&minified)) } else { tables(&minified) }
}

fn options(arguments: &Minify) -> Result<Options, Failure> {
    let listed = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let hardware = match &arguments.hardware {
        Some(path) => {
            let text = std::fs::read(path).map_err(|error| Failure::io("read", path, error))?;
            Some(Options::hardware_of(&String::from_utf8_lossy(&text)))
        }
        None => None,
    };
    let usage = |error| Failure::new(Kind::Usage, error);
    Ok(Options {
        level: arguments.level,
        keep: Options::globs(&arguments.keep).map_err(usage)?,
        drop: Options::globs(&arguments.drop).map_err(usage)?,
        roots: arguments.root.clone(),
        locales: listed(&arguments.locale),
        time_zones: listed(&arguments.time_zone),
        terminals: listed(&arguments.terminal),
        hardware,
        strip: false,
    })
}

/// What goes, by rule, and what is left.
fn tables(minified: &Minified) -> Outcome {
    let (before, after) = minified.totals();
    let row = |count: Count, what: &str| {
        vec![output::bytes(count.bytes), output::bytes(count.files), what.to_owned()]
    };
    let mut rows = vec![row(before, "bytes and files were there")];
    let mut dropped: Vec<_> = minified.dropped_by().into_iter().collect();
    dropped.sort_by_key(|(word, count)| (std::cmp::Reverse(count.bytes), *word));
    for (word, count) in dropped {
        rows.push(row(count, &format!("go: {word}")));
    }
    rows.push(row(after, "stay"));
    output::table(&rows)
}

fn explain(arguments: &Minify, minified: &Minified, path: &str) -> Outcome {
    let absolute = format!("/{}", path.trim_matches('/'));
    let steps = minified.chain(absolute.as_bytes())?;
    if arguments.json.json {
        return output::json(explained(minified, &absolute)?);
    }
    let package = minified.package(absolute.as_bytes());
    let package = package.map(|name| format!(" (package {name})")).unwrap_or_default();
    if let Some(Verdict::Dropped(drop)) = minified.verdict(absolute.as_bytes()) {
        let why = match drop {
            Drop::Rule(rule) => format!("it is {} (rule {})", rule.what, rule.name),
            Drop::User(pattern) => format!("--drop {pattern} says so"),
            Drop::NotNeeded { .. } => "nothing that stays needs it".to_owned(),
        };
        output::line(&format!("{absolute}{package} goes: {why}"))?;
        return output::line(&format!("  to keep it: {}", drop.back(&absolute)));
    }
    output::line(&format!("{absolute}{package} stays:"))?;
    for (index, step) in steps.iter().enumerate() {
        let by = steps.get(index + 1).map(|next| format!("{} ", shown(&next.entry.path)));
        output::line(&format!("  {}", report::sentence(step.reason, by.as_deref())))?;
    }
    Ok(())
}

fn write_report(path: &Path, minified: &Minified) -> Outcome {
    let text = json!(report(minified)).to_string();
    std::fs::write(path, text).map_err(|error| Failure::io("write", path, error))
}
