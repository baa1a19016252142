//! Configuration of PAM: modules and further files.

use super::{Evidence, Scan, strings};

/// Whether a file configures PAM.
pub(super) fn is_configuration(path: &[u8]) -> bool {
    path.starts_with(b"/etc/pam.d/")
        || path.starts_with(b"/usr/lib/pam.d/")
        || path == b"/etc/pam.conf"
}

/// Follows modules and files that are included.
pub(super) fn configuration(scan: &mut Scan<'_>) {
    let system = scan.system;
    for line in scan.content.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or(b"");
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let words: Vec<&[u8]> = words.collect();
        for pair in words.windows(2) {
            if [&b"@include"[..], b"include", b"substack"].contains(&pair[0]) {
                scan.want([b"/etc/pam.d/", pair[1]].concat(), Evidence::Pam, line);
            }
        }
        for word in words.iter().filter(|word| word.ends_with(b".so")) {
            for id in system.libraries_anywhere(crate::files::name_of(word), None) {
                let path = system.tree.path(id).to_vec();
                scan.want(path, Evidence::Pam, line.trim_ascii());
            }
        }
        strings::paths(scan, line);
    }
}
