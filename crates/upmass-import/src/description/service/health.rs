//! What tells whether a service is well: a program in `/etc/upmass/health.d`, which ends with 0 when it is.

use super::plan::Plan;
use super::{Restart, Runtime};

/// A shell script that waits until the service is well, for a minute at most. A service that keeps ending
/// is not, even where nothing else asks for its health.
pub(super) fn script(plan: &Plan<'_>) -> Vec<u8> {
    let unit = format!("{}.service", plan.name);
    let runs = match plan.run.restart {
        // It may have done its work and ended.
        Restart::No => format!("! systemctl is-failed --quiet {unit}"),
        _ => format!("systemctl is-active --quiet {unit}"),
    };
    let command = &plan.run.health;
    let check = match command.is_empty() {
        true => runs,
        false => {
            let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
            format!("{runs} && {} {}", enter(plan), words.join(" "))
        }
    };
    format!(
        "#!/bin/sh\n# Whether service {} is well.\nleft=60\nuntil {check}; do\n    left=$((left - 1))\n    \
         [ $left -gt 0 ] || {{ echo 'service {} is not well' >&2; exit 1; }}\n    sleep 1\ndone\n",
        plan.name, plan.name
    )
    .into_bytes()
}

/// What runs a command in the service.
fn enter(plan: &Plan<'_>) -> String {
    let unit = format!("{}.service", plan.name);
    match plan.run.runtime {
        Runtime::Crun => format!("crun exec {}", super::crun::id(plan)),
        Runtime::Systemd => format!(
            "nsenter --mount --net --ipc --root --wd --target \"$(systemctl show -P MainPID {unit})\" \
             --setuid {} --setgid {} --",
            plan.account.uid, plan.account.gid
        ),
    }
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
