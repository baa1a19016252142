//! The programs of new content, noticed as it is made.

use std::rc::Rc;

use super::elf::{HEADER, Header};
use super::images::start_of_header;
use super::segments::Layout;

/// Longest front of a program, its header and table of segments, that is waited for.
const LONGEST_FRONT: u64 = 4096;

/// Where programs begin in what was made so far, and what the last of them says.
#[derive(Default)]
pub(crate) struct Made {
    /// Bytes from `at` on that may belong to a header.
    front: Vec<u8>,
    /// From where on a header may begin.
    at: u64,
    /// The last program.
    last: Option<Rc<Layout>>,
}

impl Made {
    /// Takes what was made next, the end of which is at `end`.
    pub(crate) fn push(&mut self, bytes: &[u8], end: u64) {
        let start = end - bytes.len() as u64;
        let skipped = self.at.saturating_sub(start).min(bytes.len() as u64);
        if !self.front.is_empty() || self.at < end {
            self.front.extend_from_slice(&bytes[skipped as usize..]);
            self.search();
        }
    }

    /// Takes zeros.
    pub(crate) fn push_zeros(&mut self, len: u64, end: u64) {
        let needed = len.min(LONGEST_FRONT);
        self.push(&[0; LONGEST_FRONT as usize][..needed as usize], end - len + needed);
        if needed < len && self.at < end {
            // No header begins in zeros.
            self.front.clear();
            self.at = end;
        }
    }

    fn search(&mut self) {
        while let Some(place) = start_of_header(&self.front) {
            self.drop(place as u64);
            let header = Header::of(&self.front).expect("it was found");
            let front = header.front();
            if front > LONGEST_FRONT {
                self.drop(1);
                continue;
            }
            if (self.front.len() as u64) < front {
                return;
            }
            let segments = header.mapped(&self.front[header.table()]);
            let mapped = segments.iter().map(|s| s.offset.saturating_add(s.in_file)).max();
            let len = match header.back() {
                0 => mapped.unwrap_or(0),
                back => back,
            };
            self.last = Some(Rc::new(Layout { start: self.at, segments }));
            self.drop(len.max(front));
        }
        // What is left may be the start of a header.
        self.drop((self.front.len() as u64).saturating_sub(HEADER as u64 - 1));
    }

    /// Goes on, `len` bytes later.
    fn drop(&mut self, len: u64) {
        self.front.drain(..len.min(self.front.len() as u64) as usize);
        self.at = self.at.saturating_add(len);
    }

    /// From where on a program may begin that is not known yet.
    pub(crate) fn searched(&self) -> u64 {
        self.at
    }

    /// The last program that has begun.
    pub(crate) fn last(&self) -> Option<&Rc<Layout>> {
        self.last.as_ref()
    }
}
