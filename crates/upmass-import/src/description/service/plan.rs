//! What a service is once its image was asked: nothing is left open.

use std::collections::BTreeSet;

use upmass_format::TreePath;

use super::super::error::{Fault, Problem};
use super::account::{self, Account};
use super::inside::{At, Inside};
use super::{IMAGES, RunDescription, ServiceDescription, VOLUMES};
use crate::ImageConfig;

/// A service, ready to be written down.
pub(super) struct Plan<'a> {
    pub(super) name: &'a str,
    pub(super) image: &'a str,
    pub(super) run: &'a RunDescription,
    /// Where the image is in the running system.
    pub(super) root: String,
    pub(super) args: Vec<String>,
    /// As `NAME=value`, each name once, in the order in which they came.
    pub(super) env: Vec<String>,
    pub(super) account: Account,
    pub(super) cwd: String,
    pub(super) volumes: Vec<Volume<'a>>,
    pub(super) stop_signal: String,
    /// Directories that the image lacks and something is mounted on.
    pub(super) missing: BTreeSet<TreePath>,
    /// Whether the image has files that those of the device can be mounted on.
    pub(super) network_files: Vec<&'static str>,
}

/// A directory on the data partition.
pub(super) struct Volume<'a> {
    /// On the device.
    pub(super) host: String,
    /// In the service.
    pub(super) inside: &'a str,
    /// Whether the image has something that it starts with.
    pub(super) is_filled: bool,
}

/// Joins what the file says with what the image says.
pub(super) fn plan<'a>(
    service: &'a ServiceDescription,
    image: &'a str,
    config: &ImageConfig,
    inside: &Inside<'_>,
) -> Result<Plan<'a>, Fault> {
    let run = &service.run;
    let fault = |key: &str, expected: &str, found: String| {
        let place = format!("service \"{}\"", service.name);
        let (key, expected) = (key.to_owned(), expected.to_owned());
        Fault::at(service.line, Problem::Value { place, key, expected, found })
    };
    let user = run.user.clone().or(config.user.clone()).unwrap_or_default();
    let account = account::look_up(inside, &user)?;
    let account = account.ok_or_else(|| {
        fault("user", "a user and group that the image knows, or numbers", format!("{user:?}"))
    })?;

    let mut missing = BTreeSet::new();
    let mut mount_point = |key: &str, path: &str| match inside.at(path) {
        At::Directory => Ok(()),
        At::Missing(path) => {
            missing.insert(path);
            Ok(())
        }
        At::File(found, ..) | At::Other(found) => Err(fault(
            key,
            "a path that is a directory in the image, or nothing",
            format!("/{found}, which is something else"),
        )),
    };
    for path in ["/proc", "/sys", "/dev", "/run", "/tmp"] {
        mount_point("image", path)?;
    }
    run.tmpfs.iter().try_for_each(|path| mount_point("tmpfs", path))?;
    run.volumes.values().try_for_each(|path| mount_point("volumes", path))?;
    for path in &run.writable {
        if !matches!(inside.at(path), At::Directory) {
            return Err(fault("writable", "directories of the image", format!("{path:?}")));
        }
    }
    let mut seen = BTreeSet::new();
    let targets = run.tmpfs.iter().chain(run.volumes.values()).chain(&run.writable);
    if let Some(twice) = targets.clone().find(|path| !seen.insert(path.as_str())) {
        return Err(fault(
            "volumes",
            "each path in one of volumes, tmpfs and writable",
            format!("{twice:?} twice"),
        ));
    }

    let env = environment(run, config, &account);
    let args = arguments(run, config);
    let Some(program) = args.first().filter(|program| !program.is_empty()) else {
        let found = "none, also not in the image".to_owned();
        return Err(fault("command", "a program to run", found));
    };
    let program = program_path(inside, program, &env)
        .ok_or_else(|| fault("command", "a program of the image", format!("{program:?}")))?;
    let mut args = args;
    args[0] = program;

    let cwd = run.workdir.clone().or(config.working_dir.clone()).filter(|cwd| !cwd.is_empty());
    let cwd = cwd.unwrap_or_else(|| "/".to_owned());
    if !cwd.starts_with('/')
        || !matches!(inside.at(&cwd), At::Directory) && !seen.contains(cwd.as_str())
    {
        return Err(fault("workdir", "a directory of the image", format!("{cwd:?}")));
    }
    let volumes = run.volumes.iter().map(|(name, path)| Volume {
        host: format!("{VOLUMES}/{}/{name}", service.name),
        inside: path,
        is_filled: matches!(inside.at(path), At::Directory),
    });
    let network_files = ["/etc/hosts", "/etc/resolv.conf"];
    let network_files =
        network_files.into_iter().filter(|path| matches!(inside.at(path), At::File(..)));
    let stop_signal =
        config.stop_signal.as_deref().and_then(signal).unwrap_or("SIGTERM".to_owned());
    Ok(Plan {
        name: &service.name,
        image,
        run,
        root: format!("{IMAGES}/{image}"),
        args,
        env,
        account,
        cwd,
        volumes: volumes.collect(),
        stop_signal,
        missing,
        network_files: network_files.collect(),
    })
}

