//! `upmass status`

use serde_json::{Value, json};
use upmass_boot::ToldBy;
use upmass_boot::attempt::AttemptState;
use upmass_boot::policy::Phase;
use upmass_disk::gpt::Slot;
use upmass_format::ReleaseId;
use upmass_store::Store;

use crate::arguments::Status;
use crate::device::{Access, Difference, Entry, Session, compare};
use crate::failure::Failure;
use crate::{Outcome, output};

/// So many names of `/etc` are printed as text.
const SHOWN: usize = 20;

pub fn run(arguments: &Status) -> Outcome {
    let session = Session::open(&arguments.device.root, Access::Read)?;
    let device = &session.device;
    // Nothing is written, and what is said is true as if it had been.
    let view = session.view()?.reconciled();
    let store = session.store()?;
    let drift = drift(&session)?;
    let system_space = session.system_space()?;
    let data_space = session.data()?.space()?;
    let loader = session.loader();
    let told = match &loader {
        Ok(loader) => (loader.chosen()?, loader.preferred()?),
        Err(_) => (None, None),
    };
    let entries = session.entries(view.next()).unwrap_or_default();
    let named = |entry: &Option<String>| {
        let known = entry.as_ref()?;
        let found = entries.iter().find(|found: &&Entry| found.id.eq_ignore_ascii_case(known));
        Some(found.map_or_else(|| known.clone(), |found| found.system.clone()))
    };
    let (once, preferred) = (named(&told.0), named(&told.1));
    let phase = match view.phase() {
        Phase::Settled => "settled",
        Phase::Armed(_) => "armed",
        Phase::Trial => "trial",
        Phase::Leaving => "leaving",
    };
    let attempt = view.attempt.as_ref().map(|attempt| {
        let (state, reason) = match &attempt.state {
            AttemptState::Armed => ("armed", None),
            AttemptState::Begun => ("begun", None),
            AttemptState::Failed(reason) => ("failed", Some(reason.as_str())),
            AttemptState::Left => ("left", None),
        };
        (attempt.release, state, reason)
    });
    if arguments.json.json {
        let slots: Vec<Value> = Slot::ALL
            .iter()
            .map(|slot| {
                let release = view.holds(*slot);
                json!({
                    "name": slot.name(),
                    "release": release.map(|id| id.to_string()),
                    "release_version": release.and_then(|id| version(&store, id)),
                    "active": *slot == view.active,
                    "booted": *slot == view.booted,
                    "bytes": device.found.layout.slot(*slot).range.len(),
                })
            })
            .collect();
        let next = view.holds(view.next());
        return output::json(json!({
            "disk": device.disk.display().to_string(),
            "release": device.release.to_string(),
            "release_version": version(&store, device.release),
            "system": device.system,
            "phase": phase,
            "booted_slot": view.booted.name(),
            "booted_told_by": told_by(device.told_by),
            "active_slot": view.active.name(),
            "next_slot": view.next().name(),
            "next_release": next.map(|id| id.to_string()),
            "next_system_once": once,
            "preferred_system": preferred,
            "last_attempt": attempt.map(|(release, state, reason)| json!({
                "release": release.to_string(),
                "state": state,
                "reason": reason,
            })),
            "can_try": loader.is_ok_and(|loader| loader.check().is_ok()),
            "slots": slots,
            "system_free_bytes": system_space.0,
            "system_bytes": system_space.1,
            "data_free_bytes": data_space.0,
            "data_bytes": data_space.1,
            "etc": drift.iter().map(|difference| json!({
                "path": format!("/etc/{}", difference.path),
                "change": difference.change.word(),
            })).collect::<Vec<_>>(),
        }));
    }
    let named = |id: ReleaseId| match version(&store, id) {
        Some(version) => format!("{version} ({})", id.short()),
        None => id.short(),
    };
    let line = |key: &str, text: String| output::line(&format!("{key:8} {text}"));
    line("running", format!("system {} of release {}", device.system, named(device.release)))?;
    line("disk", format!("{}, started from {}", device.disk.display(), view.booted))?;
    for slot in Slot::ALL {
        let release = view.holds(slot).map_or_else(|| "no release".to_owned(), named);
        let active = if slot == view.active { ", active" } else { "" };
        line(slot.name(), format!("{release}{active}"))?;
    }
    let next = view.holds(view.next()).map_or_else(|| "nothing".to_owned(), named);
    let system = match (&once, &preferred) {
        (Some(once), _) => format!(", system {once} (once)"),
        (None, Some(preferred)) => format!(", system {preferred}"),
        (None, None) => String::new(),
    };
    line(
        "next",
        match view.phase() {
            Phase::Settled => format!("release {next}{system}"),
            Phase::Armed(_) => format!("release {next}{system}, to try it once"),
            Phase::Trial => format!(
                "release {next}{system}: release {} is on trial until `upmass confirm`",
                device.release.short()
            ),
            Phase::Leaving => format!("release {next}{system}: the other slot was made active"),
        },
    )?;
    if let Some((release, state, reason)) = attempt {
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        line("attempt", format!("release {} {state}{reason}", release.short()))?;
    }
    if let Err(failure) = loader {
        line("trials", format!("not possible: {}", failure.message()))?;
    }
    let space = |(free, all): (u64, u64)| {
        format!("{} of {} bytes free", output::bytes(free), output::bytes(all))
    };
    line("system", space(system_space))?;
    line("data", space(data_space))?;
    line(
        "/etc",
        match drift.len() {
            0 => "as the release has it".to_owned(),
            count => format!("{count} names differ from the release"),
        },
    )?;
    for Difference { path, change } in drift.iter().take(SHOWN) {
        output::line(&format!("         {:7} /etc/{path}", change.word()))?;
    }
    if drift.len() > SHOWN {
        output::line(&format!("         and {} more (--json)", drift.len() - SHOWN))?;
    }
    Ok(())
}

fn version(store: &Store, id: ReleaseId) -> Option<String> {
    store.release(id).ok()?.version().map(str::to_owned)
}

const fn told_by(told_by: ToldBy) -> &'static str {
    match told_by {
        ToldBy::Loader => "loader",
        ToldBy::CommandLine => "command line",
        ToldBy::Release => "release",
    }
}

fn drift(session: &Session) -> Result<Vec<Difference>, Failure> {
    let device = &session.device;
    let release = session.systems().join(device.release.to_string()).join(&device.system);
    let etc = session.path("etc");
    compare(&release.join("etc"), &etc).map_err(|error| Failure::io("compare", &etc, error))
}
