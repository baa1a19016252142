//! The content of a file: shared with the object where the file system can, copied elsewhere,
//! with its holes.

use std::os::fd::BorrowedFd;

use rustix::fs;
use rustix::io::{Errno, retry_on_intr};
use upmass_format::ObjectId;
use upmass_store::{Store, StoreError};

use crate::error::Context;
use crate::object::Object;
use crate::{CheckoutError, Report, Result};

/// How much of a file is in memory.
///
/// Files are read and written through it, since `copy_file_range` is no faster: 700 MiB from
/// the page cache took 0.4 s of a processor this way and 0.6 to 1.1 s that way on tmpfs, 0.3 s
/// and 0.9 to 1.9 s on ext4 (Linux 6.18, buffers of 64 KiB to 256 KiB). It would also write
/// zeros where this leaves a hole.
const BUFFER: usize = 1 << 17;
/// Runs of zeros shorter than this are written.
const BLOCK: usize = 4096;

/// Fills files, one after the other, with the same buffer.
pub(crate) struct Contents<'a> {
    store: &'a Store,
    progress: &'a mut dyn FnMut(u64),
    buffer: Vec<u8>,
    /// Until it turns out that the file system cannot.
    may_clone: bool,
}

/// A new empty file and what it should become.
pub(crate) struct Target<'a> {
    pub(crate) file: BorrowedFd<'a>,
    pub(crate) size: u64,
    pub(crate) id: ObjectId,
    /// For people.
    pub(crate) path: &'a dyn Fn() -> String,
}

impl<'a> Contents<'a> {
    pub(crate) fn new(store: &'a Store, progress: &'a mut dyn FnMut(u64)) -> Self {
        Self { store, progress, buffer: vec![0; BUFFER], may_clone: true }
    }

    /// Fills a file with an object.
    pub(crate) fn fill(&mut self, target: &Target<'_>, report: &mut Report) -> Result<()> {
        let object = Object::open(self.store, target.id).map_err(|error| target.unread(error))?;
        if object.len() != target.size {
            return Err(target.wrong_length(object.len()));
        }
        if self.clone(&object, target) {
            report.cloned_bytes += target.size;
            self.advance(target.size, report);
            return Ok(());
        }
        self.copy(&object, target, report)
    }

    /// Fills a file with bytes that the tree itself holds.
    pub(crate) fn fill_inline(
        &mut self,
        file: BorrowedFd<'_>,
        content: &[u8],
        path: &dyn Fn() -> String,
        report: &mut Report,
    ) -> Result<()> {
        write_all(file, content, 0).on("write", path)?;
        self.advance(content.len() as u64, report);
        Ok(())
    }

    /// Shares the blocks of the object. Whatever is in the way of that is not in the way of a
    /// copy, or shows up there again.
    fn clone(&mut self, object: &Object, target: &Target<'_>) -> bool {
        let Some(source) = object.as_file().filter(|_| self.may_clone) else {
            return false;
        };
        match fs::ioctl_ficlone(target.file, source) {
            Ok(()) => true,
            Err(errno) => {
                let never =
                    [Errno::OPNOTSUPP, Errno::NOTTY, Errno::XDEV, Errno::INVAL, Errno::NOSYS];
                self.may_clone = !never.contains(&errno);
                false
            }
        }
    }

    fn copy(&mut self, object: &Object, target: &Target<'_>, report: &mut Report) -> Result<()> {
        // Before the content, since a file system that allocates ahead (XFS) would make that
        // part of a file that is made longer afterwards. Short files are not worth the call.
        let is_long = target.size > BUFFER as u64;
        if is_long {
            retry_on_intr(|| fs::ftruncate(target.file, target.size)).on("extend", target.path)?;
        }
        let (mut position, mut written) = (0, 0);
        while position < target.size {
            let data =
                (object.next_data(position)).on("find holes in the content of", target.path)?;
            self.advance(data.start - position, report);
            position = data.start;
            while position < data.end {
                let take = (data.end - position).min(BUFFER as u64) as usize;
                target.read_exact(object, &mut self.buffer[..take], position)?;
                let end = write_blocks(target.file, &self.buffer[..take], position);
                written = end.on("write", target.path)?.unwrap_or(written);
                position += take as u64;
                self.advance(take as u64, report);
            }
        }
        if written < target.size && !is_long {
            retry_on_intr(|| fs::ftruncate(target.file, target.size)).on("extend", target.path)?;
        }
        Ok(())
    }

    /// The store that contents come from.
    pub(crate) fn store(&self) -> &'a Store {
        self.store
    }

    pub(crate) fn advance(&mut self, bytes: u64, report: &mut Report) {
        if bytes > 0 {
            report.bytes += bytes;
            (self.progress)(report.bytes);
        }
    }
}

impl Target<'_> {
    fn read_exact(&self, object: &Object, buffer: &mut [u8], offset: u64) -> Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            let position = offset + done as u64;
            match object.read(&mut buffer[done..], position) {
                Ok(0) => return Err(self.wrong_length(position)),
                Ok(n) => done += n,
                Err(source) => {
                    return Err(self
                        .unread(StoreError::Read { path: format!("object {}", self.id), source }));
                }
            }
        }
        Ok(())
    }

    fn unread(&self, source: StoreError) -> CheckoutError {
        let path = (self.path)();
        let source = Box::new(source);
        CheckoutError::Content { path, source }
    }

    fn wrong_length(&self, found: u64) -> CheckoutError {
        CheckoutError::WrongLength {
            path: (self.path)(),
            object: self.id,
            expected: self.size,
            found,
        }
    }
}

/// Writes all blocks but those of zeros, which the file has already. Gives the end of what was
/// written.
fn write_blocks(
    file: BorrowedFd<'_>,
    content: &[u8],
    offset: u64,
) -> rustix::io::Result<Option<u64>> {
    let (mut done, mut end) = (0, None);
    while done < content.len() {
        done += run_len(&content[done..], Run::Zeros);
        let run = run_len(&content[done..], Run::Data);
        if run > 0 {
            let start = offset + done as u64;
            write_all(file, &content[done..done + run], start)?;
            end = Some(start + run as u64);
        }
        done += run;
    }
    Ok(end)
}

#[derive(PartialEq, Eq)]
enum Run {
    Zeros,
    Data,
}

/// How many bytes at the start are in blocks of one kind.
fn run_len(content: &[u8], run: Run) -> usize {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    let is_in_run = |block: &&[u8]| match *block == &ZEROS[..block.len()] {
        true => run == Run::Zeros,
        false => run == Run::Data,
    };
    let blocks = content.chunks(BLOCK).take_while(is_in_run);
    blocks.map(<[u8]>::len).sum()
}

fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8], mut offset: u64) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(n) => {
                bytes = &bytes[n..];
                offset += n as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
