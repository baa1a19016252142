//! Services that the bus starts when somebody asks for their name.

use super::{Evidence, Scan, systemd};

/// Whether a file says how to start the owner of a name.
pub(super) fn is_service(path: &[u8]) -> bool {
    path.ends_with(b".service") && path.windows(8).any(|window| window == b"/dbus-1/")
}

/// A text that is a name for which there is a service.
pub(super) fn name(scan: &mut Scan<'_>, text: &[u8]) {
    if text.len() < 5 || text.len() > 255 || !text.contains(&b'.') {
        return;
    }
    let system = scan.system;
    for path in system.bus_names.get(text).into_iter().flatten() {
        scan.want(path.clone(), Evidence::BusName, text);
    }
    if systemd::is_unit_name(text) {
        systemd_name(scan, text);
    }
}

/// A text that is the name of a unit: programs start units by name.
fn systemd_name(scan: &mut Scan<'_>, text: &[u8]) {
    if let Some(path) = scan.system.unit(text, false) {
        scan.want(path, Evidence::Mention, text);
    }
}

/// Follows the unit or the command of a service.
pub(super) fn service(scan: &mut Scan<'_>) {
    let mut unit = None;
    let mut command = None;
    for line in scan.content.split(|byte| *byte == b'\n') {
        if let Some(name) = line.strip_prefix(b"SystemdService=") {
            unit = Some(name.trim_ascii());
        } else if let Some(line) = line.strip_prefix(b"Exec=") {
            command = Some(line);
        }
    }
    let is_user = scan.path.windows(17).any(|window| window == b"/dbus-1/services/");
    if let Some(name) = unit {
        systemd::wants(scan, name, is_user);
    }
    if let Some(line) = command {
        systemd::execute(scan, line);
    }
}
