//! References found in the contents of store paths, where no database says them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rayon::prelude::*;

use super::NixError;
use super::database::{Closure, Registration};
use super::path::{Chroot, StorePath, base_name, hash_of};
use super::scan::{Hash, KnownHashes, Scan};

/// The closure of some store paths of one store, by what their contents mention.
///
/// As Nix does when it registers a build, the names of files, the targets of links and the
/// contents of files are looked through for the hashes of store paths; here, of all that lie
/// in the same store directory. Derivations are left out: nothing needs them to run, and one
/// mentioned by chance would pull in all that was there to build.
pub(super) fn closure(chroot: &Chroot, roots: &[StorePath]) -> Result<Closure, NixError> {
    let Some(dir) = roots.first().map(|root| &root.dir) else {
        return Ok(Closure::new());
    };
    let on_host = chroot.on_host(dir);
    let names = list(&on_host)?;
    let hashes: Vec<Hash> = names.iter().map(|name| hash_of(name)).collect();
    let known = KnownHashes::new(&hashes);
    let number = |base: &str| names.binary_search_by(|name| name.as_str().cmp(base)).ok();

    let mut closure = Closure::new();
    let mut next: BTreeSet<usize> = roots
        .iter()
        .map(|root| {
            number(&root.base).ok_or_else(|| NixError::NotListed { path: dir.join(&root.base) })
        })
        .collect::<Result<_, _>>()?;
    while !next.is_empty() {
        let scanned: Vec<(usize, Vec<usize>)> = next
            .par_iter()
            .map(|number| {
                let mut scan = known.scan();
                scan_below(&on_host.join(&names[*number]), &mut scan, &mut Vec::new())?;
                Ok((*number, scan.found().collect()))
            })
            .collect::<Result<_, NixError>>()?;
        next.clear();
        for (number, found) in scanned {
            next.extend(&found);
            let references = found.into_iter().map(|number| names[number].clone()).collect();
            let registration = Registration { references, ..Registration::default() };
            closure.insert(names[number].clone(), registration);
        }
        next.retain(|number| !closure.contains_key(&names[*number]));
    }
    Ok(closure)
}

/// The base names of the store paths in a store directory, ascending, one for each hash.
fn list(dir: &Path) -> Result<Vec<String>, NixError> {
    let io = |source| NixError::Io { path: dir.to_owned(), source };
    let mut by_hash = BTreeMap::<Hash, String>::new();
    for entry in dir.read_dir().map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let Some(base) = base_name(&name) else {
            continue;
        };
        if base.ends_with(".drv") {
            continue;
        }
        // Builds leave `<base>.lock` and `<base>.chroot` beside the store path itself.
        by_hash
            .entry(hash_of(base))
            .and_modify(|known| {
                if base.len() < known.len() {
                    base.clone_into(known);
                }
            })
            .or_insert_with(|| base.to_owned());
    }
    Ok(by_hash.into_values().collect())
}

fn scan_below(path: &Path, scan: &mut Scan<'_>, buffer: &mut Vec<u8>) -> Result<(), NixError> {
    let io = |source| NixError::Io { path: path.to_owned(), source };
    let kind = path.symlink_metadata().map_err(io)?.file_type();
    if kind.is_symlink() {
        scan.feed(path.read_link().map_err(io)?.as_os_str().as_bytes());
        scan.end_text();
    } else if kind.is_dir() {
        for entry in path.read_dir().map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            scan.feed(name.as_bytes());
            scan.end_text();
            scan_below(&path.join(name), scan, buffer)?;
        }
    } else if kind.is_file() {
        buffer.resize(READ_SIZE, 0);
        let mut file = File::open(path).map_err(io)?;
        loop {
            match file.read(buffer) {
                Ok(0) => break,
                Ok(len) => scan.feed(&buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io(error)),
            }
        }
        scan.end_text();
    }
    Ok(())
}

/// Stays in the second-level cache between the kernel's copy and the search.
const READ_SIZE: usize = 1 << 18;
