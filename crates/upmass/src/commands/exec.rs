//! `upmass exec`

use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::services::state;
use crate::Outcome;
use crate::arguments::Exec;
use crate::failure::{Failure, Kind};
use crate::services::{installed, text};

/// Becomes the command: its output and exit status are this one's.
pub fn run(arguments: &Exec) -> Outcome {
    let services = installed(&arguments.device.root)?;
    let name = &arguments.service;
    let service = services.iter().find(|service| text(service, "name") == *name);
    let service = service.ok_or_else(|| {
        let names: Vec<&str> = services.iter().map(|service| text(service, "name")).collect();
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Failure::refused(format_args!(
            "there is no service {name:?} in this system: there is {there}"
        ))
    })?;
    let state = state(name);
    if state["ActiveState"].as_str().is_some_and(|active| active != "active") {
        return Err(does_not_run(name));
    }
    let mut command = match text(service, "runtime") {
        "crun" => in_container(name),
        _ => in_sandbox(service, &state).ok_or_else(|| does_not_run(name))?,
    };
    command.args(&arguments.command);
    let program = command.get_program().to_owned();
    Err(Failure::io("run", Path::new(&program), command.exec()))
}

fn does_not_run(name: &str) -> Failure {
    let message = format_args!("{name} does not run now: see `systemctl status {name}.service`");
    Failure::new(Kind::Temporary, message)
}

/// User, environment, capabilities and directory are those of the container's own process.
fn in_container(name: &str) -> Command {
    let mut command = Command::new("crun");
    command.arg("exec");
    if std::io::stdin().is_terminal() {
        command.arg("--tty");
    }
    // What follows the name is the command, without a mark between.
    command.arg(format!("upmass-{name}"));
    command
}

/// systemd cannot enter its sandbox, so the namespaces of the service's process are entered, with its
/// user, environment and directory. Limits and filters of system calls are not those of the service.
fn in_sandbox(service: &Value, state: &Value) -> Option<Command> {
    let pid = state["MainPID"].as_u64().filter(|pid| *pid > 0)?;
    // By its path, since a program is looked for in the PATH of the service.
    let mut command = Command::new("/usr/bin/nsenter");
    command.args(["--target", &pid.to_string(), "--mount", "--net", "--ipc", "--root", "--wd"]);
    for (option, key) in [("--setgid", "gid"), ("--setuid", "uid")] {
        command.args([option, &service[key].as_u64()?.to_string()]);
    }
    command.arg("--").env_clear();
    for variable in service["env"].as_array()? {
        let (key, value) = variable.as_str()?.split_once('=')?;
        command.env(key, value);
    }
    Some(command)
}

#[cfg(test)]
mod tests {
    use std::fs::read_link;
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_sandbox_is_entered_with_the_user_and_the_environment_of_its_service() {
        // A process as systemd would have started it, but for systemd.
        let mut service = Command::new("unshare")
            .args(["--mount", "--net", "--ipc", "sh", "-c", "cd /usr; echo runs; exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut stdout = BufReader::new(service.stdout.take().unwrap());
        stdout.read_line(&mut said).unwrap();
        let described =
            json!({"uid": 65534, "gid": 65534, "env": ["PATH=/usr/bin:/bin", "GREETING=a = b"]});
        let state = json!({"MainPID": service.id(), "ActiveState": "active"});
        let mut command = in_sandbox(&described, &state).unwrap();
        let script = "readlink /proc/self/ns/net /proc/self/ns/mnt; id -u; id -G; pwd; env | grep -c .; \
                      echo $GREETING; exit 5";
        let told = command.args(["sh", "-c", script]).output();
        let namespaces = ["net", "mnt"].map(|kind| {
            let path = format!("/proc/{}/ns/{kind}", service.id());
            read_link(path).unwrap().display().to_string()
        });
        service.kill().unwrap();
        service.wait().unwrap();
        stdout.read_to_string(&mut said).unwrap();
        let told = told.unwrap();
        let lines = String::from_utf8(told.stdout).unwrap();
        let mut lines = lines.lines();
        assert_eq!(lines.next(), Some(&namespaces[0][..]), "run as root");
        assert_eq!(lines.next(), Some(&namespaces[1][..]));
        assert_eq!(lines.next(), Some("65534"));
        assert_eq!(lines.next(), Some("65534"));
        assert_eq!(lines.next(), Some("/usr"));
        // PATH, GREETING, and what the shell sets itself.
        let count: u32 = lines.next().unwrap().parse().unwrap();
        assert!(count <= 5, "{count} variables");
        assert_eq!(lines.next(), Some("a = b"));
        assert_eq!(told.status.code(), Some(5));
    }

    #[test]
    fn what_does_not_run_is_not_entered() {
        let described = json!({"uid": 0, "gid": 0, "env": []});
        assert!(in_sandbox(&described, &json!({"MainPID": 0})).is_none());
        assert!(in_sandbox(&described, &Value::Null).is_none());
    }
}
