//! Whether what was imported is what Nix has registered.

use std::path::Path;

use rayon::prelude::*;
use upmass_format::Name;
use upmass_store::{NarError, Store};

use super::database::{Closure, Registration};
use super::{ImportedComponent, NixError};

/// Compares the NAR hash of each component whose registration is known, from its tree in the
/// store, where all of it must be.
///
/// On the device the hash of what arrived is registered again. Content that changed behind
/// Nix's back would be valid there, so this is where it has to be seen.
pub(super) fn check(
    store: &Store,
    dir: &Path,
    closure: &Closure,
    components: &[ImportedComponent],
) -> crate::Result<()> {
    let check = |component: &ImportedComponent| {
        let name = &component.name;
        let Some(Registration { nar: Some(expected), .. }) = closure.get(name) else {
            return Ok(());
        };
        let is_single = component.install.tree_path().as_bytes() == below_root(dir);
        let single = is_single.then(|| Name::new(name.as_bytes()).expect("a base name is a name"));
        let found = match store.nar_digest(component.imported.tree, single.as_ref(), &mut |_| {}) {
            Ok(found) => found,
            Err(NarError::Store(error)) => return Err(error.into()),
            Err(other) => unreachable!("it was imported as a store path: {other}"),
        };
        if found == *expected {
            return Ok(());
        }
        let (path, expected) = (dir.join(name), *expected);
        Err(NixError::Changed { path, expected, found }.into())
    };
    components.par_iter().map(check).collect()
}

fn below_root(dir: &Path) -> &[u8] {
    let bytes = dir.as_os_str().as_encoded_bytes();
    bytes.strip_prefix(b"/").unwrap_or(bytes)
}
