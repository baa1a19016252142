//! What Nix has to be told of the store paths of a checkout before it takes them for its own.
//!
//! The form is that of `nix-store --dump-db`, which `nix-store --load-db` and
//! `nix-store --register-validity --hash-given` read: for each store path its path, the SHA-256
//! digest and the length of its NAR, the derivation that built it or an empty line, and the
//! store paths that it refers to behind their number, each in a line of its own.
//!
//! Nothing of that says who vouches for a store path. Where components have such labels, there is
//! a directory beside it in the form of a binary cache without archives, from which
//! `nix store copy-sigs` takes the signatures.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;
use upmass_format::Name;
use upmass_format::nar::NarDigest;
use upmass_format::nix::{HASH_LEN, LABEL_DERIVER, LABEL_SIGNATURES, is_base_name};
use upmass_format::release::{Component, Release};
use upmass_store::{NarError, Store};

use crate::error::Context;
use crate::{CheckoutError, Result};

/// The file in the root of a checkout, named as NixOS names it in its images.
pub const NIX_REGISTRATION: &str = "nix-path-registration";

/// The directory of signatures in the root of a checkout.
pub const NIX_SIGNATURES: &str = "nix-path-signatures";

/// A component that is a store path.
struct StorePath<'r> {
    component: &'r Component,
    /// The store directory, such as `/nix/store`.
    dir: String,
    /// Whether it is a single file or symlink in the store directory.
    is_single: bool,
}

/// What Nix registers of a store path.
struct Registered<'r> {
    path: StorePath<'r>,
    nar: NarDigest,
    /// The base name of a derivation.
    deriver: Option<&'r str>,
    /// Base names.
    references: Vec<&'r str>,
}

/// Writes the registration of all components with these indexes that are store paths, into the
/// root of a checkout, with their signatures, and gives how many these are. `progress` is told
/// the bytes hashed.
pub(crate) fn write(
    store: &Store,
    release: &Release,
    indexes: &[usize],
    root: BorrowedFd<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<u64> {
    let paths: Vec<StorePath<'_>> =
        indexes.iter().filter_map(|index| StorePath::of(&release.components[*index])).collect();
    let Some(first) = paths.first() else {
        return Err(CheckoutError::NoNixStore);
    };
    let dir = first.dir.clone();
    if let Some(other) = paths.iter().find(|path| path.dir != dir) {
        let second = other.dir.clone();
        return Err(CheckoutError::SeveralNixStores { first: dir, second });
    }
    let registered = paths
        .into_iter()
        .map(|path| path.registered(store, release, progress))
        .collect::<Result<Vec<_>>>()?;
    let text: String = registered.iter().map(Registered::lines).collect();
    write_file(root, NIX_REGISTRATION, &text)?;
    let signed: Vec<(String, String)> = registered.iter().filter_map(Registered::narinfo).collect();
    if !signed.is_empty() {
        let path = || format!("/{NIX_SIGNATURES}");
        let mode = Mode::from_raw_mode(0o755);
        match fs::mkdirat(root, NIX_SIGNATURES, mode) {
            Err(Errno::EXIST) => return Err(CheckoutError::RegistrationExists { path: path() }),
            other => other.on("make directory", &path)?,
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = fs::openat(root, NIX_SIGNATURES, flags, Mode::empty()).on("open", &path)?;
        fs::fchmod(&directory, mode).on("set the mode of", &path)?;
        write_file(directory.as_fd(), "nix-cache-info", &format!("StoreDir: {dir}\n"))?;
        for (name, text) in &signed {
            write_file(directory.as_fd(), name, text)?;
        }
    }
    Ok(registered.len() as u64)
}

/// Writes a file that everyone may read, where none may be yet.
fn write_file(directory: BorrowedFd<'_>, name: &str, text: &str) -> Result<()> {
    let path = || format!("/{name}");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match fs::openat(directory, name, flags, Mode::from_raw_mode(0o600)) {
        Err(Errno::EXIST) => return Err(CheckoutError::RegistrationExists { path: path() }),
        other => other.on("create", &path)?,
    };
    fs::fchmod(&file, Mode::from_raw_mode(0o444)).on("set the mode of", &path)?;
    (std::fs::File::from(file).write_all(text.as_bytes())).map_err(|source| CheckoutError::Io {
        action: "write",
        path: path(),
        source,
    })
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

    fn registered(
        self,
        store: &Store,
        release: &'r Release,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Registered<'r>> {
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
        let deriver = component.labels.get(LABEL_DERIVER).map(String::as_str);
        if let Some(deriver) = deriver.filter(|deriver| !is_base_name(deriver.as_bytes())) {
            let (component, deriver) = (name.clone(), deriver.to_owned());
            return Err(CheckoutError::BadDeriver { component, deriver });
        }
        let references = (component.references.iter())
            .filter_map(|index| StorePath::of(&release.components[*index]))
            .map(|path| &path.component.name[..])
            .collect();
        Ok(Registered { path: self, nar, deriver, references })
    }
}

impl Registered<'_> {
    /// The lines of a registration.
    fn lines(&self) -> String {
        let Self { path: StorePath { component, dir, .. }, nar, .. } = self;
        let deriver = self.deriver.map_or(String::new(), |deriver| format!("{dir}/{deriver}"));
        let head = format!("{dir}/{}\n{nar}\n{}\n{deriver}\n", component.name, nar.len);
        let references = self.references.iter().map(|name| format!("{dir}/{name}\n"));
        let count = format!("{}\n", self.references.len());
        [head, count].into_iter().chain(references).collect()
    }

    /// The name and the text of the file that has its signatures, if there are any.
    fn narinfo(&self) -> Option<(String, String)> {
        let Self { path: StorePath { component, dir, .. }, nar, .. } = self;
        let signatures = component.labels.get(LABEL_SIGNATURES)?;
        let (name, hash) = (&component.name, &component.name[..HASH_LEN]);
        let mut text = format!(
            "StorePath: {dir}/{name}\nURL: nar/{hash}.nar\nCompression: none\n\
             NarHash: sha256:{nar}\nNarSize: {}\nReferences: {}\n",
            nar.len,
            self.references.join(" "),
        );
        text.extend(self.deriver.map(|deriver| format!("Deriver: {deriver}\n")));
        text.extend(signatures.split_whitespace().map(|signature| format!("Sig: {signature}\n")));
        Some((format!("{hash}.narinfo"), text))
    }
}
