//! Finding the release that a word of the command line means.

use upmass_format::ReleaseId;
use upmass_format::release::Release;
use upmass_store::Store;

use crate::failure::Failure;

/// Fewest digits of an id that are taken for one.
const MIN_DIGITS: usize = 4;

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
        0 => Err(Failure::refused(format_args!(
            "no release {word:?} in the store; it has {}",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        ))),
        count => Err(Failure::refused(format_args!(
            "{count} releases are called {word:?}: {}; give more of the id",
            found.iter().map(|(id, _)| id.short()).collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// As [`find`] for `RELEASE` or `RELEASE/SYSTEM`; gives the name of the system too, if any.
pub fn find_system(
    store: &Store,
    words: &str,
) -> Result<(ReleaseId, Release, Option<String>), Failure> {
    // A version may have a slash in it: the whole word is tried first.
    if let Ok((id, release)) = find(store, words) {
        return Ok((id, release, None));
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
