//! Finding the release that a word of the command line means.

use std::path::Path;

use upmass_format::ReleaseId;
use upmass_format::release::Release;
use upmass_store::Store;
#[cfg(feature = "host")]
use upmass_store::StoreError;

#[cfg(feature = "host")]
use crate::arguments::StoreArgument;
use crate::failure::Failure;

/// Fewest digits of an id that are taken for one.
const MIN_DIGITS: usize = 4;

/// How the names of archives end that a description takes.
const ARCHIVES: [&str; 7] = [".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tzst"];

/// The release with this id, these first digits of its id, or this version.
pub fn find(store: &Store, word: &str) -> Result<(ReleaseId, Release), Failure> {
    let mut found = Vec::new();
    let mut known = Vec::new();
    for id in store.releases()? {
        let release = store.release(id)?;
        let is_prefix = word.len() >= MIN_DIGITS && id.to_string().starts_with(word);
        let version = release.version().unwrap_or_default().to_owned();
        known.push(format!("{} ({version})", id.short()));
        if is_prefix || version == word {
            found.push((id, release));
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Failure::refused(advice(word).unwrap_or_else(|| {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            format!("no release {word:?} in the store; it has {known}")
        }))),
        count => Err(Failure::refused(format_args!(
            "{count} releases are called {word:?}: {}; give more of the id",
            found.iter().map(|(id, _)| id.short()).collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// Opens a store to find these releases in. Who names a directory or an archive instead may
/// have no store yet, and is told how to come to both.
#[cfg(feature = "host")]
pub fn open(argument: &StoreArgument, words: &[&String]) -> Result<Store, Failure> {
    Store::open(&argument.store).map_err(|error| {
        let not_there = matches!(error, StoreError::NotAStore { .. });
        match words.iter().find_map(|word| advice(word)).filter(|_| not_there) {
            Some(advice) => Failure::refused(advice),
            None => error.into(),
        }
    })
}

/// How to make a release of what a word names, where that is a path and not a release.
fn advice(word: &str) -> Option<String> {
    let path = Path::new(word);
    let (what, source) = if path.is_dir() {
        ("directory", "dir")
    } else if ARCHIVES.iter().any(|ending| word.ends_with(ending)) && path.is_file() {
        ("tar archive", "tar")
    } else if word.ends_with(".toml") && path.is_file() {
        return Some(format!(
            "{word:?} is a file and no release: if it describes one, import it with `upmass release \
             {word} --store DIR`, and give the id that it prints"
        ));
    } else {
        return None;
    };
    Some(format!(
        "{word:?} is a {what} and no release: to make one of it, name it in a description \
         (release.toml with `source = {{ {source} = {word:?} }}`, see docs/release-toml.md), import that \
         with `upmass release release.toml --store DIR`, and give the id that it prints"
    ))
}

/// As [`find`] for `RELEASE` or `RELEASE/SYSTEM`; gives the name of the system too, if any.
pub fn find_system(
    store: &Store,
    words: &str,
) -> Result<(ReleaseId, Release, Option<String>), Failure> {
    // A version may have a slash in it: the whole word is tried first.
    match find(store, words) {
        Ok((id, release)) => return Ok((id, release, None)),
        Err(failure) if advice(words).is_some() => return Err(failure),
        Err(_) => {}
    }
    let (word, system) = match words.rsplit_once('/') {
        Some((word, system)) => (word, Some(system.to_owned())),
        None => (words, None),
    };
    let (id, release) = find(store, word)?;
    if let Some(system) = &system
        && !release.systems.iter().any(|known| known.name == *system)
    {
        let known: Vec<&str> = release.systems.iter().map(|system| &system.name[..]).collect();
        return Err(Failure::refused(format_args!(
            "release {word} has no system {system:?}; it has {}",
            known.join(", ")
        )));
    }
    Ok((id, release, system))
}
