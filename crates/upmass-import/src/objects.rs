//! Contents on their way into the store, from many threads.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

use upmass_format::tree::{MAX_INLINE, Node};
use upmass_format::{ObjectId, TreeId};
use upmass_store::{Batch, HashedContent, Incoming, MAX_BATCH, Store};

use crate::{Result, TreeBuilder};

/// After how many bytes a batch is committed: bounds what a sync has to write at once.
const MAX_BATCH_BYTES: u64 = 256 << 20;

/// Longest content of one file. Longer ones would keep us hashing holes for minutes, and no
/// device has them.
pub(crate) const MAX_FILE: u64 = 1 << 40;

/// Up to this size content is collected in memory, hashed, and written only when the store
/// lacks it.
const MAX_IN_MEMORY: u64 = 1 << 20;

/// A part of a file.
pub(crate) enum Piece<'a> {
    Data(&'a [u8]),
    Zeros(u64),
}

impl Piece<'_> {
    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Piece::Data(data) => data.len() as u64,
            Piece::Zeros(len) => *len,
        }
    }
}

/// A file while it arrives.
pub(crate) struct NewFile<'a> {
    objects: &'a Objects<'a>,
    size: u64,
    content: Arriving,
}

enum Arriving {
    InMemory(Vec<u8>),
    Incoming(Incoming),
}

/// The objects of one import, which may be of several trees. All are durable when
/// [`Self::commit`] returns.
pub(crate) struct Objects<'a> {
    store: &'a Store,
    open: Mutex<Open>,
}

struct Open {
    batch: Batch,
    /// What this import has written, also in batches that another thread commits just now.
    written: HashSet<ObjectId>,
}

impl<'a> Objects<'a> {
    pub(crate) fn new(store: &'a Store) -> Result<Self> {
        let open = Open { batch: store.batch()?, written: HashSet::new() };
        Ok(Self { store, open: Mutex::new(open) })
    }

    /// Where the objects go.
    pub(crate) fn store(&self) -> &'a Store {
        self.store
    }

    /// Whether an object is there, so that it need not be written. If so, it is durable too
    /// when the import is committed.
    pub(crate) fn has(&self, id: ObjectId) -> Result<bool> {
        if self.open().written.contains(&id) {
            return Ok(true);
        }
        let is_there = self.store.contains(id)?;
        if is_there {
            self.open().batch.reuse(id);
        }
        Ok(is_there)
    }

    /// Stores content that is in memory, unless it is there. Hashing first costs less than
    /// writing what is there already.
    pub(crate) fn put(&self, content: &[u8]) -> Result<ObjectId> {
        let hashed = HashedContent::new(content);
        if self.has(hashed.id())? {
            return Ok(hashed.id());
        }
        self.add(self.store.incoming_of(hashed)?)
    }

    /// Starts a file of a known size that arrives in pieces.
    pub(crate) fn file(&self, size: u64) -> Result<NewFile<'_>> {
        let content = match size <= MAX_IN_MEMORY {
            true => Arriving::InMemory(Vec::with_capacity(size as usize)),
            false => Arriving::Incoming(self.incoming()?),
        };
        Ok(NewFile { objects: self, size, content })
    }

    /// Starts an object that is written piece by piece.
    pub(crate) fn incoming(&self) -> Result<Incoming> {
        Ok(self.store.incoming()?)
    }

    /// Takes a complete object. The thread that fills a batch commits it, while the others go
    /// on with the next one.
    pub(crate) fn add(&self, incoming: Incoming) -> Result<ObjectId> {
        let mut open = self.open();
        let id = open.batch.add(incoming)?;
        open.written.insert(id);
        if open.batch.waiting() < MAX_BATCH && open.batch.bytes() < MAX_BATCH_BYTES {
            return Ok(id);
        }
        let mut full = std::mem::replace(&mut open.batch, self.store.batch()?);
        drop(open);
        full.commit()?;
        Ok(id)
    }

    /// Stores a tree.
    pub(crate) fn put_tree(&self, tree: &TreeBuilder) -> Result<TreeId> {
        Ok(self.put(&tree.encode()?)?.into())
    }

    /// Makes all objects durable. No thread may still be adding some.
    pub(crate) fn commit(self) -> Result<()> {
        let mut open = self.open.into_inner().expect(NO_PANIC);
        Ok(open.batch.commit()?)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().expect(NO_PANIC)
    }
}

impl NewFile<'_> {
    /// Appends a piece.
    pub(crate) fn add(&mut self, piece: Piece<'_>) -> Result<()> {
        match (&mut self.content, piece) {
            (Arriving::InMemory(content), Piece::Data(data)) => content.extend_from_slice(data),
            (Arriving::InMemory(content), Piece::Zeros(len)) => {
                content.resize(content.len() + len as usize, 0);
            }
            (Arriving::Incoming(incoming), Piece::Data(data)) => incoming.write(data)?,
            (Arriving::Incoming(incoming), Piece::Zeros(len)) => incoming.write_zeros(len)?,
        }
        Ok(())
    }

    /// Stores the file.
    pub(crate) fn finish(self) -> Result<Node> {
        let size = self.size;
        Ok(match self.content {
            Arriving::InMemory(content) if size <= MAX_INLINE as u64 => Node::Inline(content),
            Arriving::InMemory(content) => Node::Object { size, id: self.objects.put(&content)? },
            Arriving::Incoming(incoming) => Node::Object { size, id: self.objects.add(incoming)? },
        })
    }
}

const NO_PANIC: &str = "no panic while the lock is held";
