//! How objects become durable, many at a time.
//!
//! Contents go to files below `incoming`. One sync of the file system makes all of them
//! durable; only then do they get their names below `objects`, and the directories of these
//! names are synced. So an object under its final name is complete, whenever power goes
//! (POWER-LOSS.md, row "batch").

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use upmass_disk::WriteFile;
use upmass_format::{BLOCK_SIZE, ObjectHasher, ObjectId};

use crate::layout::{INCOMING, object_dir, object_path};
use crate::{Result, Store};

/// After how many objects a batch should be committed: bounds the memory of its list.
pub const MAX_BATCH: usize = 4096;

/// Content goes to its file in pieces of at least this length, a multiple of a block, so that small writes do not
/// cost a system call each.
const PIECE: usize = 1 << 16;

/// Objects that are complete below `incoming` and wait for their names. Dropping a batch
/// forgets them; what they left behind is removed by the next collection.
pub struct Batch {
    store: Store,
    waiting: Vec<(String, ObjectId)>,
    /// Directories of objects that were there already. An earlier run may have ended before it
    /// synced them, so their names count as durable only after this batch did.
    reused: BTreeSet<String>,
    bytes: u64,
}

/// Content in memory, and the id that it has: proof that it was hashed.
#[derive(Debug, Clone, Copy)]
pub struct HashedContent<'a> {
    content: &'a [u8],
    id: ObjectId,
}

/// One object while its content arrives. Blocks of zeros become holes.
pub struct Incoming {
    store: Store,
    file: Box<dyn WriteFile>,
    path: String,
    hasher: Hasher,
    /// Bytes that are not yet hashed and written; they begin at a block boundary.
    waiting: Vec<u8>,
    zeros: u64,
    finished: bool,
}

impl Store {
    /// Starts a batch and takes the writer lock.
    pub fn batch(&self) -> Result<Batch> {
        self.lock_for_writing()?;
        Ok(Batch { store: self.clone(), waiting: Vec::new(), reused: BTreeSet::new(), bytes: 0 })
    }

    /// Starts an object. It belongs to no batch until [`Batch::add`].
    pub fn incoming(&self) -> Result<Incoming> {
        self.start(Hasher::Hashes(ObjectHasher::new()))
    }

    /// A complete object of content that was hashed, and is not hashed again. It belongs to no
    /// batch until [`Batch::add`].
    pub fn incoming_of(&self, hashed: HashedContent<'_>) -> Result<Incoming> {
        let mut incoming = self.start(Hasher::Knows { id: hashed.id, len: 0 })?;
        incoming.write(hashed.content)?;
        Ok(incoming)
    }

    fn start(&self, hasher: Hasher) -> Result<Incoming> {
        self.lock_for_writing()?;
        let path = self.temporary_path();
        let file = self.volume.create(&path)?;
        Ok(Incoming {
            store: self.clone(),
            file,
            path,
            hasher,
            waiting: Vec::new(),
            zeros: 0,
            finished: false,
        })
    }

    /// Stores one object and makes it durable. For many, use a [`Batch`].
    pub fn put(&self, content: &[u8]) -> Result<ObjectId> {
        let mut batch = self.batch()?;
        let mut incoming = self.incoming()?;
        incoming.write(content)?;
        let id = batch.add(incoming)?;
        batch.commit()?;
        Ok(id)
    }

    /// A name below `incoming` that no living process uses.
    pub(crate) fn temporary_path(&self) -> String {
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let nanos = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_nanos());
        format!("{INCOMING}/object-{}-{nanos:x}-{number}", std::process::id())
    }
}

impl Batch {
    /// Takes a complete object. It has no name and is not durable until [`Self::commit`].
    pub fn add(&mut self, incoming: Incoming) -> Result<ObjectId> {
        let len = incoming.len();
        let (path, id) = incoming.finish()?;
        if self.store.contains(id)? {
            self.store.volume.remove(&path)?;
            self.reuse(id);
        } else {
            self.bytes += len;
            self.waiting.push((path, id));
        }
        Ok(id)
    }

    /// Takes an object that is in the store already: its name is durable too after
    /// [`Self::commit`], whatever the run did that wrote it.
    pub fn reuse(&mut self, id: ObjectId) {
        self.reused.insert(object_dir(id));
    }

    /// How many objects wait for their names.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many bytes of content wait to become durable.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes all objects of the batch durable under their names. On return they are.
    pub fn commit(&mut self) -> Result<()> {
        if self.waiting.is_empty() && self.reused.is_empty() {
            return Ok(());
        }
        // Before: files below `incoming` that nobody names. After: their content is durable.
        // A cut in between leaves only files that the next collection removes.
        if !self.waiting.is_empty() {
            self.store.volume.sync_all()?;
        }
        let mut directories = std::mem::take(&mut self.reused);
        // The directory of an object that was there may itself not be durable yet.
        let mut is_new_directory = !directories.is_empty();
        for (path, id) in self.waiting.drain(..) {
            let directory = object_dir(id);
            if directories.insert(directory.clone()) {
                is_new_directory |= self.store.volume.create_dir(&directory)?;
            }
            // Before and after: an object is there whole or not at all.
            if !self.store.volume.publish(&path, &object_path(id))? {
                self.store.volume.remove(&path)?;
            }
        }
        for directory in &directories {
            self.store.volume.sync_dir(directory)?;
        }
        if is_new_directory {
            self.store.volume.sync_dir(crate::layout::OBJECTS)?;
        }
        self.bytes = 0;
        Ok(())
    }
}

