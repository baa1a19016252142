//! `upmass health`

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use upmass_boot::attempt::Reason;
use upmass_boot::policy::Phase;

use super::confirm::confirm;
use crate::arguments::Health;
use crate::device::{Access, Session, restart};
use crate::failure::{Failure, Kind};
use crate::{Outcome, output};

pub fn run(arguments: &Health) -> Outcome {
    let root = &arguments.device.root;
    let session = Session::open(root, Access::Write)?;
    // Says of the attempt that it has begun, before anything can go wrong with it.
    let phase = session.control()?.view()?.phase();
    let is_trial = phase == Phase::Trial;
    let directory = session.path("etc/upmass/health.d");
    let deadline = Duration::from_secs(arguments.deadline);
    let checked = check(&directory, deadline).and_then(|checks| match is_trial {
        true => confirm(&session).map(|_| checks).map_err(|failure| failure.message()),
        false => Ok(checks),
    });
    if arguments.json.json {
        output::json(json!({
            "release": session.device.release.to_string(),
            "trial": is_trial,
            "healthy": checked.is_ok(),
            "confirmed": is_trial && checked.is_ok(),
            "checks": checked.as_ref().ok(),
            "reason": checked.as_ref().err(),
        }))?;
    }
    match checked {
        Ok(checks) => {
            let kept = if is_trial { "; confirmed" } else { "" };
            output::note(format_args!("{} checks passed{kept}", checks.len()));
            Ok(())
        }
        Err(reason) if is_trial => fall_back(&session, root, &reason),
        Err(reason) => Err(Failure::new(Kind::Failed, reason)),
    }
}

/// Stores the reason and restarts. The old release boots by itself, whatever fails here.
fn fall_back(session: &Session, root: &Path, reason: &str) -> Outcome {
    let stored = session.control().and_then(|control| Ok(control.give_up(Reason::new(reason))?));
    if let Err(failure) = stored {
        output::note(format_args!("the reason is not stored: {}", failure.message()));
    }
    output::note(format_args!("{reason}; restarting into the old release"));
    restart(root)?;
    Err(Failure::new(Kind::Failed, reason))
}

/// Runs the checks, and gives their names; or why the device is not healthy, in one sentence.
fn check(directory: &Path, deadline: Duration) -> Result<Vec<String>, String> {
    let end = Instant::now() + deadline;
    let checks = checks(directory)
        .map_err(|error| format!("the checks in {} are not read: {error}", directory.display()))?;
    let mut passed = Vec::new();
    for path in checks {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        output::note(format_args!("check {name}"));
        let child = Command::new(&path)
            .stdin(Stdio::null())
            // The result of this command is all that it prints.
            .stdout(std::io::stderr())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("check {name} does not start: {error}"))?;
        match wait(child, end) {
            Ok(Some(status)) if status.success() => passed.push(name),
            Ok(Some(status)) => return Err(format!("check {name} failed: {status}")),
            Ok(None) => {
                let seconds = deadline.as_secs();
                return Err(format!("check {name} was not done after {seconds} seconds in all"));
            }
            Err(error) => return Err(format!("check {name} was lost: {error}")),
        }
    }
    Ok(passed)
}

/// The executable files of a directory, by name. None when there is no directory.
fn checks(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut checks = Vec::new();
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(checks),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
        // Symlinks are followed: a check may be a program of the system.
        let found = std::fs::metadata(&path)?;
        if found.is_file() && found.permissions().mode() & 0o111 != 0 && !is_hidden {
            checks.push(path);
        }
    }
    checks.sort();
    Ok(checks)
}

/// Waits for a check. `None` when it was not done in time: then it is killed, with all that it
/// started.
fn wait(mut child: Child, end: Instant) -> std::io::Result<Option<std::process::ExitStatus>> {
    const PAUSE: Duration = Duration::from_millis(20);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // It leads a group of its own.
            let group = Pid::from_child(&child);
            kill_process_group(group, Signal::KILL)?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(left.min(PAUSE));
    }
}
