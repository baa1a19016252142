//! Key files: making, reading, trusting.

#[cfg(feature = "host")]
mod secret;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use upmass_apply::Trust;
use upmass_sign::{MAX_FILE_LEN, PublicKey};

use crate::failure::Failure;
#[cfg(feature = "host")]
pub use secret::{explain, generate, password, secret};

/// Trusts all public keys of a directory.
pub fn trust(directory: &Path) -> Result<Trust, Failure> {
    let fail = |error| Failure::io("read", directory, error);
    let mut keys = Vec::new();
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.extension().is_some_and(|ending| ending == "pub") {
            paths.push(path);
        }
    }
    paths.sort();
    for path in paths {
        let key = PublicKey::from_file(&read_small(&path)?)
            .map_err(|error| Failure::refused(format_args!("{}: {error}", path.display())))?;
        keys.push(key);
    }
    if keys.is_empty() {
        let directory = directory.display();
        let message = format!("{directory} has no public key (*.pub), so nothing is trusted");
        return Err(Failure::refused(message));
    }
    Ok(Trust::keys(keys))
}

fn read_small(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_LEN as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| Failure::io("read", path, error))?;
    Ok(bytes)
}
