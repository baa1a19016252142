//! A directory for the time of one command, beside what the command writes.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::failure::{Failure, Kind};

/// A private directory, on the file system of the output. It is removed when this is dropped, and
/// by `SIGINT`, `SIGTERM` and `SIGHUP`; nothing can be done about `SIGKILL`.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes the directory.
    pub fn beside(output: &Path) -> Result<Self, Failure> {
        let Some(name) = output.file_name() else {
            let message = format_args!("{} has no name that could be written", output.display());
            return Err(Failure::new(Kind::Usage, message));
        };
        let mut hidden = OsString::from(format!(".upmass-{}-", std::process::id()));
        // A name may be as long as the file system allows; all of it is not needed.
        hidden.push(name.to_string_lossy().chars().take(40).collect::<String>());
        let path = output.with_file_name(hidden);
        SIGNALS.call_once(remove_on_signals);
        let mut here = HERE.lock().expect(NO_PANIC);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| Failure::io("make the directory", &path, error))?;
        *here = Some(path.clone());
        Ok(Self { path })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a name in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut here = HERE.lock().expect(NO_PANIC);
        if let Err(error) = fs::remove_dir_all(&self.path) {
            crate::output::note(format_args!("cannot remove {}: {error}", self.path.display()));
        }
        *here = None;
    }
}

/// The directory that is there now.
static HERE: Mutex<Option<PathBuf>> = Mutex::new(None);
static SIGNALS: Once = Once::new();
const NO_PANIC: &str = "no panic while the lock is held";

fn remove_on_signals() {
    // Without it an interrupted command leaves its directory behind, no more.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else {
        return;
    };
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let here = HERE.lock().expect(NO_PANIC);
            if let Some(path) = &*here {
                remove(path);
            }
            let _ = emulate_default_handler(signal);
        }
    });
}

/// Removes a directory in which the other threads go on writing.
fn remove(path: &Path) {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {}
            _ => return,
        }
    }
}
