//! Bases of several parts: what is made later than all others is made from new objects too.

use std::io;
use std::sync::{Arc, Mutex};

use upmass_disk::ReadAt;
use upmass_format::payload::{Later, OldPlace, Part};
use upmass_store::{ScratchContent, Store};

use crate::staging::{Plan, Plans};
use crate::trees::FileObject;
use crate::{ApplyError, Result};

/// So many files are open at once of one base.
const MAX_OPEN: usize = 8;

/// A content that is in a base.
pub(crate) enum PartContent {
    Object(FileObject),
    /// A range of content that is never an object: where it begins, and how long it is.
    Kept(Arc<ScratchContent>, u64, u64),
}

/// Finds parts: those of the old release, and new objects that were made.
pub(crate) trait PartFinder {
    /// The object that the file had before.
    fn here(&self) -> Result<Option<FileObject>>;
    /// The object at a place of the old release.
    fn old_object(&self, place: OldPlace) -> Result<FileObject>;
    /// A new object that a step has made before, and which is not made later. `None` for all others.
    fn new_object(&self, number: u64) -> Result<Option<PartContent>>;
}

/// Opens all parts of the base of new object `number` as one content.
pub(crate) fn joined(
    store: &Store,
    number: u64,
    later: &Later,
    parts: &[Part],
    finder: &dyn PartFinder,
) -> Result<Joined> {
    let refuse = |why: String| ApplyError::Program(format!("it makes new object {number} {why}"));
    if !later.has(number) {
        return Err(refuse("from parts, which is not made later".to_owned()));
    }
    let mut found =
        Joined { store: store.clone(), parts: Vec::new(), len: 0, open: Mutex::default() };
    for part in parts {
        let content = match part {
            Part::Here => {
                let why = || refuse("from what its file had before, which is nothing".to_owned());
                PartContent::Object(finder.here()?.ok_or_else(why)?)
            }
            Part::Old(place) => PartContent::Object(finder.old_object(*place)?),
            Part::New(other) => {
                let why = || refuse(format!("from new object {other}, which no step made before"));
                finder.new_object(*other)?.ok_or_else(why)?
            }
        };
        let len = match &content {
            PartContent::Object(object) => object.size,
            PartContent::Kept(_, _, len) => *len,
        };
        found.parts.push((found.len, content));
        let too_long = || refuse("from parts that are too long".to_owned());
        found.len = found.len.checked_add(len).ok_or_else(too_long)?;
    }
    Ok(found)
}

/// Checks that what is made later are objects that steps make.
pub(crate) fn check_later(later: &Later, plans: &Plans) -> Result<()> {
    for number in later.numbers() {
        if !matches!(plans.get(*number)?, Some(Plan::Step(_))) {
            return Err(not_later(*number));
        }
    }
    Ok(())
}

/// The error for an object that cannot be made later.
pub(crate) fn not_later(number: u64) -> ApplyError {
    ApplyError::Program(format!("it makes new object {number} later, which no step makes"))
}

/// Contents one after the other.
pub(crate) struct Joined {
    store: Store,
    /// With where each begins.
    parts: Vec<(u64, PartContent)>,
    len: u64,
    /// Files that were read last, the latest first.
    open: Mutex<Vec<(usize, Box<dyn ReadAt>)>>,
}

impl Joined {
    fn read_object(
        &self,
        index: usize,
        object: FileObject,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<()> {
        let mut open = self.open.lock().expect("no panic while the lock is held");
        match open.iter().position(|(part, _)| *part == index) {
            Some(at) => open[..=at].rotate_right(1),
            None => {
                open.truncate(MAX_OPEN - 1);
                let file = self.store.open_object(object.id).map_err(io::Error::other)?;
                open.insert(0, (index, file));
            }
        }
        open[0].1.read_exact_at(buffer, offset)
    }
}

impl ReadAt for Joined {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.len || buffer.is_empty() {
            return Ok(0);
        }
        let index = self.parts.partition_point(|(start, _)| *start <= offset) - 1;
        let end = self.parts.get(index + 1).map_or(self.len, |(start, _)| *start);
        let (start, content) = &self.parts[index];
        let inside = offset - start;
        let count = buffer.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..count];
        match content {
            PartContent::Object(object) => self.read_object(index, *object, buffer, inside)?,
            PartContent::Kept(content, from, _) => content.read_exact_at(buffer, from + inside)?,
        }
        Ok(count)
    }

    fn len(&self) -> u64 {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use upmass_disk::SimVolume;

    struct Finder(Vec<FileObject>);

    impl PartFinder for Finder {
        fn here(&self) -> Result<Option<FileObject>> {
            Ok(None)
        }

        fn old_object(&self, place: OldPlace) -> Result<FileObject> {
            Ok(self.0[place.component as usize])
        }

        fn new_object(&self, number: u64) -> Result<Option<PartContent>> {
            Ok(self.0.get(number as usize).copied().map(PartContent::Object))
        }
    }

    fn contents() -> (Store, Finder, Vec<Vec<u8>>) {
        let store = Store::create_on(Arc::new(SimVolume::new(1 << 24)), "a store").unwrap();
        let contents: Vec<Vec<u8>> = (0..20u8).map(|n| vec![n; 65 + 13 * usize::from(n)]).collect();
        let put = |content: &Vec<u8>| FileObject {
            id: store.put(content).unwrap(),
            size: content.len() as u64,
        };
        let finder = Finder(contents.iter().map(put).collect());
        (store, finder, contents)
    }

    #[test]
    fn parts_are_read_as_one_content() {
        let (store, finder, contents) = contents();
        let parts: Vec<Part> = [3, 0, 19, 19, 7].into_iter().chain(0..20).map(Part::New).collect();
        let expected: Vec<u8> = parts
            .iter()
            .flat_map(|part| match part {
                Part::New(number) => contents[*number as usize].clone(),
                _ => unreachable!("all are new"),
            })
            .collect();
        let joined = joined(&store, 30, &Later::new(vec![30]), &parts, &finder).unwrap();
        assert_eq!(joined.len(), expected.len() as u64);
        for start in (0..expected.len()).step_by(11) {
            for len in [1, 64, 700, 5000] {
                let end = expected.len().min(start + len);
                let mut found = vec![0; end - start];
                joined.read_exact_at(&mut found, start as u64).unwrap();
                assert_eq!(found, expected[start..end], "{start}..{end}");
            }
        }
        assert_eq!(joined.read_at(&mut [0; 9], joined.len()).unwrap(), 0);
    }

    #[test]
    fn what_cannot_be_a_part_is_refused_in_one_sentence() {
        let (store, finder, _) = contents();
        let later = Later::new(vec![25]);
        for (number, part, why) in [
            (24, Part::New(0), "it makes new object 24 from parts, which is not made later"),
            (
                25,
                Part::New(25),
                "it makes new object 25 from new object 25, which no step made before",
            ),
            (
                25,
                Part::New(21),
                "it makes new object 25 from new object 21, which no step made before",
            ),
            (
                25,
                Part::Here,
                "it makes new object 25 from what its file had before, which is nothing",
            ),
        ] {
            let Err(error) = joined(&store, number, &later, &[part], &finder) else {
                panic!("{why}");
            };
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
