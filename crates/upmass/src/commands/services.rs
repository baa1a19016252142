//! `upmass services`

use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use upmass_format::release::System;
use upmass_store::Store;

use crate::arguments::Services;
use crate::failure::{Failure, Kind};
use crate::services::{installed, of_system, text};
use crate::{Outcome, output, releases};

pub fn run(arguments: &Services) -> Outcome {
    let (services, of) = match (&arguments.system, &arguments.place.store) {
        (Some(words), Some(store)) => {
            let store = Store::open(store)?;
            let (id, release, system) = releases::find_system(&store, words)?;
            let named = |known: &&System| Some(&known.name) == system.as_ref();
            let found = release.systems.iter().find(named);
            let system = found.unwrap_or(&release.systems[release.fallback]);
            let of = json!({ "release": id.to_string(), "system": system.name });
            (of_system(&store, &release, system)?, of)
        }
        (Some(_), None) => {
            let why = "a release is looked up in a store: give --store DIR";
            return Err(Failure::new(Kind::Usage, why));
        }
        (None, _) => {
            let root = &arguments.place.device.root;
            let mut services = installed(root)?;
            for service in &mut services {
                // Whoever looks into another directory asks of what is not running here.
                let is_here = root == Path::new("/");
                service["state"] = if is_here { state(text(service, "name")) } else { Value::Null };
            }
            (services, json!({}))
        }
    };
    if arguments.json.json {
        let mut object = of;
        object["services"] = services.into();
        return output::json(object);
    }
    if services.is_empty() {
        output::note("there are no services");
    }
    for service in &services {
        let field = |key: &str| text(service, key);
        let mut line = format!("{:20} ", field("name"));
        if arguments.system.is_none() {
            line.push_str(&format!("{:24} ", spoken(&service["state"])));
        }
        line.push_str(&format!("{} by {}", field("image"), field("runtime")));
        output::line(&line)?;
    }
    Ok(())
}

/// What systemd says of a service; `null` where it cannot be asked.
pub fn state(name: &str) -> Value {
    const PROPERTIES: &str = "LoadState,ActiveState,SubState,Result,MainPID,NRestarts,MemoryCurrent,ActiveEnterTimestamp";
    let unit = format!("{name}.service");
    let asked =
        Command::new("systemctl").args(["show", "--property", PROPERTIES, "--", &unit]).output();
    let Some(answer) = asked.ok().filter(|answer| answer.status.success()) else {
        return Value::Null;
    };
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    properties(&text)
}

/// `KEY=VALUE` in lines; what is a number becomes one, and what is not set is left out.
fn properties(text: &str) -> Value {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let fields = lines.filter(|(_, value)| !value.is_empty() && *value != "[not set]");
    let fields = fields.map(|(key, value)| match value.parse::<u64>() {
        // The largest number stands for none.
        Ok(u64::MAX) => (key.to_owned(), Value::Null),
        Ok(number) => (key.to_owned(), number.into()),
        Err(_) => (key.to_owned(), value.into()),
    });
    Value::Object(fields.collect::<Map<_, _>>())
}

/// A state for people: as `systemctl status` has it, and how often it was started again.
fn spoken(state: &Value) -> String {
    let (Some(active), Some(sub)) = (state["ActiveState"].as_str(), state["SubState"].as_str())
    else {
        return "unknown".to_owned();
    };
    let restarts = match state["NRestarts"].as_u64() {
        None | Some(0) => String::new(),
        Some(restarts) => format!(", restarts: {restarts}"),
    };
    format!("{active} ({sub}{restarts})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_says_becomes_a_state() {
        let said = "LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\n\
                    MainPID=714\nNRestarts=2\nMemoryCurrent=[not set]\nActiveEnterTimestamp=\n";
        let state = properties(said);
        assert_eq!(
            state,
            json!({
                "LoadState": "loaded", "ActiveState": "active", "SubState": "running",
                "Result": "success", "MainPID": 714, "NRestarts": 2,
            })
        );
        assert_eq!(spoken(&state), "active (running, restarts: 2)");
        assert_eq!(
            properties("MemoryCurrent=18446744073709551615\n"),
            json!({"MemoryCurrent": null})
        );
        assert_eq!(spoken(&Value::Null), "unknown");
    }
}
