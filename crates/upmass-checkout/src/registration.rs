//! What Nix has to be told of the store paths of a checkout before it takes them for its own.
//!
//! The form is that of `nix-store --dump-db`, which `nix-store --load-db` and
//! `nix-store --register-validity --hash-given` read: for each store path its path, the SHA-256
//! digest and the length of its NAR, the derivation that built it or an empty line, and the
//! store paths that it refers to behind their number, each in a line of its own.

use std::fmt::Write;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;
use upmass_format::Name;
use upmass_format::nix::{LABEL_DERIVER, is_base_name};
use upmass_format::release::{Component, Release};
use upmass_store::{NarError, Store};

use crate::error::Context;
use crate::{CheckoutError, Result};

/// The file in the root of a checkout, named as NixOS names it in its images.
pub const NIX_REGISTRATION: &str = "nix-path-registration";

/// A component that is a store path.
struct StorePath<'r> {
    component: &'r Component,
    /// The store directory, such as `/nix/store`.
    dir: String,
    /// Whether it is a single file or symlink in the store directory.
    is_single: bool,
}

/// Writes the registration of all components with these indexes that are store paths, into the
/// root of a checkout, and gives how many these are. `progress` is told the bytes hashed.
pub(crate) fn write(
    store: &Store,
    release: &Release,
    indexes: &[usize],
    root: BorrowedFd<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<u64> {
    let mut text = String::new();
    let mut count = 0;
    let mut dir: Option<String> = None;
    for index in indexes {
        let Some(path) = StorePath::of(&release.components[*index]) else {
            continue;
        };
        if *dir.get_or_insert_with(|| path.dir.clone()) != path.dir {
            let (first, second) = (dir.expect("set above"), path.dir);
            return Err(CheckoutError::SeveralNixStores { first, second });
        }
        path.register(store, release, &mut text, progress)?;
        count += 1;
    }
    if count == 0 {
        return Err(CheckoutError::NoNixStore);
    }
    let path = || format!("/{NIX_REGISTRATION}");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match fs::openat(root, NIX_REGISTRATION, flags, Mode::from_raw_mode(0o600)) {
        Err(Errno::EXIST) => return Err(CheckoutError::RegistrationExists),
        other => other.on("create", &path)?,
    };
    fs::fchmod(&file, Mode::from_raw_mode(0o444)).on("set the mode of", &path)?;
    io::Write::write_all(&mut std::fs::File::from(file), text.as_bytes())
        .map_err(|source| CheckoutError::Io { action: "write", path: path(), source })?;
    Ok(count)
}

impl<'r> StorePath<'r> {
    /// `None` where a component is none: its name is no store path's, or it is installed
    /// elsewhere.
    fn of(component: &'r Component) -> Option<Self> {
        if !is_base_name(component.name.as_bytes()) {
            return None;
        }
        let install = component.install.tree_path();
        // What has control characters cannot be told in lines, and Nix has no such store.
        let text = std::str::from_utf8(install.as_bytes()).ok()?;
        if text.chars().any(char::is_control) {
            return None;
        }
        match install.split_last() {
            Some((dir, last)) if last.as_bytes() == component.name.as_bytes() => {
                let dir = format!("/{}", std::str::from_utf8(dir.as_bytes()).ok()?);
                Some(Self { component, dir, is_single: false })
            }
            _ => Some(Self { component, dir: format!("/{text}"), is_single: true }),
        }
    }

    fn register(
        &self,
        store: &Store,
        release: &'r Release,
        text: &mut String,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let component = self.component;
        let name = &component.name;
        let single = self.is_single.then(|| Name::new(name.as_bytes()).expect("as a base name"));
        let nar = match store.nar_digest(component.tree, single.as_ref(), progress) {
            Ok(nar) => nar,
            Err(NarError::Store(source)) => return Err(source.into()),
            Err(source) => {
                let component = name.clone();
                return Err(CheckoutError::NotAStorePath { component, source });
            }
        };
        let deriver = match component.labels.get(LABEL_DERIVER) {
            None => String::new(),
            Some(deriver) if is_base_name(deriver.as_bytes()) => format!("{}/{deriver}", self.dir),
            Some(deriver) => {
                let (component, deriver) = (name.clone(), deriver.clone());
                return Err(CheckoutError::BadDeriver { component, deriver });
            }
        };
        let references: Vec<String> = (component.references.iter())
            .filter_map(|index| Self::of(&release.components[*index]))
            .map(|path| format!("{}/{}", path.dir, path.component.name))
            .collect();
        writeln!(text, "{}/{name}\n{nar}\n{}\n{deriver}", self.dir, nar.len)
            .and_then(|()| writeln!(text, "{}", references.len()))
            .and_then(|()| references.iter().try_for_each(|path| writeln!(text, "{path}")))
            .expect("a text grows");
        Ok(())
    }
}
