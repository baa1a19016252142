//! What an interrupted run leaves for the next one: which new objects are there already.
//!
//! Notes are written after the objects they speak of are durable, and each carries a digest, so
//! a note that can be read is true (POWER-LOSS.md, row "note"). Losing one costs time only.

use upmass_disk::{ReadAt, WriteFile};
use upmass_format::update::Front;
use upmass_format::{ObjectHasher, ObjectId};
use upmass_store::Store;

use crate::trees::FileObject;
use crate::{ApplyError, Result};

/// The directory of one update below `incoming`.
pub(crate) struct Staging {
    store: Store,
    directory: String,
    notes: Vec<Note>,
}

/// A run of new objects that are durable.
struct Note {
    first: u64,
    count: u64,
}

/// Where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Checkpoint {
    /// Position in the payload of the segment that holds the next object.
    pub(crate) position: u64,
    /// The first object of that segment.
    pub(crate) first: u64,
}

const RECORD: usize = ObjectId::LEN + 8;
const HEAD: usize = 24;
/// Most objects of one note.
pub(crate) const MAX_NOTE: u64 = 4096;

impl Staging {
    /// Opens the directory of this update, and finds out how far an earlier run came.
    pub(crate) fn open(store: &Store, front: &Front) -> Result<(Self, Checkpoint)> {
        let digest = ObjectHasher::hash(&front.to_bytes());
        let directory = format!("incoming/apply-{}", &digest.to_string()[..32]);
        if store.volume().create_dir(&directory)? {
            store.volume().sync_dir("incoming")?;
        }
        let mut staging = Self { store: store.clone(), directory, notes: Vec::new() };
        let mut checkpoint = Checkpoint::default();
        while let Some((note, next)) = staging.read_note(staging.done())? {
            staging.notes.push(note);
            checkpoint = next;
        }
        Ok((staging, checkpoint))
    }

    /// How many new objects are durable.
    pub(crate) fn done(&self) -> u64 {
        self.notes.last().map_or(0, |note| note.first + note.count)
    }

    /// Notes that the next objects are durable. They must be.
    pub(crate) fn note(&mut self, objects: &[FileObject], next: Checkpoint) -> Result<()> {
        let first = self.done();
        let mut bytes = Vec::with_capacity(HEAD + objects.len() * RECORD + ObjectId::LEN);
        for number in [first, next.position, next.first] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for object in objects {
            bytes.extend_from_slice(object.id.as_bytes());
            bytes.extend_from_slice(&object.size.to_le_bytes());
        }
        bytes.extend_from_slice(ObjectHasher::hash(&bytes).as_bytes());
        // Before the rename the note is not there and the objects are made again; after it
        // they are not. A note that was half written under its name fails its digest.
        let temporary = self.path("note");
        let volume = self.store.volume();
        volume.remove(&temporary)?;
        let mut file = volume.create(&temporary)?;
        file.write(&bytes)?;
        file.sync()?;
        volume.replace(&temporary, &self.note_path(first))?;
        volume.sync_dir(&self.directory)?;
        self.notes.push(Note { first, count: objects.len() as u64 });
        Ok(())
    }

    /// Bytes of the objects that an earlier run has made.
    pub(crate) fn done_bytes(&self) -> Result<u64> {
        let mut total = 0u64;
        for index in 0..self.done() {
            total = total.saturating_add(self.object(index)?.size);
        }
        Ok(total)
    }

    /// A new object that is durable, by its place in the order in which they are made.
    pub(crate) fn object(&self, index: u64) -> Result<FileObject> {
        let position = self.notes.partition_point(|note| note.first <= index);
        let note = position.checked_sub(1).map(|position| &self.notes[position]);
        let Some(note) = note.filter(|note| index < note.first + note.count) else {
            return Err(ApplyError::Program(format!("it uses new object {index}, too early")));
        };
        let path = self.note_path(note.first);
        let file = self.store.volume().open(&path)?;
        let mut record = [0; RECORD];
        read(&*file, &path, &mut record, HEAD as u64 + (index - note.first) * RECORD as u64)?;
        Ok(FileObject {
            id: ObjectId::from_bytes(record[..32].try_into().expect("32 bytes")),
            size: u64::from_le_bytes(record[32..].try_into().expect("8 bytes")),
        })
    }

    /// Starts the list of plans anew. It is not synced: a new run writes it again.
    pub(crate) fn new_plans(&self) -> Result<PlanList> {
        let path = self.path("plans");
        self.store.volume().remove(&path)?;
        let file = self.store.volume().create(&path)?;
        Ok(PlanList { file, buffer: Vec::new(), count: 0 })
    }

    /// Opens the list of plans for reading.
    pub(crate) fn plans(&self) -> Result<Plans> {
        let path = self.path("plans");
        Ok(Plans { file: self.store.volume().open(&path)?, path })
    }

