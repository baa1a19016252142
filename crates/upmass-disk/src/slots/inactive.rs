//! Writing the slot that is not active.

use std::io::{self, Write};

use super::{SlotContent, SlotDisk, SlotError};
use crate::DiskError;
use crate::disk::{Disk, DiskRange, Region, SECTOR_LEN};
use crate::gpt::{Partition, Slot};

/// What a slot shall hold, made from its start to its end as often as it is asked for, always the
/// same.
pub trait SlotImage {
    /// Length in bytes. What is behind it in the slot does not belong to the image.
    fn len(&self) -> u64;

    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes all of it.
    fn write_to(&self, output: &mut dyn Write) -> io::Result<()>;
}

/// The only way to write to a slot. There is none for the active one: this value stands for the
/// range of the inactive one alone, and which one that is cannot change while it lives.
pub struct InactiveSlot {
    disk: SlotDisk,
    region: Region,
}

/// A proof that the inactive slot has the content of an image, durably, and the only thing that
/// can be made active. Whoever has it cannot write to the slot any more.
pub struct WrittenSlot(SlotDisk);

impl InactiveSlot {
    pub(super) fn new(disk: SlotDisk) -> Self {
        let region = disk.region(disk.layout.slot(disk.active.other()));
        Self { disk, region }
    }

    /// Which one it is.
    pub fn slot(&self) -> Slot {
        self.disk.active.other()
    }

    /// Its partition.
    pub fn partition(&self) -> &Partition {
        self.disk.layout.slot(self.slot())
    }

    /// Writes an image and reads it back. `progress` is told the bytes so far, first written and
    /// then read: twice the length in all.
    ///
    /// The first sector comes last (POWER-LOSS.md, row "slot"): until then the slot is no file
    /// system, so that firmware which falls through to it finds nothing to boot.
    pub fn write(
        self,
        image: &dyn SlotImage,
        progress: &mut dyn FnMut(u64),
    ) -> Result<WrittenSlot, SlotError> {
        let (needed, available) = (image.len(), self.region.len());
        if needed > available {
            return Err(SlotError::TooLong { slot: self.slot(), needed, available });
        }
        self.clear()?;
        let mut writer = Chunks::new(needed, |chunk: &[u8], offset: u64| {
            progress(offset);
            // The first sector stays as it is for now.
            let skip = if offset == 0 { SECTOR_LEN as usize } else { 0 };
            self.region.write_at(&chunk[skip..], offset + skip as u64)
        });
        let first = writer.run(image)?;
        self.region.flush()?;
        self.region.write_at(&first, 0)?;
        self.region.flush()?;
        self.same_as(image, &mut |bytes| progress(needed + bytes)).map_err(
            |error| match error {
                SlotError::Differs { slot, offset } => SlotError::ReadBack {
                    what: format!("slot {slot}"),
                    offset: self.region.range().start() + offset,
                },
                other => other,
            },
        )?;
        Ok(WrittenSlot(self.disk))
    }

    /// Clears the first sector, so that the slot is no file system. On return it is durable.
    pub fn clear(&self) -> Result<(), SlotError> {
        self.region.write_at(&[0; SECTOR_LEN as usize], 0)?;
        Ok(self.region.flush()?)
    }

    /// Compares the slot with an image: for what was written before the last start.
    ///
    /// # Errors
    /// [`SlotError::Differs`] when it has other content.
    pub fn compare(
        self,
        image: &dyn SlotImage,
        progress: &mut dyn FnMut(u64),
    ) -> Result<WrittenSlot, SlotError> {
        self.same_as(image, progress)?;
        Ok(WrittenSlot(self.disk))
    }

    /// Takes the slot as it is when `check` finds nothing wrong with what the medium has: for what
    /// another version wrote, which may make another image of the same release.
    pub fn check<E>(
        self,
        check: impl FnOnce(&SlotContent) -> Result<(), E>,
    ) -> Result<WrittenSlot, E> {
        if let Some(all) = DiskRange::new(0, self.region.len()) {
            self.region.forget(all);
        }
        check(&self.disk.content(self.slot()))?;
        Ok(WrittenSlot(self.disk))
    }

