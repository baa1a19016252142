//! The programs in a content: the content itself, or what an archive or an image holds.

use std::cell::RefCell;
use std::rc::Rc;

use super::elf::{HEADER, Header, Program, Reader};
use super::regions::Region;
use crate::patch::Base;

/// Headers of programs in a content that are looked at.
const MAX_PROGRAMS: usize = 16384;
/// So many bytes of a content are looked through for each byte that is to be made, and so many more.
const SEARCHED_EACH: u64 = 16;
const SEARCHED: u64 = 1 << 20;
/// The content is looked through in pieces of this length.
const PIECE: usize = 1 << 16;
/// Programs that are known at the same time.
const KEPT: usize = 2;

/// Where programs are in a content, and what was looked at last.
pub(crate) struct Images<'a> {
    base: &'a dyn Base,
    /// Start and end of each, ascending, without overlaps.
    found: Vec<(u64, u64)>,
    kept: RefCell<Vec<(u64, Rc<Program>)>>,
}

impl<'a> Images<'a> {
    /// Looks through a content from which `len` bytes are to be made. What cannot be read has no
    /// programs.
    pub(crate) fn of(base: &'a dyn Base, len: u64) -> Self {
        let limit = len.saturating_mul(SEARCHED_EACH).saturating_add(SEARCHED).min(base.len());
        let mut found = Vec::new();
        let mut seen = 0;
        let mut at = 0;
        while seen < MAX_PROGRAMS {
            let Some(start) = next(base, at, limit) else { break };
            at = start + 1;
            let Some(reader) = Reader::new(base, start) else { continue };
            seen += 1;
            let end = start.checked_add(reader.len()).filter(|end| *end <= base.len());
            if let Some(end) = end {
                let end = reader.behind(end, limit);
                found.push((start, end));
                at = end;
            }
        }
        Self { base, found, kept: RefCell::default() }
    }

    #[cfg(feature = "encoder")]
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All regions that have a meaning, with their programs.
    #[cfg(feature = "encoder")]
    pub(crate) fn regions(&self) -> impl Iterator<Item = (Rc<Program>, Region)> {
        self.found.iter().flat_map(|(start, end)| {
            let program = self.program(*start, *end);
            let regions = program.regions.clone();
            regions.into_iter().map(move |region| (program.clone(), region))
        })
    }

    /// The region with this offset, or the plain one up to the next; and the program that it is
    /// of, an empty one outside of all.
    pub(crate) fn region(&self, offset: u64) -> (Rc<Program>, Region) {
        let next = self.found.partition_point(|range| range.1 <= offset);
        match self.found.get(next) {
            Some((start, end)) if *start <= offset => {
                let program = self.program(*start, *end);
                let next = program.regions.partition_point(|r| r.end <= offset);
                let region = match program.regions.get(next) {
                    Some(region) if region.start <= offset => *region,
                    Some(region) => Region::plain(offset, region.start),
                    None => Region::plain(offset, *end),
                };
                (program, region)
            }
            other => {
                let end = other.map_or(u64::MAX, |range| range.0);
                (Rc::default(), Region::plain(offset, end))
            }
        }
    }

    fn program(&self, start: u64, end: u64) -> Rc<Program> {
        let mut kept = self.kept.borrow_mut();
        if let Some((_, program)) = kept.iter().find(|(at, _)| *at == start) {
            return program.clone();
        }
        let program = Reader::new(self.base, start).map(|reader| reader.program(end));
        let program = Rc::new(program.unwrap_or_default());
        kept.truncate(KEPT - 1);
        kept.insert(0, (start, program.clone()));
        program
    }
}

/// The first place from `from` on, before `to`, where a header may be.
fn next(base: &dyn Base, from: u64, to: u64) -> Option<u64> {
    let mut piece = vec![0; PIECE.min(usize::try_from(to.saturating_sub(from)).unwrap_or(PIECE))];
    let mut at = from;
    while at < to && to - at >= 52 {
        let len = ((to - at) as usize).min(PIECE);
        base.read_exact_at(&mut piece[..len], at).ok()?;
        if let Some(place) = start_of_header(&piece[..len]) {
            return Some(at + place as u64);
        }
        // A header may begin in one piece and end in the next.
        at += if len < PIECE { len } else { PIECE - HEADER } as u64;
    }
    None
}

/// The first place in the bytes where a header is.
pub(super) fn start_of_header(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(distance) = bytes[at..].iter().position(|byte| *byte == 0x7f) {
        at += distance;
        if Header::of(&bytes[at..]).is_some() {
            return Some(at);
        }
        at += 1;
    }
    None
}
