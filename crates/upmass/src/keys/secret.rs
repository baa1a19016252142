//! Secret keys: making them, and reading them for signing.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use upmass_sign::{KdfCost, KeyId, PublicKey, SecretKey, SecretKeyFile};

use super::read_small;
use crate::failure::{Failure, Kind};
use crate::{Outcome, output};

/// Makes a key pair and writes its two files, which must not exist. Gives the public key and
/// the paths of both.
pub fn generate(
    name: &Path,
    password: Option<&[u8]>,
) -> Result<(PublicKey, PathBuf, PathBuf), Failure> {
    let mut seed = [0; 32];
    let mut id = [0; 8];
    let mut salt = [0; 32];
    for bytes in [&mut seed[..], &mut id, &mut salt] {
        getrandom::fill(bytes)
            .map_err(|error| Failure::new(Kind::Failed, format_args!("no randomness: {error}")))?;
    }
    let key = SecretKey::from_seed(KeyId::new(id), &seed);
    let comment = upmass_sign::Comment::new("upmass secret key").map_err(Failure::refused)?;
    let secret = match password {
        None => key.to_file(&comment),
        Some(password) => key
            .to_locked_file(&comment, password, &salt, KdfCost::MINISIGN)
            .map_err(Failure::refused)?,
    };
    let [secret_path, public_path] = ["key", "pub"].map(|ending| with_ending(name, ending));
    if public_path.exists() {
        let message = format_args!("{} exists: keys are never replaced", public_path.display());
        return Err(Failure::refused(message));
    }
    write_new(&secret_path, secret.as_bytes(), 0o600)?;
    write_new(&public_path, key.public_key().to_file().as_bytes(), 0o644)?;
    Ok((key.public_key(), secret_path, public_path))
}

/// Reads secret keys, unlocking them where needed.
pub fn secret(paths: &[PathBuf], password_file: Option<&Path>) -> Result<Vec<SecretKey>, Failure> {
    let read = |path: &PathBuf| {
        let bytes = read_small(path)?;
        let wrong = |error: upmass_sign::Error| {
            Failure::refused(format_args!("{}: {error}", path.display()))
        };
        match SecretKeyFile::from_file(&bytes).map_err(wrong)? {
            SecretKeyFile::Unlocked(key) => Ok(key),
            SecretKeyFile::Locked(locked) => {
                let file = password_file.ok_or_else(|| {
                    let path = path.display();
                    let message = format!("{path} is locked: give --password-file FILE");
                    Failure::new(Kind::Usage, message)
                })?;
                locked.unlock(&password(file)?).map_err(wrong)
            }
        }
    };
    paths.iter().map(read).collect()
}

/// The first line of a password file.
pub fn password(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read_small(path)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}

/// Says what a key pair is good for.
pub fn explain(public: &PublicKey, secret_path: &Path, public_path: &Path) -> Outcome {
    output::line(&format!("key {}", public.id()))?;
    output::line(&format!("{}  sign with it; keep it secret", secret_path.display()))?;
    output::line(&format!("{}  put it on every device", public_path.display()))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Outcome {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Failure::refused(format_args!("{} exists: keys are never replaced", path.display()))
            }
            _ => Failure::io("write", path, error),
        })
}

fn with_ending(name: &Path, ending: &str) -> PathBuf {
    let mut path = name.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    path.into()
}
