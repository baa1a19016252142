//! Content that is too long for memory: a device has it on its disk.

use std::io;

/// Content that grows at its end and is read anywhere.
pub trait Space {
    /// Appends bytes.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Fills `buffer` from `offset` on; fails where there was nothing appended.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl Space for Vec<u8> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.checked_add(buffer.len());
        let bytes = end.and_then(|end| self.get(start..end)).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// Makes spaces, all empty.
pub type Spaces<'a> = dyn FnMut() -> io::Result<Box<dyn Space>> + 'a;

const PAGE: usize = 4096;
const PAGES: usize = 128;

/// Memory of [`Paged`], in bytes.
#[cfg(test)]
pub(super) const PAGED_MEMORY: u64 = (PAGE * PAGES) as u64;

/// Reads content that is complete, through pages that are kept. The first failure is kept too;
/// from then on all bytes are zero.
pub(super) struct Paged<'a> {
    space: &'a dyn Space,
    len: u64,
    pages: Vec<u8>,
    /// Which page is where.
    tags: [u64; PAGES],
    failure: Option<io::Error>,
}

impl<'a> Paged<'a> {
    pub(super) fn new(space: &'a dyn Space, len: u64) -> Self {
        Self { space, len, pages: vec![0; PAGE * PAGES], tags: [u64::MAX; PAGES], failure: None }
    }

    /// What there is from here to the end of a page, at least a byte before the end of all.
    pub(super) fn from(&mut self, position: u64) -> &[u8] {
        let (page, inside) = (position / PAGE as u64, (position % PAGE as u64) as usize);
        let slot = (page % PAGES as u64) as usize;
        let start = page * PAGE as u64;
        let len = self.len.saturating_sub(start).min(PAGE as u64) as usize;
        let bytes = &mut self.pages[slot * PAGE..][..len];
        if self.tags[slot] != page {
            self.tags[slot] = page;
            if let Err(error) = self.space.read_exact_at(bytes, start) {
                self.failure.get_or_insert(error);
                bytes.fill(0);
            }
        }
        &bytes[inside.min(len)..]
    }

    /// A byte; zero beyond the end.
    pub(super) fn byte(&mut self, position: u64) -> u8 {
        self.from(position).first().copied().unwrap_or(0)
    }

    /// How many bytes are equal from here on.
    pub(super) fn equal(&mut self, position: u64, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let here = self.from(position + done as u64);
            let count = here.len().min(bytes.len() - done);
            if count == 0 {
                break;
            }
            let same = here.iter().zip(&bytes[done..]).take_while(|(a, b)| a == b).count();
            done += same;
            if same < count {
                break;
            }
        }
        done
    }

    pub(super) fn check(&mut self) -> io::Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

/// Content while it is written, and read not far from its end as a rule.
pub(super) struct Window<'a> {
    space: &'a mut dyn Space,
    /// The end of what was written, of which some is in the space already.
    tail: Vec<u8>,
    /// Where the tail begins: on a page.
    start: u64,
    pages: Vec<u8>,
    tags: [u64; PAGES],
    failure: Option<io::Error>,
}

/// So much of the end is in memory, at most.
const TAIL: usize = 1 << 18;

/// Memory of [`Window`], in bytes.
#[cfg(test)]
pub(super) const WINDOW_MEMORY: u64 = PAGED_MEMORY + TAIL as u64;

impl<'a> Window<'a> {
    pub(super) fn new(space: &'a mut dyn Space) -> Self {
        Self {
            space,
            tail: Vec::with_capacity(TAIL),
            start: 0,
            pages: vec![0; PAGE * PAGES],
            tags: [u64::MAX; PAGES],
            failure: None,
        }
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.start + self.tail.len() as u64
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.tail.push(byte);
        if self.tail.len() == TAIL {
            self.write(TAIL / 2);
        }
    }

    fn write(&mut self, count: usize) {
        if let Err(error) = self.space.append(&self.tail[..count]) {
            self.failure.get_or_insert(error);
        }
        self.tail.drain(..count);
        self.start += count as u64;
    }

    /// A byte that was written.
    pub(super) fn byte(&mut self, position: u64) -> u8 {
        if let Some(inside) = position.checked_sub(self.start) {
            return self.tail.get(inside as usize).copied().unwrap_or(0);
        }
        let page = position / PAGE as u64;
        let slot = (page % PAGES as u64) as usize;
        let bytes = &mut self.pages[slot * PAGE..][..PAGE];
        if self.tags[slot] != page {
            self.tags[slot] = page;
            // All before the tail is in whole pages.
            if let Err(error) = self.space.read_exact_at(bytes, page * PAGE as u64) {
                self.failure.get_or_insert(error);
                bytes.fill(0);
            }
        }
        bytes[(position % PAGE as u64) as usize]
    }

    /// Whether something has failed: what is read means nothing then.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.write(self.tail.len());
        self.failure.map_or(Ok(self.start), Err)
    }
}

const _: () = assert!((TAIL / 2).is_multiple_of(PAGE));
