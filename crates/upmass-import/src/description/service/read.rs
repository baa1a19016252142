//! From a table `[[service]]` to what it asks for.

use super::super::error::Fault;
use super::super::table::{Table, Value};
use super::super::values::text;
use super::{Network, Port, Restart, RunDescription, Runtime};

/// A service whose image is still a name.
pub(in super::super) struct NamedService<'a> {
    pub(in super::super) name: String,
    pub(in super::super) line: usize,
    pub(in super::super) image: Value<'a>,
    pub(in super::super) run: RunDescription,
}

/// Reads a table.
pub(in super::super) fn read_service<'a>(value: &Value<'a>) -> Result<NamedService<'a>, Fault> {
    let table = value.table("a service".to_owned(), "a table")?;
    let name = unit_name(&table.require("name", "name = \"mosquitto\"")?)?;
    let table = table.named(format!("service \"{name}\""));
    table.only(&[
        "name",
        "image",
        "runtime",
        "entrypoint",
        "command",
        "env",
        "user",
        "workdir",
        "volumes",
        "tmpfs",
        "writable",
        "network",
        "ports",
        "devices",
        "capabilities",
        "memory",
        "cpus",
        "restart",
        "after",
        "health",
    ])?;
    let image =
        table.require("image", "image = \"…\", the name of a component from an OCI image")?;
    image.string("the name of a component")?;
    let runtime = word(
        &table,
        "runtime",
        Runtime::Crun,
        &[("crun", Runtime::Crun), ("systemd", Runtime::Systemd)],
    )?;
    let network = word(
        &table,
        "network",
        Network::None,
        &[("none", Network::None), ("host", Network::Host)],
    )?;
    let restart =
        [("always", Restart::Always), ("on-failure", Restart::OnFailure), ("no", Restart::No)];
    let ports = list(&table, "ports", "a list of ports such as \"1883\" or \"8080:80\"", port)?;
    if network == Network::Host {
        table.refuse(
            "ports",
            "has no meaning with network = \"host\": the service has all ports of the device",
        )?;
    }
    let writable = list(&table, "writable", PATHS, path)?;
    if runtime == Runtime::Systemd {
        table.refuse(
            "writable",
            "needs runtime = \"crun\": the sandbox of systemd has no overlays",
        )?;
    }
    let volumes = match table.get("volumes") {
        Some(value) => {
            let volumes = value.strings(path)?;
            if let Some(bad) = volumes.keys().find(|name| !is_unit_name(name)) {
                return Err(
                    value.wrong(format!("volumes named by {UNIT_NAME}"), format!("{bad:?}"))
                );
            }
            volumes
        }
        None => Default::default(),
    };
    let env = match table.get("env") {
        Some(value) => {
            let env = value.strings(|value| text(value, "a text in quotes"))?;
            let is_bad = |key: &&String| {
                key.is_empty()
                    || key.contains('=')
                    || key.chars().any(|c| c.is_control() || c.is_whitespace())
            };
            if let Some(bad) = env.keys().find(is_bad) {
                return Err(
                    value.wrong("names of variables without = and spaces", format!("{bad:?}"))
                );
            }
            env
        }
        None => Default::default(),
    };
    let run = RunDescription {
        runtime,
        entrypoint: words(&table, "entrypoint")?,
        command: words(&table, "command")?,
        env,
        user: table.get("user").map(|value| user(&value)).transpose()?,
        workdir: table.get("workdir").map(|value| path(&value)).transpose()?,
        volumes,
        tmpfs: list(&table, "tmpfs", PATHS, path)?,
        writable,
        network,
        ports,
        devices: list(&table, "devices", "a list of paths such as \"/dev/ttyUSB0\"", device)?,
        capabilities: list(
            &table,
            "capabilities",
            "a list such as [\"CAP_NET_BIND_SERVICE\"]",
            capability,
        )?,
        memory: table.get("memory").map(|value| value.number(1 << 50)).transpose()?,
        cpus: table.get("cpus").map(|value| percent(&value)).transpose()?,
        restart: word(&table, "restart", Restart::Always, &restart)?,
        after: list(&table, "after", "a list of service names", unit_name)?,
        health: words(&table, "health")?.unwrap_or_default(),
    };
    Ok(NamedService { name, line: value.line, image, run })
}

fn word<T: Copy>(
    table: &Table<'_>,
    key: &str,
    default: T,
    words: &[(&str, T)],
) -> Result<T, Fault> {
    let Some(value) = table.get(key) else { return Ok(default) };
    let known: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
    let expected = known.join(" or ");
    let text = value.string(&expected)?;
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| value.wrong(expected, format!("{text:?}")))
}

