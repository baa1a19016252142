//! Opening a store and reading from it.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use upmass_disk::{DirVolume, EntryKind, Lock, LockMode, ReadAt, Volume};
use upmass_format::release::Release;
use upmass_format::tree::{Directory, MtimePolicy, TreeReader};
use upmass_format::{FormatError, ObjectId, ReleaseId, TreeId};

use crate::layout::{
    INCOMING, LOCK, OBJECTS, RELEASES, VERSION_FILE, VERSION_TEXT, object_path, release_path,
};
use crate::{Result, StoreError};

/// A store on a volume. Cheap to clone; clones share one writer lock.
#[derive(Clone)]
pub struct Store {
    pub(crate) volume: Arc<dyn Volume>,
    pub(crate) next_temporary: Arc<AtomicU64>,
    writer: Arc<std::sync::Mutex<Option<Arc<Lock>>>>,
}

impl Store {
    /// Opens the store in a directory.
    pub fn open(path: &Path) -> Result<Self> {
        let not_a_store = || StoreError::NotAStore { path: path.display().to_string() };
        if !path.join(VERSION_FILE).exists() {
            return Err(not_a_store());
        }
        Self::on(Arc::new(DirVolume::open(path)?), &path.display().to_string())
    }

    /// Opens the store in a directory, and makes an empty one where there is nothing yet. A
    /// directory that holds anything else is refused.
    pub fn open_or_create(path: &Path) -> Result<Self> {
        Self::create_on(Arc::new(DirVolume::create(path)?), &path.display().to_string())
    }

    /// Opens the store on a volume; `name` is for messages.
    pub fn on(volume: Arc<dyn Volume>, name: &str) -> Result<Self> {
        let Some(file) = volume.open_if_exists(VERSION_FILE)? else {
            return Err(StoreError::NotAStore { path: name.to_owned() });
        };
        let mut found = vec![0; file.len().min(64) as usize];
        file.read_exact_at(&mut found, 0)
            .map_err(|source| StoreError::Read { path: VERSION_FILE.to_owned(), source })?;
        if found != VERSION_TEXT.as_bytes() {
            return Err(StoreError::OtherVersion {
                path: name.to_owned(),
                expected: VERSION_TEXT.trim_end(),
                found: String::from_utf8_lossy(&found).trim_end().to_owned(),
            });
        }
        Ok(Self { volume, next_temporary: Arc::default(), writer: Arc::default() })
    }

    /// As [`Self::on`], and makes an empty store on an empty volume.
    ///
    /// The version file is published last: before it there is no store, only empty directories
    /// that the next start accepts; after it the store is whole (POWER-LOSS.md, row "create").
    pub fn create_on(volume: Arc<dyn Volume>, name: &str) -> Result<Self> {
        if volume.file_len(VERSION_FILE)?.is_none() {
            let ours = [OBJECTS, RELEASES, INCOMING];
            if volume.list("")?.iter().any(|entry| {
                !(entry.kind == EntryKind::Directory && ours.contains(&entry.name.as_str()))
                    && entry.name != "lost+found"
            }) {
                return Err(StoreError::NotAStore { path: name.to_owned() });
            }
            for directory in ours {
                volume.create_dir(directory)?;
            }
            volume.sync_dir("")?;
            let temporary = format!("{INCOMING}/version-{}", std::process::id());
            volume.remove(&temporary)?;
            let mut file = volume.create(&temporary)?;
            file.write(VERSION_TEXT.as_bytes())?;
            file.sync()?;
            volume.replace(&temporary, VERSION_FILE)?;
            volume.sync_dir("")?;
        }
        Self::on(volume, name)
    }

    /// The volume underneath, for staging below `incoming`.
    pub fn volume(&self) -> &Arc<dyn Volume> {
        &self.volume
    }

    /// Takes the writer lock, shared with other writers, for as long as this store or a clone
    /// of it lives. While anyone has it nothing is collected.
    pub fn lock_for_writing(&self) -> Result<()> {
        let mut writer = self.writer.lock().expect("no panic while the lock is held");
        if writer.is_none() {
            let lock = self.volume.lock(LOCK, LockMode::Shared, false)?;
            let lock = lock.ok_or(StoreError::Busy { what: "it is collecting garbage" })?;
            *writer = Some(Arc::new(lock));
        }
        Ok(())
    }

