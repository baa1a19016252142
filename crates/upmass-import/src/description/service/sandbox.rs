//! A service in systemd's own sandbox: systemd.exec(5), "Paths" and "Sandboxing".
//!
//! It needs no runtime on the device. What it lacks: a process namespace of its own (before systemd 257),
//! and directories whose changes are kept in memory.

use super::Network;
use super::plan::Plan;
use super::unit::{self, command_line, quoted};

/// The unit file.
pub(super) fn unit(plan: &Plan<'_>) -> Vec<u8> {
    let run = plan.run;
    let mut unit = unit::begin(plan);
    unit.set("RootDirectory", &plan.root);
    unit.set("MountAPIVFS", "yes");
    unit.set("ProtectSystem", "strict");
    unit.set("User", plan.account.uid);
    unit.set("Group", plan.account.gid);
    if !plan.account.groups.is_empty() {
        let groups: Vec<String> = plan.account.groups.iter().map(u32::to_string).collect();
        unit.set("SupplementaryGroups", groups.join(" "));
    }
    unit.set("WorkingDirectory", quoted(&plan.cwd).trim_matches('"'));
    for variable in &plan.env {
        unit.set("Environment", quoted(variable));
    }
    for path in &run.tmpfs {
        unit.set("TemporaryFileSystem", format_args!("{path}:mode=1777,nosuid,nodev"));
    }
    for volume in &plan.volumes {
        unit.set("BindPaths", format_args!("{}:{}", volume.host, volume.inside));
    }
    if run.network == Network::Host {
        for path in &plan.network_files {
            unit.set("BindReadOnlyPaths", format_args!("-{path}"));
        }
    }
    match run.devices.is_empty() {
        true => unit.set("PrivateDevices", "yes"),
        false => {
            unit.set("DevicePolicy", "closed");
            for device in &run.devices {
                unit.set("DeviceAllow", format_args!("{device} rw"));
                unit.set("BindPaths", device);
            }
        }
    }
    let capabilities = run.capabilities.join(" ");
    // An empty value takes all away.
    unit.set("CapabilityBoundingSet", &capabilities);
    if plan.account.uid != 0 {
        unit.set("AmbientCapabilities", &capabilities);
    }
    for key in [
        "NoNewPrivileges",
        "ProtectKernelTunables",
        "ProtectKernelModules",
        "ProtectKernelLogs",
        "ProtectControlGroups",
        "RestrictSUIDSGID",
        "LockPersonality",
        "PrivateIPC",
    ] {
        unit.set(key, "yes");
    }
    unit.set("ProtectProc", "invisible");
    unit.set("ExecStart", command_line(&plan.args));
    unit.finish()
}