fn list<'a, T>(
    table: &Table<'a>,
    key: &str,
    expected: &str,
    item: impl Fn(&Value<'a>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    match table.get(key) {
        Some(value) => value.list(expected)?.iter().map(item).collect(),
        None => Ok(Vec::new()),
    }
}

/// A command, as a list of its words.
fn words(table: &Table<'_>, key: &str) -> Result<Option<Vec<String>>, Fault> {
    let expected = "a list of words such as [\"/usr/bin/app\", \"--verbose\"]";
    let Some(value) = table.get(key) else { return Ok(None) };
    let words = value.list(expected)?;
    words.iter().map(|word| text(word, "a text in quotes")).collect::<Result<_, _>>().map(Some)
}

/// An absolute path in a service, in its one form.
fn path(value: &Value<'_>) -> Result<String, Fault> {
    let expected = "an absolute path below / without . and .., such as \"/var/lib/app\"";
    let found = value.string(expected)?;
    let is_plain = found.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|name| !matches!(name, "" | "." | ".."))
            && !rest.chars().any(|c| c.is_control() || c == ':' || c == '"' || c == '\\')
    });
    match is_plain && found.len() < 1024 {
        true => Ok(found.to_owned()),
        false => Err(value.wrong(expected, format!("{found:?}"))),
    }
}

fn device(value: &Value<'_>) -> Result<String, Fault> {
    let device = path(value)?;
    match device.starts_with("/dev/") {
        true => Ok(device),
        false => Err(value.wrong("a path below /dev", format!("{device:?}"))),
    }
}

fn user(value: &Value<'_>) -> Result<String, Fault> {
    let expected = "a user such as \"app\", \"1000\" or \"app:staff\"";
    let text = value.string(expected)?;
    let is_word = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_.-$".contains(c))
    };
    match text.split_once(':') {
        Some((user, group)) if is_word(user) && is_word(group) => Ok(text.to_owned()),
        None if is_word(text) => Ok(text.to_owned()),
        _ => Err(value.wrong(expected, format!("{text:?}"))),
    }
}

fn capability(value: &Value<'_>) -> Result<String, Fault> {
    let expected = "a capability of Linux such as \"CAP_NET_BIND_SERVICE\"";
    let text = value.string(expected)?;
    match CAPABILITIES.split_whitespace().any(|known| text.strip_prefix("CAP_") == Some(known)) {
        true => Ok(text.to_owned()),
        false => Err(value.wrong(expected, format!("{text:?}"))),
    }
}

fn port(value: &Value<'_>) -> Result<Port, Fault> {
    let expected = "a TCP port such as \"1883\", \"8080:80\" or \"127.0.0.1:8080:80\"";
    let text = value.string(expected)?;
    let wrong = || value.wrong(expected, format!("{text:?}"));
    let number = |text: &str| text.parse().ok().filter(|port: &u16| *port > 0).ok_or_else(wrong);
    let parts: Vec<&str> = text.split(':').collect();
    let (address, host, inside) = match parts.as_slice() {
        [port] => (None, *port, *port),
        [host, inside] => (None, *host, *inside),
        [address, host, inside] => (Some(*address), *host, *inside),
        _ => return Err(wrong()),
    };
    let (host, inside) = (number(host)?, number(inside)?);
    let listen = match address {
        Some(address) => {
            let address: std::net::Ipv4Addr = address.parse().map_err(|_| wrong())?;
            format!("{address}:{host}")
        }
        None => host.to_string(),
    };
    Ok(Port { listen, host, inside })
}

/// A number of processors, such as 0.5, in percent of one.
fn percent(value: &Value<'_>) -> Result<u64, Fault> {
    let expected = "a number of processors in quotes, such as \"0.5\" or \"2\"";
    let text = value.string(expected)?;
    let wrong = || value.wrong(expected, format!("{text:?}"));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() > 4
        || part.len() > 2
        || !(whole.to_owned() + part).bytes().all(|b| b.is_ascii_digit())
    {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let percent = whole * 100 + format!("{part:0<2}").parse::<u64>().map_err(|_| wrong())?;
    if percent == 0 { Err(wrong()) } else { Ok(percent) }
}

/// A name that can be that of a unit and of a directory.
fn unit_name(value: &Value<'_>) -> Result<String, Fault> {
    let text = value.string(UNIT_NAME)?;
    if is_unit_name(text) {
        Ok(text.to_owned())
    } else {
        Err(value.wrong(UNIT_NAME, format!("{text:?}")))
    }
}

fn is_unit_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

const UNIT_NAME: &str = "1 to 64 letters, digits, _, . and -, the first a letter or digit";
const PATHS: &str = "a list of absolute paths";

/// Linux 6.1, `include/uapi/linux/capability.h`.
const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP \
    LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE \
    SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME \
    SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG \
    WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";
