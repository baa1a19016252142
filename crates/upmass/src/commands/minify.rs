//! `upmass minify`

pub mod report;

use std::path::Path;

use serde_json::json;
use upmass_checkout::checkout_component;
use upmass_format::patch::{COMPONENT, release};
use upmass_format::tree::MtimePolicy;
use upmass_import::{ImportError, ImportOptions, IndexUse, import_directory};
use upmass_minify::{Count, DirectoryFiles, Drop, Minified, Options, Verdict, minify, minify_tree};

use self::report::{explained, report, shown};
use crate::arguments::Minify;
use crate::failure::{Failure, Kind};
use crate::scratch::Scratch;
use crate::{Outcome, output, plain, progress};

pub fn run(arguments: &Minify) -> Outcome {
    let options = options(arguments)?;
    for path in arguments.output.iter().chain(&arguments.report) {
        plain::expect_nothing_at(path)?;
        expect_outside(path, &arguments.directory)?;
    }
    let minified = match &arguments.output {
        Some(output) => write(arguments, &options, output)?,
        None => {
            let files = DirectoryFiles::open(&arguments.directory)?;
            let bar = progress::bytes(LOOKING, None);
            let minified = minify(&files, &options, &|bytes| bar.inc(bytes))?;
            bar.finish_and_clear();
            minified
        }
    };
    if let Some(path) = &arguments.explain {
        return explain(&minified, path, arguments.json.json);
    }
    if let (Some(path), None) = (&arguments.report, &arguments.output) {
        write_report(path, &minified)?;
    }
    if arguments.json.json { output::json(report::summary(&minified)) } else { tables(&minified) }
}

/// Imports the system into a store that lives as long as the command, writes what stays beside the
/// target, and then gives it its name. A report is written before that, so that nothing is there
/// without it.
fn write(arguments: &Minify, options: &Options, target: &Path) -> Result<Minified, Failure> {
    let scratch = Scratch::beside(target)?;
    let store = plain::store(&scratch)?;
    let bar = progress::bytes("reading", None);
    // Byte code of Python is only good for a source of the same time.
    let import = ImportOptions {
        mtimes: MtimePolicy::Kept,
        index: IndexUse::Rebuild,
        ..ImportOptions::default()
    };
    let imported = import_directory(&store, &arguments.directory, &import, &|bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let imported = imported.map_err(|error| match error {
        // By a way that names do not show, such as a bind mount.
        ImportError::StoreInside { .. } => inside(target, &arguments.directory),
        error => error.into(),
    })?;
    imported.warnings.iter().for_each(output::note);
    let bar = progress::bytes(LOOKING, None);
    let minified = minify_tree(&store, imported.tree, options, &|bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let (tree, minified) = minified?;
    let id = store.record(&release(upmass_format::patch::Kind::Directory, tree))?;
    // Not at its name, nor beside it: a signal removes all that is in the scratch directory.
    let whole = scratch.join("system");
    let bar = progress::bytes("writing", None);
    let durable = upmass_checkout::Options { durable: true, ..Default::default() };
    let written = checkout_component(&store, id, COMPONENT, &whole, &durable, &mut |bytes| {
        bar.set_position(bytes)
    });
    bar.finish_and_clear();
    written?;
    if let Some(path) = &arguments.report {
        write_report(path, &minified)?;
    }
    plain::publish(&whole, target)?;
    Ok(minified)
}

/// Refuses to write into what is only read.
fn expect_outside(path: &Path, source: &Path) -> Result<(), Failure> {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let parent = parent.unwrap_or(Path::new("."));
    let real = |path: &Path| {
        std::fs::canonicalize(path).map_err(|error| Failure::io("look at", path, error))
    };
    match real(parent)?.starts_with(real(source)?) {
        true => Err(inside(path, source)),
        false => Ok(()),
    }
}

fn inside(path: &Path, source: &Path) -> Failure {
    Failure::refused(format_args!(
        "{} is inside {}, which is only read: write it elsewhere",
        path.display(),
        source.display()
    ))
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
        boot: match arguments.boot.is_empty() {
            true => None,
            false => Some(Options::globs(&arguments.boot).map_err(usage)?),
        },
        times_are_lost: false,
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

/// Says why a path stays or goes.
pub fn explain(minified: &Minified, path: &str, is_json: bool) -> Outcome {
    let absolute = format!("/{}", path.trim_matches('/'));
    let steps = minified.chain(absolute.as_bytes())?;
    if is_json {
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

const LOOKING: &str = "looking at what is needed";
