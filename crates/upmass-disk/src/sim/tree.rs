//! Names and contents: what they are now, and what of it is durable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::{Errno, Result};

use crate::volume::LockMode;

/// The directories of a volume. A directory keeps its number for good; 0 is the volume itself.
pub(super) struct Tree {
    pub(super) directories: Vec<BTreeMap<String, Name>>,
    pub(super) capacity: u64,
    /// Bytes in the files that have a name.
    pub(super) used: u64,
    next_file: u64,
}

/// The number of a directory in its tree.
pub(super) type DirectoryId = usize;

/// A name in a directory, whether anything has it or not.
pub(super) type Place = (DirectoryId, String);

/// What a name means, and meant since its directory was synced.
#[derive(Default)]
pub(super) struct Name {
    /// The durable meaning, then each that was replaced since; empty when `now` is durable.
    pub(super) past: Vec<Option<Node>>,
    pub(super) now: Option<Node>,
}

/// What a name can stand for.
#[derive(Clone)]
pub(super) enum Node {
    File(Arc<File>),
    Directory(DirectoryId),
}

/// A file; it lives as long as a name, a past name or a handle has it.
pub(super) struct File {
    /// Tells files of one tree apart.
    pub(super) id: u64,
    /// Locked only while the tree is, or for a moment.
    data: Mutex<Data>,
}

pub(super) struct Data {
    pub(super) content: Arc<Vec<u8>>,
    /// So many bytes from the start are durable.
    pub(super) synced: usize,
    pub(super) holders: Holders,
    /// Names that stand for it now.
    names: u32,
}

/// Who holds the lock of a file, as flock(2) counts them.
#[derive(Default)]
pub(super) struct Holders {
    shared: u32,
    exclusive: bool,
}

impl Tree {
    pub(super) fn new(capacity: u64) -> Self {
        Self { directories: vec![BTreeMap::new()], capacity, used: 0, next_file: 0 }
    }

