//! What of `/etc` is not as the release has it.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// How a name differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The release does not have it.
    Added,
    /// The running system does not have it.
    Removed,
    /// Both have it: with another content, type, mode or owner.
    Changed,
}

impl Change {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// A name that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The path below `/etc`, for people.
    pub path: String,
    /// How.
    pub change: Change,
}

/// Compares two directories. Symlinks are not followed. Of a directory that only one side has,
/// nothing inside is said. Ascending by path.
pub fn compare(release: &Path, running: &Path) -> io::Result<Vec<Difference>> {
    let mut differences = Vec::new();
    let mut rest = vec![PathBuf::new()];
    while let Some(directory) = rest.pop() {
        let mut names = names(&release.join(&directory))?;
        names.extend(self::names(&running.join(&directory))?);
        for name in names {
            let path = directory.join(name);
            let [old, new] = [release.join(&path), running.join(&path)];
            let change = match (metadata(&old)?, metadata(&new)?) {
                (None, None) => continue,
                (None, Some(_)) => Change::Added,
                (Some(_), None) => Change::Removed,
                (Some(a), Some(b)) => {
                    if a.is_dir() && b.is_dir() {
                        rest.push(path.clone());
                    }
                    match is_same(&old, &a, &new, &b)? {
                        true => continue,
                        false => Change::Changed,
                    }
                }
            };
            let path = String::from_utf8_lossy(path.as_os_str().as_bytes()).into_owned();
            differences.push(Difference { path, change });
        }
    }
    differences.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(differences)
}

fn names(directory: &Path) -> io::Result<BTreeSet<std::ffi::OsString>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

fn metadata(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_same(old: &Path, a: &Metadata, new: &Path, b: &Metadata) -> io::Result<bool> {
    let attributes = |found: &Metadata| (found.mode(), found.uid(), found.gid());
    if attributes(a) != attributes(b) {
        return Ok(false);
    }
    let kind = a.file_type();
    if kind.is_symlink() {
        return Ok(fs::read_link(old)? == fs::read_link(new)?);
    }
    if kind.is_file() {
        return Ok(a.len() == b.len() && has_same_content(old, new)?);
    }
    let is_device = kind.is_block_device() || kind.is_char_device();
    Ok(!is_device || a.rdev() == b.rdev())
}

fn has_same_content(old: &Path, new: &Path) -> io::Result<bool> {
    use std::io::Read;
    let [mut old, mut new] = [fs::File::open(old)?, fs::File::open(new)?];
    let [mut a, mut b] = [vec![0; 1 << 16], vec![0; 1 << 16]];
    loop {
        let n = old.read(&mut a)?;
        // A file that is cut short meanwhile differs.
        match new.read_exact(&mut b[..n]) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            other => other?,
        }
        if n == 0 || a[..n] != b[..n] {
            return Ok(n == 0);
        }
    }
}
