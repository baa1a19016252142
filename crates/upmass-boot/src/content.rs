//! What a slot has, by what it says itself.

use std::io::{self, Write};

use upmass_disk::ReadAt;
use upmass_disk::fat::{FatError, FileSystem};
use upmass_format::slot::{
    CONTENTS_FILE, MAX_CONTENTS_FILE, MAX_RELEASE_FILE, RELEASE_FILE, read_contents_file,
    read_release_file,
};
use upmass_format::{ObjectHasher, ReleaseId};

/// Why a slot is not whole.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It is no file system, or a damaged one.
    #[error(transparent)]
    Fat(#[from] FatError),
    /// It does not say what it has.
    #[error("its file {0} is missing or damaged")]
    NotSaid(&'static str),
    /// A file is missing.
    #[error("its file {path} is missing")]
    Missing {
        /// Which one.
        path: String,
    },
    /// A file has other content.
    #[error("its file {path} is damaged")]
    Damaged {
        /// Which one.
        path: String,
    },
}

/// The release that a slot says it boots. `None` when it is no file system, or does not say so.
/// Nothing else of it is looked at.
pub fn slot_release(content: &dyn ReadAt) -> Option<ReleaseId> {
    let files = FileSystem::open(content).ok()?;
    read_release_file(&files.read(RELEASE_FILE, MAX_RELEASE_FILE).ok()?)
}

/// Reads all files that a slot says it has, and compares their digests. Gives the release that it
/// boots. `progress` is told the bytes so far.
pub fn check_slot(
    content: &dyn ReadAt,
    progress: &mut dyn FnMut(u64),
) -> Result<ReleaseId, ContentError> {
    let files = FileSystem::open(content)?;
    let said = |name, limit| match files.node(name)? {
        Some(_) => files.read(name, limit),
        None => Ok(Vec::new()),
    };
    let contents = read_contents_file(&said(CONTENTS_FILE, MAX_CONTENTS_FILE)?);
    let contents = contents.ok_or(ContentError::NotSaid(CONTENTS_FILE))?;
    let release = read_release_file(&said(RELEASE_FILE, MAX_RELEASE_FILE)?);
    let release = release.filter(|_| contents.contains_key(RELEASE_FILE));
    let release = release.ok_or(ContentError::NotSaid(RELEASE_FILE))?;
    let mut done = 0;
    for (path, digest) in contents {
        let Some(node) = files.node(&path)? else {
            return Err(ContentError::Missing { path });
        };
        let mut hasher = Hashing { hasher: ObjectHasher::new(), done: &mut done, progress };
        files.copy(&node, &mut hasher)?;
        if hasher.hasher.finish() != digest {
            return Err(ContentError::Damaged { path });
        }
    }
    Ok(release)
}

struct Hashing<'a> {
    hasher: ObjectHasher,
    done: &'a mut u64,
    progress: &'a mut dyn FnMut(u64),
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        *self.done += bytes.len() as u64;
        (self.progress)(*self.done);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