fn arguments(run: &RunDescription, config: &ImageConfig) -> Vec<String> {
    // As with Docker: whoever replaces the entrypoint replaces what stood behind it too.
    let entrypoint = run.entrypoint.clone().or(config.entrypoint.clone()).unwrap_or_default();
    let command = match (&run.command, &run.entrypoint) {
        (Some(command), _) => command.clone(),
        (None, Some(_)) => Vec::new(),
        (None, None) => config.cmd.clone().unwrap_or_default(),
    };
    [entrypoint, command].concat()
}

fn environment(run: &RunDescription, config: &ImageConfig, account: &Account) -> Vec<String> {
    let mut env: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| match env.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => value.clone_into(known),
        None => env.push((name.to_owned(), value.to_owned())),
    };
    set("PATH", PATH);
    set("HOME", account.home.as_deref().unwrap_or("/"));
    for variable in config.env.iter().flatten() {
        if let Some((name, value)) = variable.split_once('=').filter(|(name, _)| !name.is_empty()) {
            set(name, value);
        }
    }
    for (name, value) in &run.env {
        set(name, value);
    }
    env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// Where a program is: its absolute path, or the first place in `PATH` that has it.
fn program_path(inside: &Inside<'_>, program: &str, env: &[String]) -> Option<String> {
    let is_program =
        |path: &str| matches!(inside.at(path), At::File(_, meta, _) if meta.mode & 0o111 != 0);
    if program.contains('/') {
        let path = match program.starts_with('/') {
            true => program.to_owned(),
            // Relative to the working directory, which the program finds for itself.
            false => return Some(program.to_owned()),
        };
        return is_program(&path).then_some(path);
    }
    let path = env.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or(PATH);
    let places = path.split(':').filter(|place| place.starts_with('/'));
    places
        .map(|place| format!("{}/{program}", place.trim_end_matches('/')))
        .find(|path| is_program(path))
}

/// `SIGTERM` from what an image says: a name with or without SIG, or a number.
fn signal(text: &str) -> Option<String> {
    let is_name = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'+' || b == b'-')
    };
    match text {
        "15" => Some("SIGTERM".to_owned()),
        "9" => Some("SIGKILL".to_owned()),
        "2" => Some("SIGINT".to_owned()),
        "3" => Some("SIGQUIT".to_owned()),
        "1" => Some("SIGHUP".to_owned()),
        text if text.parse::<u32>().is_ok() => None,
        text if text.starts_with("SIG") && is_name(text) => Some(text.to_owned()),
        text if is_name(text) => Some(format!("SIG{text}")),
        _ => None,
    }
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
