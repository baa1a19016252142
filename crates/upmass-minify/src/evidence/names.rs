//! `nsswitch.conf`: each service is a library that libc loads.

use super::{Evidence, Scan};

/// `libnss_NAME.so.2` for each service.
pub(super) fn switch(scan: &mut Scan<'_>) {
    let system = scan.system;
    for line in scan.content.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or(b"");
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        for service in line[colon + 1..].split(u8::is_ascii_whitespace) {
            if service.is_empty() || service.starts_with(b"[") {
                continue;
            }
            for version in [&b".so.2"[..], b".so"] {
                let name = [b"libnss_", service, version].concat();
                for id in system.libraries_anywhere(&name, None) {
                    let path = system.tree.path(id).to_vec();
                    scan.want(path, Evidence::NameService, line.trim_ascii());
                }
            }
        }
    }
}