    pub(super) fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used)
    }

    /// The place of a path; its directory exists.
    pub(super) fn place(&self, path: &str) -> Result<Place> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        check_name(name)?;
        if parent.is_empty() && path.starts_with('/') {
            return Err(Errno::INVAL);
        }
        Ok((self.directory(parent)?, name.to_owned()))
    }

    pub(super) fn directory(&self, path: &str) -> Result<DirectoryId> {
        let mut directory = ROOT;
        for name in path.split('/').filter(|_| !path.is_empty()) {
            check_name(name)?;
            let entry = self.directories[directory].get(name);
            directory = match entry.and_then(|name| name.now.as_ref()) {
                Some(Node::Directory(id)) => *id,
                Some(Node::File(_)) => return Err(Errno::NOTDIR),
                None => return Err(Errno::NOENT),
            };
        }
        Ok(directory)
    }

    /// What has the place now.
    pub(super) fn at(&self, (directory, name): &Place) -> Option<Node> {
        self.directories[*directory].get(name)?.now.clone()
    }

    pub(super) fn file_at(&self, place: &Place) -> Result<Arc<File>> {
        match self.at(place) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Directory(_)) => Err(Errno::ISDIR),
            None => Err(Errno::NOENT),
        }
    }

    pub(super) fn node(&self, path: &str) -> Result<Option<Node>> {
        Ok(self.at(&self.place(path)?))
    }

    pub(super) fn file(&self, path: &str) -> Result<Arc<File>> {
        self.file_at(&self.place(path)?)
    }

    pub(super) fn file_or_new(&mut self, path: &str) -> Result<Arc<File>> {
        let place = self.place(path)?;
        match self.file_at(&place) {
            Err(Errno::NOENT) => Ok(self.new_file(place)),
            file => file,
        }
    }

    pub(super) fn is_empty(&self, directory: DirectoryId) -> bool {
        self.entries(directory).next().is_none()
    }

    /// What is in a directory now, ascending by name.
    pub(super) fn entries(&self, directory: DirectoryId) -> impl Iterator<Item = (&str, &Node)> {
        self.directories[directory]
            .iter()
            .filter_map(|(name, meaning)| Some((name.as_str(), meaning.now.as_ref()?)))
    }

    /// Shows all that is there now, with its path.
    pub(super) fn visit(&self, note: &mut impl FnMut(&str, &Node)) {
        let mut waiting = vec![(String::new(), ROOT)];
        while let Some((prefix, directory)) = waiting.pop() {
            for (name, node) in self.entries(directory) {
                let path = format!("{prefix}{name}");
                note(&path, node);
                if let Node::Directory(id) = node {
                    waiting.push((path + "/", *id));
                }
            }
        }
    }

    pub(super) fn new_file(&mut self, place: Place) -> Arc<File> {
        self.new_file_with(place, Arc::default())
    }

    /// A file whose content is durable.
    pub(super) fn new_file_with(&mut self, place: Place, content: Arc<Vec<u8>>) -> Arc<File> {
        let data = Data { synced: content.len(), content, holders: Holders::default(), names: 0 };
        let file = Arc::new(File { id: self.next_file, data: Mutex::new(data) });
        self.next_file += 1;
        self.set(place, Some(Node::File(file.clone())));
        file
    }

    pub(super) fn new_directory(&mut self, place: Place) -> DirectoryId {
        let id = self.directories.len();
        self.directories.push(BTreeMap::new());
        self.set(place, Some(Node::Directory(id)));
        id
    }

    /// Changes the meaning of a name; what it meant is remembered until the directory is synced.
    pub(super) fn set(&mut self, (directory, name): Place, now: Option<Node>) {
        if let Some(Node::File(file)) = &now {
            let mut data = file.data();
            data.names += 1;
            if data.names == 1 {
                self.used += data.content.len() as u64;
            }
        }
        let name = self.directories[directory].entry(name).or_default();
        let before = std::mem::replace(&mut name.now, now);
        if let Some(Node::File(file)) = &before {
            let mut data = file.data();
            data.names -= 1;
            if data.names == 0 {
                self.used -= data.content.len() as u64;
            }
        }
        name.past.push(before);
    }

    /// Writes at `offset`, as much of `len` as there is room for, and returns how much that is.
    /// `put` fills the zeroed bytes.
    pub(super) fn extend(
        &mut self,
        data: &mut Data,
        offset: u64,
        len: u64,
        put: impl FnOnce(&mut [u8]),
    ) -> u64 {
        let old_len = data.content.len() as u64;
        let last_end = old_len.saturating_add(self.free());
        let done = len.min(last_end.saturating_sub(offset));
        let end = offset + done;
        if done == 0 {
            return 0;
        }
        if end > old_len && data.names > 0 {
            self.used += end - old_len;
        }
        let content = Arc::make_mut(&mut data.content);
        let range = offset as usize..end as usize;
        content.resize(content.len().max(range.end), 0);
        content[range.clone()].fill(0);
        put(&mut content[range]);
        // Behind a failed write, a writer may come back to bytes that were synced meanwhile.
        data.synced = data.synced.min(offset as usize);
        done
    }

    pub(super) fn sync_names(&mut self, directory: DirectoryId) {
        let names = &mut self.directories[directory];
        names.retain(|_, name| name.now.is_some());
        for name in names.values_mut() {
            name.past.clear();
        }
    }

    pub(super) fn sync_all(&mut self) {
        self.visit(&mut |_, node| {
            if let Node::File(file) = node {
                file.data().sync();
            }
        });
        for directory in 0..self.directories.len() {
            self.sync_names(directory);
        }
    }
}

impl Name {
    /// What the name meant at a moment: 0 is durable, `past.len()` is now.
    pub(super) fn meaning(&self, moment: usize) -> Option<&Node> {
        self.past.get(moment).unwrap_or(&self.now).as_ref()
    }
}

impl File {
    pub(super) fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Data {
    pub(super) fn sync(&mut self) {
        self.synced = self.content.len();
    }
}

impl Holders {
    /// Adds a holder, unless another one is in the way.
    pub(super) fn take(&mut self, mode: LockMode) -> bool {
        let is_free = match mode {
            LockMode::Shared => !self.exclusive,
            LockMode::Exclusive => !self.exclusive && self.shared == 0,
        };
        match mode {
            LockMode::Shared => self.shared += u32::from(is_free),
            LockMode::Exclusive => self.exclusive |= is_free,
        }
        is_free
    }

    pub(super) fn give_back(&mut self, mode: LockMode) {
        match mode {
            LockMode::Shared => self.shared -= 1,
            LockMode::Exclusive => self.exclusive = false,
        }
    }
}

fn check_name(name: &str) -> Result<()> {
    match name {
        "" | "." | ".." => Err(Errno::INVAL),
        name if name.contains('\0') => Err(Errno::INVAL),
        _ => Ok(()),
    }
}

/// The volume's own directory.
pub(super) const ROOT: DirectoryId = 0;
