//! Old contents as a device sees them when it makes new ones: with names replaced.

use std::io;

use upmass_delta::patch::{Base, Buffered, Sink};
use upmass_delta::rename::{Places, Renamer};
use upmass_disk::ReadAt;
use upmass_format::release::Release;
use upmass_format::rename::{MAX_PLACES, MAX_TEXTS, Rename, Renames};
use upmass_format::{ObjectHasher, ObjectId};
use upmass_member::expanded::Member;
use upmass_store::Store;

use crate::members::{MAX_FILE, expand};
use crate::object::read_start;
use crate::pairing::Pairing;
use crate::{BuildError, Result};

/// The table of names for these pairs. Only names that other components mention are in it, so that a
/// device looks for nothing that is not there.
pub(crate) fn renames(old: &Release, new: &Release, pairing: &Pairing) -> Renames {
    let mut is_mentioned = vec![false; old.components.len()];
    for component in &old.components {
        component.references.iter().for_each(|index| is_mentioned[*index] = true);
    }
    let mut pairs: Vec<(usize, usize)> =
        pairing.pairs.iter().map(|pair| (pair.old, pair.new)).collect();
    pairs.sort_unstable();
    let mut renames = Vec::new();
    let mut left = MAX_TEXTS;
    for (index, other) in pairs {
        let (before, after) = (&old.components[index].name, &new.components[other].name);
        let rename = match before == after {
            true => None,
            false => Rename::between(before, after),
        };
        let Some(rename) =
            rename.filter(|rename| !matches!(rename, Rename::Name(_)) || is_mentioned[index])
        else {
            continue;
        };
        match left.checked_sub(rename.texts()) {
            Some(rest) => left = rest,
            None => break,
        }
        renames.push((index, rename));
    }
    let mut kept = Vec::new();
    keep_valid(old, &mut kept, &renames, &mut { MAX_CHECKS });
    Renames::new(kept)
}

/// Adds to the table what makes a valid one together with what is in it. Two components may have one
/// hash, or names become one: then the later entry stays out, and all others are there.
fn keep_valid(
    old: &Release,
    kept: &mut Vec<(usize, Rename)>,
    more: &[(usize, Rename)],
    checks: &mut usize,
) {
    if more.is_empty() || *checks == 0 {
        return;
    }
    *checks -= 1;
    let table = Renames::new([&kept[..], more].concat());
    let is_valid = table.tokens(old).is_ok_and(|tokens| {
        let renamer = Renamer::new(tokens);
        table.release(old, &|text| renamer.rename(text)).is_ok()
    });
    if is_valid {
        kept.extend_from_slice(more);
    } else if more.len() > 1 {
        let (first, second) = more.split_at(more.len() / 2);
        keep_valid(old, kept, first, checks);
        keep_valid(old, kept, second, checks);
    }
}

/// So many tables are tried at most, however many entries do not go together.
const MAX_CHECKS: usize = 1 << 12;

/// The objects of the old release, renamed.
#[derive(Clone, Copy)]
pub(crate) struct OldObjects<'a> {
    pub(crate) store: &'a Store,
    pub(crate) renamer: &'a Renamer,
}

impl<'a> OldObjects<'a> {
    /// An object, renamed.
    pub(crate) fn open(&self, id: ObjectId) -> Result<Box<dyn ReadAt + 'a>> {
        let file = self.store.open_object(id)?;
        if self.renamer.is_empty() {
            return Ok(file);
        }
        let places = self.places(id, &*file, usize::MAX)?.expect("there is no limit");
        if places.is_empty() {
            return Ok(file);
        }
        Ok(Box::new(RenamedFile { file, places, renamer: self.renamer }))
    }

    /// What a device must write down to read it renamed, in bytes.
    pub(crate) fn scratch(&self, id: ObjectId) -> Result<u64> {
        if self.renamer.is_empty() {
            return Ok(0);
        }
        let file = self.store.open_object(id)?;
        match self.places(id, &*file, MAX_PLACES)? {
            Some(_) => Ok(0),
            None => Ok(self.open(id)?.len()),
        }
    }

    /// The first bytes of an object, renamed.
    pub(crate) fn start(&self, id: ObjectId, limit: usize) -> Result<Vec<u8>> {
        Ok(self.renamed(read_start(self.store, id, limit)?))
    }

    /// An object with members unpacked, renamed.
    pub(crate) fn expanded(&self, id: ObjectId, members: &[Member]) -> Result<Vec<u8>> {
        let packed = read_start(self.store, id, MAX_FILE as usize)?;
        Ok(self.renamed(expand(&packed, members)))
    }

    /// What has become of an object: another one, and its length. `None` when it stays.
    pub(crate) fn becomes(&self, id: ObjectId) -> Result<Option<(ObjectId, u64)>> {
        let file = self.store.open_object(id)?;
        let base = base(&*file);
        let read = |source| BuildError::Read { id, source };
        if !self.renamer.changes_object(&base).map_err(read)? {
            return Ok(None);
        }
        let mut hasher = Hashed(ObjectHasher::new());
        let written = self.renamer.write(&base, &mut hasher);
        written.map_err(|error| BuildError::Encode { id, message: error.to_string() })?;
        let len = hasher.0.content_len();
        Ok(Some((hasher.0.finish(), len)))
    }

    /// Objects one after the other, as they are.
    pub(crate) fn joined(&self, ids: &[ObjectId]) -> Result<Vec<u8>> {
        let mut joined = Vec::new();
        for id in ids {
            joined.append(&mut read_start(self.store, *id, MAX_FILE as usize)?);
        }
        Ok(joined)
    }

    /// What a device must write down to read a content renamed, in bytes.
    pub(crate) fn scratch_of(&self, content: &[u8]) -> Result<u64> {
        let places = self.renamer.places(&content, MAX_PLACES);
        match places.expect("bytes in memory can be read") {
            Some(_) => Ok(0),
            None => Ok(self.renamed(content.to_vec()).len() as u64),
        }
    }

    /// A content, renamed.
    pub(crate) fn renamed(&self, content: Vec<u8>) -> Vec<u8> {
        match self.renamer.is_empty() {
            true => content,
            false => self.renamer.rename(&content).unwrap_or(content),
        }
    }

    fn places(&self, id: ObjectId, file: &dyn ReadAt, limit: usize) -> Result<Option<Places>> {
        let places = self.renamer.places(&base(file), limit);
        places.map_err(|source| BuildError::Read { id, source })
    }
}

