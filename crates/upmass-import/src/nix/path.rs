//! Store paths, and how the roots that people name lead to them.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use upmass_format::nix::is_base_name;

use super::NixError;
use super::scan::Hash;

/// A path directly below a store directory: `/nix/store/<hash>-<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StorePath {
    /// The store directory as the running system has it, without a chroot.
    pub(super) dir: PathBuf,
    /// `<hash>-<name>`.
    pub(super) base: String,
}

/// Where the files of a store are on this machine.
pub(super) struct Chroot {
    /// The directory as it was given, and with its links resolved.
    dirs: Option<[PathBuf; 2]>,
}

impl StorePath {
    /// The store path that a path without `..` is or lies below. `None` when it is neither.
    fn containing(path: &Path) -> Option<Self> {
        let mut dir = PathBuf::new();
        for part in path.components() {
            if let Component::Normal(name) = part
                && let Some(base) = base_name(name)
            {
                return Some(Self { dir, base: base.to_owned() });
            }
            dir.push(part);
        }
        None
    }
}

impl Chroot {
    pub(super) fn new(store_root: Option<&Path>) -> Result<Self, NixError> {
        let Some(given) = store_root else {
            return Ok(Self { dirs: None });
        };
        let io = |source| NixError::Io { path: given.to_owned(), source };
        let absolute = std::path::absolute(given).map_err(io)?;
        let real = given.canonicalize().map_err(io)?;
        Ok(Self { dirs: Some([absolute, real]) })
    }

    /// The directory, where it is not the root of this machine.
    pub(super) fn dir(&self) -> Option<&Path> {
        let [absolute, real] = self.dirs.as_ref()?;
        (real != Path::new("/")).then_some(absolute)
    }

    /// Where a path of the running system is on this machine.
    pub(super) fn on_host(&self, path: &Path) -> PathBuf {
        match &self.dirs {
            Some([absolute, _]) => absolute.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }

    /// The path in the running system of a path on this machine.
    fn inside(&self, path: &Path) -> PathBuf {
        for dir in self.dirs.iter().flatten() {
            if let Ok(below) = path.strip_prefix(dir) {
                return Path::new("/").join(below);
            }
        }
        path.to_owned()
    }

    /// The store path that a root is, lies below, or leads to through links.
    pub(super) fn resolve(&self, root: &Path) -> Result<StorePath, NixError> {
        let given = || root.to_owned();
        let io = |source| NixError::Io { path: given(), source };
        let mut path = std::path::absolute(root).map_err(io)?;
        for _ in 0..MAX_LINKS {
            path = self
                .without_parents(&path)
                .ok_or_else(|| NixError::NoSuchRoot { root: given(), path: path.clone() })?;
            if let Some(found) = StorePath::containing(&self.inside(&path)) {
                return self.check(found, root);
            }
            let mut here = path.clone();
            let mut found = here.symlink_metadata();
            if self.dirs.is_some() && is_missing(&found) {
                here = self.on_host(&path);
                found = here.symlink_metadata();
            }
            match found {
                Ok(meta) if meta.is_symlink() => {
                    let target = here.read_link().map_err(io)?;
                    let parent = path.parent().unwrap_or(Path::new("/"));
                    path = parent.join(target);
                }
                Ok(_) => {
                    return Err(NixError::NotAStorePath { root: given(), found: path });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(NixError::NoSuchRoot { root: given(), path });
                }
                Err(source) => return Err(NixError::Io { path: here, source }),
            }
        }
        Err(NixError::TooManyLinks { root: given() })
    }

    /// The path with all up to its last `..` resolved by the file system, since what `..` leads
    /// to depends on links. `None` when that does not exist.
    fn without_parents(&self, path: &Path) -> Option<PathBuf> {
        let parts: Vec<Component<'_>> = path.components().collect();
        let Some(last) = parts.iter().rposition(|part| *part == Component::ParentDir) else {
            return Some(path.to_owned());
        };
        let (front, rest) = parts.split_at(last + 1);
        let front: PathBuf = front.iter().collect();
        let real = front.canonicalize().or_else(|_| self.on_host(&front).canonicalize()).ok()?;
        Some(real.join(rest.iter().collect::<PathBuf>()))
    }

    fn check(&self, found: StorePath, root: &Path) -> Result<StorePath, NixError> {
        let root = || root.to_owned();
        let path = found.dir.join(&found.base);
        if found.base.ends_with(".drv") {
            return Err(NixError::Derivation { root: root(), path });
        }
        // A store below another directory would be installed there on the device.
        if self.dirs.is_none()
            && found.dir != Path::new(USUAL_STORE)
            && let Some(above) = above_usual_store(&found.dir)
        {
            return Err(NixError::ChrootNotNamed { root: root(), chroot: above });
        }
        let on_host = self.on_host(&path);
        match on_host.symlink_metadata() {
            Ok(_) => Ok(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(NixError::MissingStorePath { root: root(), path: on_host })
            }
            Err(source) => Err(NixError::Io { path: on_host, source }),
        }
    }
}

/// The text of a name that is `<hash>-<name>`, of the characters that Nix allows.
pub(super) fn base_name(name: &OsStr) -> Option<&str> {
    name.to_str().filter(|text| is_base_name(text.as_bytes()))
}

/// The hash of a base name.
pub(super) fn hash_of(base: &str) -> Hash {
    *base.as_bytes().first_chunk().expect("a base name begins with its hash")
}

fn above_usual_store(dir: &Path) -> Option<PathBuf> {
    let above = dir.as_os_str().as_bytes().strip_suffix(USUAL_STORE.as_bytes())?;
    Some(PathBuf::from(OsStr::from_bytes(above)))
}

fn is_missing<T>(found: &io::Result<T>) -> bool {
    matches!(found, Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// The store directory unless someone has chosen another.
pub(super) const USUAL_STORE: &str = "/nix/store";
/// As many as Linux follows.
const MAX_LINKS: usize = 40;
