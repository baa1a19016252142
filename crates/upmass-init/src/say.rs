//! What the program says: in the log of the kernel, which shows on the console what matters.

use std::fs::OpenOptions;
use std::io::Write;

/// What should be known; `quiet` hides it.
pub(crate) fn note(text: &str) {
    log(6, text);
}

/// What is wrong, but does not keep the system from starting.
pub(crate) fn warn(text: &str) {
    log(3, text);
}

/// Why the system does not start.
pub(crate) fn error(text: &str) {
    log(2, text);
}

fn log(level: u8, text: &str) {
    let line = text.replace(char::is_control, " ");
    let line = format!("<{level}>upmass-init: {line}\n");
    let logged = OpenOptions::new().write(true).open("/dev/kmsg");
    // One write is one record. Without a log there is the console.
    if logged.and_then(|mut log| log.write_all(line.as_bytes())).is_err() {
        eprint!("{}", &line[3..]);
    }
}