    /// Removes all that is left of the update. The last step; a cut before it leaves files that
    /// the next collection removes.
    pub(crate) fn clear(self) -> Result<()> {
        let volume = self.store.volume();
        for entry in volume.list(&self.directory)? {
            volume.remove(&self.path(&entry.name))?;
        }
        volume.remove_dir(&self.directory)?;
        Ok(())
    }

    fn read_note(&self, first: u64) -> Result<Option<(Note, Checkpoint)>> {
        let path = self.note_path(first);
        let Some(file) = self.store.volume().open_if_exists(&path)? else {
            return Ok(None);
        };
        let limit = (HEAD + MAX_NOTE as usize * RECORD + ObjectId::LEN) as u64;
        if file.len() > limit || file.len() < (HEAD + ObjectId::LEN) as u64 {
            return Ok(None);
        }
        let mut bytes = vec![0; file.len() as usize];
        read(&*file, &path, &mut bytes, 0)?;
        let (content, digest) = bytes.split_at(bytes.len() - ObjectId::LEN);
        if ObjectHasher::hash(content).as_bytes() != digest {
            return Ok(None);
        }
        let number = |at: usize| {
            u64::from_le_bytes(content[at..at + 8].try_into().expect("8 bytes of the head"))
        };
        let records = content.len() - HEAD;
        if number(0) != first || !records.is_multiple_of(RECORD) || records == 0 {
            return Ok(None);
        }
        for record in content[HEAD..].chunks(RECORD) {
            let id = ObjectId::from_bytes(record[..32].try_into().expect("32 bytes"));
            if !self.store.contains(id)? {
                // A collection came in between.
                return Ok(None);
            }
        }
        let note = Note { first, count: (records / RECORD) as u64 };
        Ok(Some((note, Checkpoint { position: number(8), first: number(16) })))
    }

    fn note_path(&self, first: u64) -> String {
        self.path(&format!("done-{first:012}"))
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.directory)
    }
}

/// How a new object is made, as far as trees say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// As the next step of the program says; with the object that the file had before.
    Step(Option<FileObject>),
    /// From this old object, renamed. It is the one with this number among old objects that trees
    /// keep.
    Rename(FileObject, u64),
}

/// A plan: object, size, and a number.
const PLAN: usize = RECORD + 8;
/// Instead of the number of a kept object: a step of the program makes it.
const STEP: u64 = u64::MAX;
/// The same, and there is no object before.
const STEP_ALONE: u64 = u64::MAX - 1;

/// The plans of all new objects, while the list is written.
pub(crate) struct PlanList {
    file: Box<dyn WriteFile>,
    buffer: Vec<u8>,
    count: u64,
}

impl PlanList {
    pub(crate) fn push(&mut self, plan: Plan) -> Result<()> {
        let none = FileObject { id: ObjectId::from_bytes([0; 32]), size: 0 };
        let (object, number) = match plan {
            Plan::Step(Some(here)) => (here, STEP),
            Plan::Step(None) => (none, STEP_ALONE),
            Plan::Rename(old, number) => (old, number),
        };
        self.buffer.extend_from_slice(object.id.as_bytes());
        self.buffer.extend_from_slice(&object.size.to_le_bytes());
        self.buffer.extend_from_slice(&number.to_le_bytes());
        self.count += 1;
        if self.buffer.len() >= 1 << 14 {
            self.flush()?;
        }
        Ok(())
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        self.file.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// The plans, read.
pub(crate) struct Plans {
    file: Box<dyn ReadAt>,
    path: String,
}

impl Plans {
    /// How many new objects there are.
    pub(crate) fn count(&self) -> u64 {
        self.file.len() / PLAN as u64
    }

    /// The plan of a new object. `None` behind the last.
    pub(crate) fn get(&self, index: u64) -> Result<Option<Plan>> {
        if index >= self.count() {
            return Ok(None);
        }
        let mut record = [0; PLAN];
        read(&*self.file, &self.path, &mut record, index * PLAN as u64)?;
        let number = |at: usize| {
            u64::from_le_bytes(record[at..at + 8].try_into().expect("8 bytes of the record"))
        };
        let id = ObjectId::from_bytes(record[..32].try_into().expect("32 bytes"));
        let object = FileObject { id, size: number(32) };
        Ok(Some(match number(40) {
            STEP => Plan::Step(Some(object)),
            STEP_ALONE => Plan::Step(None),
            kept => Plan::Rename(object, kept),
        }))
    }
}

fn read(file: &dyn ReadAt, path: &str, buffer: &mut [u8], offset: u64) -> Result<()> {
    file.read_exact_at(buffer, offset).map_err(|source| {
        let path = path.to_owned();
        ApplyError::Store(upmass_store::StoreError::Read { path, source })
    })
}
