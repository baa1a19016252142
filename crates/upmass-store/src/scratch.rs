//! Content that is needed for a while and is never an object.

use std::cell::RefCell;
use std::io;

use upmass_disk::{ReadAt, WriteFile};

use crate::{Result, Store};

/// So much stays in memory; more goes to a file.
const IN_MEMORY: usize = 1 << 18;

/// Content while it is written.
pub struct Scratch {
    store: Store,
    memory: Vec<u8>,
    file: Option<(Box<dyn WriteFile>, Named)>,
    /// The file as it was when it was opened for reading the last time.
    reader: RefCell<Option<Box<dyn ReadAt>>>,
    len: u64,
}

/// A file below `incoming` that goes when this does. A cut leaves it for the next collection.
struct Named {
    store: Store,
    path: String,
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.store.volume().remove(&self.path);
    }
}

/// Content that was written. It is gone when this is.
pub struct ScratchContent {
    memory: Vec<u8>,
    file: Option<(Box<dyn ReadAt>, Named)>,
    len: u64,
}

impl Store {
    /// Starts content that no one keeps: nothing of it is made durable.
    pub fn scratch(&self) -> Result<Scratch> {
        self.lock_for_writing()?;
        let (memory, reader) = (Vec::new(), RefCell::default());
        Ok(Scratch { store: self.clone(), memory, file: None, reader, len: 0 })
    }
}

impl Scratch {
    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.len += bytes.len() as u64;
        if self.file.is_none() && self.memory.len() + bytes.len() > IN_MEMORY {
            let path = self.store.temporary_path();
            let mut file = self.store.volume().create(&path)?;
            let named = Named { store: self.store.clone(), path };
            file.write(&std::mem::take(&mut self.memory))?;
            self.file = Some((file, named));
        }
        match &mut self.file {
            Some((file, _)) => file.write(bytes)?,
            None => self.memory.extend_from_slice(bytes),
        }
        Ok(())
    }

    /// Fills the buffer with what was written from `offset` on.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let Some((_, named)) = &self.file else {
            return read_memory(&self.memory, buffer, offset);
        };
        let mut reader = self.reader.borrow_mut();
        let end = offset + buffer.len() as u64;
        let file = match reader.take().filter(|file| end <= file.len()) {
            Some(file) => file,
            None => self.store.volume().open(&named.path).map_err(io::Error::other)?,
        };
        reader.insert(file).read_exact_at(buffer, offset)
    }

    /// Ends writing.
    pub fn finish(self) -> Result<ScratchContent> {
        let file = match self.file {
            Some((file, named)) => {
                drop(file);
                Some((self.store.volume().open(&named.path)?, named))
            }
            None => None,
        };
        Ok(ScratchContent { memory: self.memory, file, len: self.len })
    }
}

fn read_memory(memory: &[u8], buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    let found = from.checked_add(buffer.len()).and_then(|end| memory.get(from..end));
    buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
    Ok(())
}

impl ReadAt for ScratchContent {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if let Some((file, _)) = &self.file {
            return file.read_at(buffer, offset);
        }
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.memory.len());
        let count = buffer.len().min(self.memory.len() - from);
        buffer[..count].copy_from_slice(&self.memory[from..from + count]);
        Ok(count)
    }

    fn len(&self) -> u64 {
        self.len
    }
}