    /// Whether an object is there. Only its name is looked at.
    pub fn contains(&self, id: ObjectId) -> Result<bool> {
        Ok(self.volume.file_len(&object_path(id))?.is_some())
    }

    /// The length of an object in bytes.
    pub fn object_len(&self, id: ObjectId) -> Result<u64> {
        self.volume.file_len(&object_path(id))?.ok_or(StoreError::MissingObject { id })
    }

    /// Opens an object. Its content is not hashed.
    pub fn open_object(&self, id: ObjectId) -> Result<Box<dyn ReadAt>> {
        self.volume.open_if_exists(&object_path(id))?.ok_or(StoreError::MissingObject { id })
    }

    /// Opens an object for reading from its start.
    pub fn object_reader(&self, id: ObjectId) -> Result<BufReader<ObjectReader>> {
        let file = self.open_object(id)?;
        Ok(BufReader::with_capacity(1 << 16, ObjectReader { file, position: 0 }))
    }

    /// Opens an object for reading a little of it from `position` on.
    pub fn object_reader_at(&self, id: ObjectId, position: u64) -> Result<BufReader<ObjectReader>> {
        let file = self.open_object(id)?;
        Ok(BufReader::with_capacity(1 << 12, ObjectReader { file, position }))
    }

    /// The path of an object in the running system, where the store is a directory.
    pub fn object_path(&self, id: ObjectId) -> Option<PathBuf> {
        self.volume.real_path(&object_path(id))
    }

    /// Opens a tree as a stream.
    pub fn tree_reader(&self, id: TreeId) -> Result<TreeReader<BufReader<ObjectReader>>> {
        TreeReader::new(self.object_reader(id.into())?)
            .map_err(|source| StoreError::Damaged { id: id.into(), source })
    }

    /// Reads a whole tree into memory; for the build host.
    pub fn tree(&self, id: TreeId) -> Result<(Directory, MtimePolicy)> {
        Directory::read(self.object_reader(id.into())?)
            .map_err(|source| StoreError::Damaged { id: id.into(), source })
    }

    /// Reads a release, whether or not it is a root.
    pub fn release(&self, id: ReleaseId) -> Result<Release> {
        if !self.contains(id.into())? {
            return Err(StoreError::MissingRelease { id });
        }
        Release::read(self.object_reader(id.into())?)
            .map_err(|source| StoreError::Damaged { id: id.into(), source })
    }

    /// The releases that are kept, ascending by id.
    pub fn releases(&self) -> Result<Vec<ReleaseId>> {
        let entries = self.volume.list(RELEASES)?;
        Ok(entries.iter().filter_map(|entry| entry.name.parse().ok()).collect())
    }

    /// Whether a release is kept.
    pub fn has_release(&self, id: ReleaseId) -> Result<bool> {
        Ok(self.volume.file_len(&release_path(id))?.is_some())
    }

    /// Calls `visit` for each object that a release needs, itself and its trees included.
    /// Objects that several files share are visited for each.
    pub fn visit_objects(&self, id: ReleaseId, visit: &mut dyn FnMut(ObjectId)) -> Result<()> {
        visit(id.into());
        for component in self.release(id)?.components {
            self.visit_tree(component.tree, visit)?;
        }
        Ok(())
    }

    pub(crate) fn visit_tree(&self, id: TreeId, visit: &mut dyn FnMut(ObjectId)) -> Result<()> {
        visit(id.into());
        let damaged = |source: FormatError| StoreError::Damaged { id: id.into(), source };
        let mut reader = self.tree_reader(id)?;
        while let Some(event) = reader.next_event().map_err(damaged)? {
            if let upmass_format::tree::Event::Entry(entry) = event
                && let upmass_format::tree::Node::Object { id, .. } = entry.node
            {
                visit(id);
            }
        }
        reader.finish().map_err(damaged)
    }
}

/// An object as a stream.
pub struct ObjectReader {
    file: Box<dyn ReadAt>,
    position: u64,
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}
