//! The files of an image that was copied to this machine: in a directory or in an archive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use upmass_disk::ReadAt;
use upmass_format::TreePath;
use upmass_store::Store;

use super::documents::{MAX_DOCUMENT, invalid, too_much};
use crate::beneath::{Beneath, FILE};
use crate::read_at::{Cursor, OpenFile, Section};
use crate::tar::{Compression, Listed, decompress, list};
use crate::{ImportError, Result};

/// Where the files are.
pub(super) enum Files {
    Directory(Beneath),
    Archive { archive: Arc<dyn ReadAt>, members: BTreeMap<TreePath, Listed> },
}

impl Files {
    /// Opens a directory, or an archive that may be compressed. One that is gets unpacked to where
    /// `store` keeps what it does not keep long, `limit` bytes of it at most.
    pub(super) fn open(store: &Store, path: &Path, limit: u64) -> Result<Self> {
        let name = path.display().to_string();
        let fail = |error| ImportError::read("open", &name, error);
        let file = File::open(path).map_err(fail)?;
        if file.metadata().map_err(fail)?.is_dir() {
            let beneath = Beneath::open(path).map_err(|errno| fail(errno.into()))?;
            return Ok(Files::Directory(beneath));
        }
        let file = OpenFile::new(file).map_err(fail)?;
        let archive = plain(store, &name, file, limit)?;
        let members = list(&name, &*archive)?;
        Ok(Files::Archive { archive, members })
    }

    /// A file by its path; `None` when there is none.
    pub(super) fn file(&self, image: &str, path: &str) -> Result<Option<Arc<dyn ReadAt>>> {
        let fail =
            || invalid(image, "a path in the image", "a path without ..", format!("{path:?}"));
        let tree_path = TreePath::new(path).ok_or_else(fail)?;
        if tree_path.names().any(|name| name == b"..") {
            return Err(fail());
        }
        match self {
            Files::Directory(directory) => {
                let fail = |error: std::io::Error| {
                    ImportError::read("open", directory.display(&tree_path), error)
                };
                match directory.open_at(&tree_path, FILE) {
                    Ok(file) => {
                        let file = OpenFile::new(File::from(file)).map_err(fail)?;
                        Ok(Some(Arc::new(file)))
                    }
                    Err(Errno::NOENT) => Ok(None),
                    Err(errno) => Err(fail(errno.into())),
                }
            }
            Files::Archive { archive, members } => {
                let member = match members.get(&tree_path) {
                    // So `docker save` writes a layer that it has written before.
                    Some(Listed::Symlink(target)) => {
                        target_of(&tree_path, target).and_then(|path| members.get(&path))
                    }
                    other => other,
                };
                Ok(match member {
                    Some(Listed::File { offset, len }) => {
                        Some(Arc::new(Section::new(archive.clone(), *offset, *len)))
                    }
                    _ => None,
                })
            }
        }
    }

    /// A document by its path.
    pub(super) fn document(&self, image: &str, path: &str) -> Result<Option<Vec<u8>>> {
        match self.file(image, path)? {
            Some(file) => in_memory(image, path, &*file).map(Some),
            None => Ok(None),
        }
    }
}

/// Reads a document.
pub(super) fn in_memory(image: &str, place: &str, file: &dyn ReadAt) -> Result<Vec<u8>> {
    if file.len() > MAX_DOCUMENT {
        let (found, limit) = (format!("{} bytes", file.len()), MAX_DOCUMENT.to_string());
        return Err(too_much(image, place, found, limit));
    }
    let mut bytes = vec![0; file.len() as usize];
    let fail = |error| ImportError::read("read", format!("{image}: {place}"), error);
    file.read_exact_at(&mut bytes, 0).map_err(fail)?;
    Ok(bytes)
}

/// Where a symlink of an archive leads, at its first step.
fn target_of(link: &TreePath, target: &[u8]) -> Option<TreePath> {
    let mut here = link.split_last()?.0;
    for name in target.split(|byte| *byte == b'/') {
        here = match name {
            b"" | b"." => continue,
            b".." => here.split_last()?.0,
            name => here.join(&upmass_format::Name::new(name)?)?,
        };
    }
    Some(here)
}

/// An archive without its compression.
fn plain(store: &Store, name: &str, file: OpenFile, limit: u64) -> Result<Arc<dyn ReadAt>> {
    let at_start = |fault| ImportError::Archive {
        archive: name.to_owned(),
        offset: 0,
        member: String::new(),
        fault,
    };
    let fail = |error| ImportError::read("unpack", name, error);
    {
        let (compression, mut input) = decompress(Cursor::new(&file)).map_err(at_start)?;
        if compression != Compression::None {
            let mut scratch = store.scratch()?;
            let mut buffer = vec![0; 1 << 18];
            let mut total = 0;
            loop {
                let n = match input.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => n,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(fail(error)),
                };
                total += n as u64;
                if total > limit {
                    let found = format!("more than {limit} bytes");
                    return Err(super::too_large(
                        name,
                        "the archive without compression",
                        found,
                        limit,
                    ));
                }
                scratch.write(&buffer[..n])?;
            }
            return Ok(Arc::new(scratch.finish()?));
        }
    }
    Ok(Arc::new(file))
}