impl<'a> HashedContent<'a> {
    /// Hashes content.
    pub fn new(content: &'a [u8]) -> Self {
        Self { content, id: ObjectHasher::hash(content) }
    }

    /// Its id.
    pub fn id(&self) -> ObjectId {
        self.id
    }
}

/// How the id of an object comes about.
enum Hasher {
    Hashes(ObjectHasher),
    /// It is known; only the bytes are counted.
    Knows {
        id: ObjectId,
        len: u64,
    },
}

impl Hasher {
    fn update(&mut self, content: &[u8]) {
        match self {
            Hasher::Hashes(hasher) => hasher.update(content),
            Hasher::Knows { len, .. } => *len += content.len() as u64,
        }
    }

    fn update_zero_blocks(&mut self, count: u64) {
        match self {
            Hasher::Hashes(hasher) => hasher.update_zero_blocks(count),
            Hasher::Knows { len, .. } => *len += count * BLOCK_SIZE as u64,
        }
    }

    fn content_len(&self) -> u64 {
        match self {
            Hasher::Hashes(hasher) => hasher.content_len(),
            Hasher::Knows { len, .. } => *len,
        }
    }

    /// The id. What is left cannot be used any more.
    fn finish(&mut self) -> ObjectId {
        match self {
            Hasher::Hashes(hasher) => std::mem::take(hasher).finish(),
            Hasher::Knows { id, .. } => *id,
        }
    }
}

impl Incoming {
    /// Appends content.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        if !self.waiting.is_empty() {
            let take = bytes.len().min(PIECE - self.waiting.len());
            self.waiting.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.waiting.len() < PIECE {
                return Ok(());
            }
            self.write_waiting()?;
        }
        if bytes.len() >= PIECE {
            let whole = bytes.len() - bytes.len() % BLOCK_SIZE;
            self.write_blocks(&bytes[..whole])?;
            bytes = &bytes[whole..];
        }
        self.waiting.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends zeros; fast from the next block boundary on.
    pub fn write_zeros(&mut self, mut len: u64) -> Result<()> {
        const ZEROS: [u8; BLOCK_SIZE] = [0; BLOCK_SIZE];
        let to_boundary = self.waiting.len().next_multiple_of(BLOCK_SIZE) - self.waiting.len();
        let first = len.min(to_boundary as u64);
        self.write(&ZEROS[..first as usize])?;
        len -= first;
        let blocks = len / BLOCK_SIZE as u64;
        if blocks > 0 {
            self.write_waiting()?;
            self.hasher.update_zero_blocks(blocks);
            self.zeros += blocks * BLOCK_SIZE as u64;
            len -= blocks * BLOCK_SIZE as u64;
        }
        self.write(&ZEROS[..len as usize])
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.hasher.content_len() + self.waiting.len() as u64
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes what waits, which is whole blocks.
    fn write_waiting(&mut self) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.write_blocks(&waiting)?;
        waiting.clear();
        self.waiting = waiting;
        Ok(())
    }

    fn write_blocks(&mut self, blocks: &[u8]) -> Result<()> {
        let mut rest = blocks;
        while !rest.is_empty() {
            let is_zero = |block: &[u8]| block.iter().all(|byte| *byte == 0);
            let zeros = rest.chunks(BLOCK_SIZE).take_while(|block| is_zero(block)).count();
            self.hasher.update_zero_blocks(zeros as u64);
            self.zeros += (zeros * BLOCK_SIZE) as u64;
            rest = &rest[zeros * BLOCK_SIZE..];
            let data = rest.chunks(BLOCK_SIZE).take_while(|block| !is_zero(block)).count();
            let (data, after) = rest.split_at(data * BLOCK_SIZE);
            if !data.is_empty() {
                self.flush_zeros()?;
                self.hasher.update(data);
                self.file.write(data)?;
            }
            rest = after;
        }
        Ok(())
    }

    fn flush_zeros(&mut self) -> Result<()> {
        if self.zeros > 0 {
            self.file.write_zeros(std::mem::take(&mut self.zeros))?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(String, ObjectId)> {
        let rest = self.waiting.split_off(self.waiting.len() - self.waiting.len() % BLOCK_SIZE);
        self.write_waiting()?;
        self.flush_zeros()?;
        if !rest.is_empty() {
            self.hasher.update(&rest);
            self.file.write(&rest)?;
        }
        self.finished = true;
        Ok((std::mem::take(&mut self.path), self.hasher.finish()))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: the next collection removes what stays here.
            let _ = self.store.volume.remove(&self.path);
        }
    }
}