    fn same_as(
        &self,
        image: &dyn SlotImage,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), SlotError> {
        let slot = self.slot();
        if image.len() > self.region.len() {
            return Err(SlotError::Differs { slot, offset: self.region.len() });
        }
        if let Some(all) = DiskRange::new(0, self.region.len()) {
            self.region.forget(all);
        }
        let mut found = vec![0; CHUNK];
        let mut difference = None;
        let mut reader = Chunks::new(image.len(), |chunk: &[u8], offset: u64| {
            progress(offset);
            let found = &mut found[..chunk.len()];
            self.region.read_at(found, offset)?;
            if difference.is_none() && found != chunk {
                let at = found.iter().zip(chunk).take_while(|(a, b)| a == b).count();
                difference = Some(offset + at as u64);
            }
            Ok(())
        });
        reader.run(image)?;
        match difference {
            Some(offset) => Err(SlotError::Differs { slot, offset }),
            None => Ok(()),
        }
    }
}

impl WrittenSlot {
    /// The disk as it is: the other slot stays active, and this one may be booted once.
    pub fn keep(self) -> SlotDisk {
        self.0
    }

    /// Makes the slot active: the commit. On return it is durable.
    pub fn switch(self) -> Result<SlotDisk, SlotError> {
        self.0.switch()
    }
}

const CHUNK: usize = 1 << 20;

/// Cuts what an image writes into chunks of whole sectors, the last one filled up with zeros.
struct Chunks<F> {
    len: u64,
    offset: u64,
    chunk: Vec<u8>,
    first: Option<[u8; SECTOR_LEN as usize]>,
    failed: Option<DiskError>,
    each: F,
}

impl<F: FnMut(&[u8], u64) -> crate::Result<()>> Chunks<F> {
    fn new(len: u64, each: F) -> Self {
        Self { len, offset: 0, chunk: Vec::with_capacity(CHUNK), first: None, failed: None, each }
    }

    /// Runs through an image; gives its first sector.
    fn run(&mut self, image: &dyn SlotImage) -> Result<[u8; SECTOR_LEN as usize], SlotError> {
        image.write_to(self).map_err(|error| self.why(error))?;
        let found = self.offset + self.chunk.len() as u64;
        if found != self.len {
            let why = format!("it has {found} bytes and not the {} that it said", self.len);
            return Err(SlotError::Image(io::Error::other(why)));
        }
        self.chunk.resize(self.chunk.len().next_multiple_of(SECTOR_LEN as usize), 0);
        self.emit().map_err(|error| self.why(error))?;
        Ok(self.first.unwrap_or([0; SECTOR_LEN as usize]))
    }

    /// Whose fault it was: that of the disk, or of what the image is made of.
    fn why(&mut self, error: io::Error) -> SlotError {
        self.failed.take().map_or(SlotError::Image(error), SlotError::Disk)
    }

    fn emit(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        if self.offset == 0 {
            self.first = self.chunk.first_chunk().copied();
        }
        if let Err(error) = (self.each)(&self.chunk, self.offset) {
            self.failed = Some(error);
            return Err(io::Error::other("the disk failed"));
        }
        self.offset += self.chunk.len() as u64;
        self.chunk.clear();
        Ok(())
    }
}

impl<F: FnMut(&[u8], u64) -> crate::Result<()>> Write for Chunks<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let so_far = self.offset + self.chunk.len() as u64;
        if bytes.len() as u64 > self.len - so_far {
            return Err(io::Error::other(format!(
                "it has more than the {} bytes that it said",
                self.len
            )));
        }
        let take = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..take]);
        if self.chunk.len() == CHUNK {
            self.emit()?;
        }
        Ok(take)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