fn base(file: &dyn ReadAt) -> impl Base + '_ {
    Buffered::new(file.len(), |buffer: &mut [u8], offset| file.read_exact_at(buffer, offset))
}

struct RenamedFile<'a> {
    file: Box<dyn ReadAt>,
    places: Places,
    renamer: &'a Renamer,
}

impl ReadAt for RenamedFile<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.len().saturating_sub(offset).min(buffer.len() as u64) as usize;
        let read = &mut |part: &mut [u8], at| self.file.read_exact_at(part, at);
        self.places.read_exact_at(self.renamer, &mut buffer[..count], offset, read)?;
        Ok(count)
    }

    fn len(&self) -> u64 {
        self.places.len()
    }
}

struct Hashed(ObjectHasher);

impl Sink for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.update(bytes);
        Ok(())
    }

    fn write_zeros(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::pairing::{Pair, Why};
    use upmass_format::TreeId;
    use upmass_format::release::{Changes, Component, InstallPath, System};

    fn release(names: &[String]) -> Release {
        let component = |name: &String| Component {
            name: name.clone(),
            install: InstallPath::new(format!("/store/{name}").as_bytes()).unwrap(),
            references: Vec::new(),
            labels: BTreeMap::new(),
            tree: TreeId::from_bytes([0; 32]),
        };
        let system = System {
            name: "main".to_owned(),
            labels: BTreeMap::new(),
            roots: (0..names.len()).collect(),
            boot: Vec::new(),
            command_line: String::new(),
            changes: Changes::default(),
        };
        Release {
            machine: "buoy".to_owned(),
            counter: 1,
            labels: BTreeMap::new(),
            components: names.iter().map(component).collect(),
            systems: vec![system],
            fallback: 0,
        }
    }

    /// The components that are renamed when those of the first list become those of the second.
    fn renamed(names: &[(String, String)]) -> Vec<usize> {
        let (old, new): (Vec<String>, Vec<String>) = names.iter().cloned().unzip();
        let pairs = (0..names.len()).map(|at| Pair { old: at, new: at, why: Why::SameName });
        let pairing = Pairing { pairs: pairs.collect(), bases: Vec::new() };
        let (old, new) = (release(&old), release(&new));
        let table = renames(&old, &new, &pairing);
        assert!(table.tokens(&old).is_ok(), "what is left is valid");
        (0..names.len()).filter(|at| table.has(*at)).collect()
    }

    fn name(digit: char, rest: &str) -> String {
        format!("{}-{rest}", digit.to_string().repeat(32))
    }

    #[test]
    fn of_two_components_with_one_hash_the_second_is_not_renamed_and_all_others_are() {
        let names: Vec<(String, String)> = ["0a", "1b", "1c", "2d", "3e", "3f", "4g"]
            .iter()
            .enumerate()
            .map(|(at, old)| {
                let (digit, rest) = old.split_at(1);
                let digits = b"56789abcd";
                (name(digit.chars().next().unwrap(), rest), name(char::from(digits[at]), rest))
            })
            .collect();
        assert_eq!(renamed(&names), [0, 1, 3, 4, 6]);
    }

    #[test]
    fn a_component_does_not_get_the_name_that_another_has() {
        let names = [
            (name('0', "a"), name('5', "a")),
            // Renamed, it is what the next one is called.
            (name('1', "b"), name('2', "b")),
            (name('2', "b"), name('2', "b")),
            (name('3', "c"), name('6', "c")),
        ];
        assert_eq!(renamed(&names), [0, 3]);
    }
}
