//! A service that crun runs: a bundle of the OCI runtime specification 1.0, and the unit that starts it.
//!
//! The container stays in the cgroup of its unit (`--cgroup-manager=disabled`), so that limits, states and
//! the end of all its processes are systemd's; and in its network, so that ports are too.

use serde_json::{Value, json};

use super::plan::Plan;
use super::unit::{self, quoted};
use super::{Network, SERVICES};

/// Where an overlay keeps its changes, until the device is started again.
pub(super) fn changes(plan: &Plan<'_>, index: usize) -> [String; 2] {
    ["upper", "work"].map(|kind| format!("/run/upmass/services/{}/{index}.{kind}", plan.name))
}

/// The unit file.
pub(super) fn unit(plan: &Plan<'_>) -> Vec<u8> {
    let id = id(plan);
    let mut unit = unit::begin(plan);
    if plan.run.network == Network::Host {
        for path in &plan.network_files {
            // A device without the file starts the service all the same.
            unit.set("BindReadOnlyPaths", format_args!("-{path}:{}{path}", quotable(&plan.root)));
        }
    }
    let bundle = format!("{SERVICES}/{}", plan.name);
    unit.set(
        "ExecStart",
        format_args!("{CRUN} --cgroup-manager=disabled run --bundle {bundle} {id}"),
    );
    // What a crash of crun leaves; what a cut leaves is in `/run`, which is empty after it.
    unit.set("ExecStopPost", format_args!("-{CRUN} delete --force {id}"));
    unit.finish()
}

/// The name of the container.
pub(super) fn id(plan: &Plan<'_>) -> String {
    format!("upmass-{}", plan.name)
}

/// `config.json` of the bundle.
pub(super) fn config(plan: &Plan<'_>) -> Vec<u8> {
    let run = plan.run;
    let capabilities = &run.capabilities;
    // Whoever is not root has only what is ambient.
    let ambient = if plan.account.uid == 0 { &Vec::new() } else { capabilities };
    let mut namespaces = vec!["pid", "ipc", "uts", "mount"];
    if run.network == Network::Host {
        namespaces.retain(|name| *name != "uts");
    }
    let namespaces: Vec<Value> = namespaces.iter().map(|name| json!({ "type": name })).collect();
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {
                "uid": plan.account.uid,
                "gid": plan.account.gid,
                "additionalGids": plan.account.groups,
            },
            "args": plan.args,
            "env": plan.env,
            "cwd": plan.cwd,
            "capabilities": {
                "bounding": capabilities,
                "effective": capabilities,
                "permitted": capabilities,
                "inheritable": ambient,
                "ambient": ambient,
            },
            "noNewPrivileges": true,
        },
        "root": { "path": plan.root, "readonly": true },
        "mounts": mounts(plan),
        "linux": {
            "namespaces": namespaces,
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
                "/sys/firmware",
            ],
            "readonlyPaths": [
                "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
            ],
        },
    });
    if run.network == Network::None {
        config["hostname"] = json!(plan.name);
    }
    let mut bytes = serde_json::to_vec(&config).expect("a value without floats and odd keys");
    bytes.push(b'\n');
    bytes
}

fn mounts(plan: &Plan<'_>) -> Vec<Value> {
    let mount = |target: &str, kind: &str, source: &str, options: &[&str]| json!({ "destination": target, "type": kind, "source": source, "options": options });
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount(
            "/dev/shm",
            "tmpfs",
            "shm",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        ),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        // A new one, which shows the interfaces of the service's network alone.
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ];
    for (index, path) in plan.run.writable.iter().enumerate() {
        let [upper, work] = changes(plan, index);
        let options = [
            format!("lowerdir={}{path}", plan.root),
            format!("upperdir={upper}"),
            format!("workdir={work}"),
        ];
        mounts.push(json!({ "destination": path, "type": "overlay", "source": "overlay", "options": options }));
    }
    for path in &plan.run.tmpfs {
        mounts.push(mount(path, "tmpfs", "tmpfs", &["nosuid", "nodev", "mode=1777"]));
    }
    for volume in &plan.volumes {
        mounts.push(mount(
            volume.inside,
            "none",
            &volume.host,
            &["rbind", "rw", "nosuid", "nodev"],
        ));
    }
    for device in &plan.run.devices {
        mounts.push(mount(device, "none", device, &["bind", "rw", "nosuid", "noexec"]));
    }
    // What is mounted inside another mount comes after it.
    mounts.sort_by_key(|mount| {
        mount["destination"].as_str().unwrap_or_default().matches('/').count()
    });
    mounts
}

/// Paths here have no quotes or colons in them: components that are images are named so.
fn quotable(path: &str) -> &str {
    debug_assert!(quoted(path).len() == path.len() + 2, "checked when it was read");
    path
}

const CRUN: &str = "/usr/bin/crun";
