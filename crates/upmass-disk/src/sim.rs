//! A volume in memory that loses power.
//!
//! [`SimVolume`] remembers, for each file, how much of it was synced and, for each name, all that
//! it meant since its directory was last synced. [`SimVolume::after_power_cut`] makes from this
//! a disk as the rules of [`Volume`] allow it: never kinder than they promise, never harsher.

mod survive;
mod tree;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use crate::volume::{
    DiskError, Entry, EntryKind, Lock, LockMode, ReadAt, Result, Volume, WriteFile,
};
pub use survive::Survivors;
use tree::{File, Node, Tree};

/// A volume in memory; a clone is another handle to the same volume.
///
/// What changes something is a step, and steps are numbered from 0: step `n` has `n` steps before
/// it. Steps are the calls of `create`, `write`, `write_zeros`, `sync`, `publish`, `replace`,
/// `remove`, `remove_dir`, `create_dir`, `sync_all` and `sync_dir`, with or without effect.
/// [`FaultVolume`](crate::FaultVolume) counts the same ones.
///
/// It is stricter than a directory where the contract leaves no doubt: malformed paths and moves
/// of directories are errors.
#[derive(Clone)]
pub struct SimVolume {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// A lock was given back, or the power failed.
    changed: Condvar,
}

struct State {
    tree: Tree,
    steps: u64,
    cut_at: u64,
    off: bool,
}

enum Power {
    On,
    FailsNow,
    Off,
}

impl SimVolume {
    /// An empty volume for `capacity` bytes of content. Names and directories take no space.
    pub fn new(capacity: u64) -> Self {
        Self::with_tree(Tree::new(capacity))
    }

    /// How many steps were taken.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Lets the power fail at a step: it has no effect (of a write: the first half), and it and
    /// all operations after it fail. A step that is already past means the next one.
    pub fn cut_power_at(&self, step: u64) {
        self.state().cut_at = step;
    }

    /// Whether the power failed.
    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// What is on the disk when the power comes back, as another volume: the power is on, the
    /// steps start at 0, nobody holds a lock, and all that is there is durable.
    ///
    /// This volume stays as it is, so that many outcomes of one cut can be looked at. Before any
    /// cut it tells what a cut at this moment would leave, and with [`Survivors::Everything`] it
    /// is a cheap copy.
    ///
    /// When removals are undone, there may be more content than the capacity; then no space is
    /// free.
    pub fn after_power_cut(&self, survivors: Survivors) -> SimVolume {
        Self::with_tree(self.state().tree.after_power_cut(survivors))
    }

    /// All paths, ascending, with the content of files; `None` is a directory. Works without
    /// power.
    pub fn snapshot(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        let mut all = BTreeMap::new();
        let mut note = |path: &str, node: &Node| {
            let content = match node {
                Node::File(file) => Some(file.data().content.to_vec()),
                Node::Directory(_) => None,
            };
            all.insert(path.to_owned(), content);
        };
        self.state().tree.visit(&mut note);
        all
    }

    /// Damages a file behind everyone's back: no step, and durable. Works without power.
    pub fn corrupt(&self, path: &str, damage: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut state = self.state();
        let file = state.tree.file(path);
        let file = file.map_err(|errno| fail("corrupt", path, errno))?;
        let mut data = file.data();
        let old_len = data.content.len() as u64;
        damage(Arc::make_mut(&mut data.content));
        data.synced = data.content.len();
        state.tree.used = state.tree.used - old_len + data.content.len() as u64;
        Ok(())
    }

    fn with_tree(tree: Tree) -> Self {
        let state = State { tree, steps: 0, cut_at: u64::MAX, off: false };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    /// Runs a step that is all or nothing.
    fn step<T>(
        &self,
        action: &'static str,
        path: &str,
        change: impl FnOnce(&mut Tree) -> rustix::io::Result<T>,
    ) -> Result<T> {
        let mut state = self.state();
        match self.shared.begin_step(&mut state) {
            Power::On => change(&mut state.tree),
            Power::FailsNow | Power::Off => Err(Errno::IO),
        }
        .map_err(|errno| fail(action, path, errno))
    }

    /// Looks without changing anything.
    fn look<T>(
        &self,
        action: &'static str,
        path: &str,
        question: impl FnOnce(&Tree) -> rustix::io::Result<T>,
    ) -> Result<T> {
        let state = self.state();
        let answer = if state.off { Err(Errno::IO) } else { question(&state.tree) };
        answer.map_err(|errno| fail(action, path, errno))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked elsewhere leaves a state that is still good to look at.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_step(&self, state: &mut State) -> Power {
        if state.off {
            return Power::Off;
        }
        if state.steps >= state.cut_at {
            state.off = true;
            self.changed.notify_all();
            return Power::FailsNow;
        }
        state.steps += 1;
        Power::On
    }
}

impl Volume for SimVolume {
    fn create(&self, path: &str) -> Result<Box<dyn WriteFile>> {
        let file = self.step("create", path, |tree| {
            let place = tree.place(path)?;
            match tree.at(&place) {
                Some(_) => Err(Errno::EXIST),
                None => Ok(tree.new_file(place)),
            }
        })?;
        let shared = self.shared.clone();
        let path = path.to_owned();
        Ok(Box::new(SimFile { shared, file, path, len: 0 }))
    }

    fn open(&self, path: &str) -> Result<Box<dyn ReadAt>> {
        let file = self.look("open", path, |tree| tree.file(path))?;
        let len = file.data().content.len() as u64;
        let shared = self.shared.clone();
        Ok(Box::new(SimReader { shared, file, len }))
    }

    fn file_len(&self, path: &str) -> Result<Option<u64>> {
        self.look("stat", path, |tree| match tree.node(path) {
            Ok(Some(Node::File(file))) => Ok(Some(file.data().content.len() as u64)),
            Ok(Some(Node::Directory(_)) | None) | Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        })
    }

    fn publish(&self, from: &str, to: &str) -> Result<bool> {
        self.step("rename", to, |tree| {
            let (from, to) = (tree.place(from)?, tree.place(to)?);
            let file = tree.file_at(&from)?;
            if tree.at(&to).is_some() {
                return Ok(false);
            }
            tree.set(to, Some(Node::File(file)));
            tree.set(from, None);
            Ok(true)
        })
    }

    fn replace(&self, from: &str, to: &str) -> Result<()> {
        self.step("rename", to, |tree| {
            let (from, to) = (tree.place(from)?, tree.place(to)?);
            let file = tree.file_at(&from)?;
            match tree.at(&to) {
                Some(Node::Directory(_)) => return Err(Errno::ISDIR),
                // Two names of one file, as a half survived rename leaves them: rename(2) then
                // does nothing, and `from` stays.
                Some(Node::File(old)) if Arc::ptr_eq(&old, &file) => return Ok(()),
                Some(Node::File(_)) | None => {}
            }
            tree.set(to, Some(Node::File(file)));
            tree.set(from, None);
            Ok(())
        })
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.step("remove", path, |tree| {
            let place = match tree.place(path) {
                Err(Errno::NOENT) => return Ok(()),
                place => place?,
            };
            match tree.at(&place) {
                Some(Node::Directory(_)) => return Err(Errno::ISDIR),
                Some(Node::File(_)) => tree.set(place, None),
                None => {}
            }
            Ok(())
        })
    }

    fn remove_dir(&self, path: &str) -> Result<()> {
        self.step("remove directory", path, |tree| {
            let place = match tree.place(path) {
                Err(Errno::NOENT) => return Ok(()),
                place => place?,
            };
            match tree.at(&place) {
                Some(Node::File(_)) => return Err(Errno::NOTDIR),
                Some(Node::Directory(id)) if !tree.is_empty(id) => return Err(Errno::NOTEMPTY),
                Some(Node::Directory(_)) => tree.set(place, None),
                None => {}
            }
            Ok(())
        })
    }

    fn create_dir(&self, path: &str) -> Result<bool> {
        self.step("create directory", path, |tree| {
            let place = tree.place(path)?;
            let is_free = tree.at(&place).is_none();
            if is_free {
                tree.new_directory(place);
            }
            Ok(is_free)
        })
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>> {
        self.look("list", path, |tree| {
            let directory = match tree.directory(path) {
                Err(Errno::NOENT) => return Ok(Vec::new()),
                directory => directory?,
            };
            let entry = |(name, node): (&str, &Node)| Entry {
                name: name.to_owned(),
                kind: match node {
                    Node::File(_) => EntryKind::File,
                    Node::Directory(_) => EntryKind::Directory,
                },
            };
            Ok(tree.entries(directory).map(entry).collect())
        })
    }

    fn sync_all(&self) -> Result<()> {
        self.step("sync the file system of", "", |tree| {
            tree.sync_all();
            Ok(())
        })
    }

    fn sync_dir(&self, path: &str) -> Result<()> {
        self.step("sync directory", path, |tree| {
            let directory = tree.directory(path)?;
            tree.sync_names(directory);
            Ok(())
        })
    }

    fn free_space(&self) -> Result<u64> {
        self.look("ask the free space of", "", |tree| Ok(tree.free()))
    }

    fn lock(&self, path: &str, mode: LockMode, wait: bool) -> Result<Option<Lock>> {
        let mut state = self.state();
        let mut file = None;
        loop {
            if state.off {
                return Err(fail("lock", path, Errno::IO));
            }
            let file = match &file {
                Some(file) => file,
                None => file.insert(
                    state.tree.file_or_new(path).map_err(|errno| fail("open", path, errno))?,
                ),
            };
            if file.data().holders.take(mode) {
                let (shared, file) = (self.shared.clone(), file.clone());
                return Ok(Some(Lock::new(Held { shared, file, mode })));
            }
            if !wait {
                return Ok(None);
            }
            let woken = self.shared.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn real_path(&self, _path: &str) -> Option<std::path::PathBuf> {
        None
    }
}

/// A lock that somebody holds.
struct Held {
    shared: Arc<Shared>,
    file: Arc<File>,
    mode: LockMode,
}

impl Drop for Held {
    fn drop(&mut self) {
        let _state = self.shared.state();
        self.file.data().holders.give_back(self.mode);
        self.shared.changed.notify_all();
    }
}

struct SimFile {
    shared: Arc<Shared>,
    file: Arc<File>,
    path: String,
    len: u64,
}

impl SimFile {
    /// Appends what `put` leaves in the zeroed bytes that it gets.
    fn append(
        &mut self,
        action: &'static str,
        len: u64,
        put: impl FnOnce(&mut [u8]),
    ) -> Result<()> {
        let mut state = self.shared.state();
        let (wanted, result) = match self.shared.begin_step(&mut state) {
            Power::On => (len, Ok(())),
            Power::FailsNow => (len / 2, Err(Errno::IO)),
            Power::Off => (0, Err(Errno::IO)),
        };
        let done = state.tree.extend(&mut self.file.data(), self.len, wanted, put);
        let result = match result {
            Ok(()) if done < len => Err(Errno::NOSPC),
            other => other,
        };
        result.map_err(|errno| fail(action, &self.path, errno))?;
        self.len += len;
        Ok(())
    }
}

impl WriteFile for SimFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.append("write", bytes.len() as u64, |room| {
            room.copy_from_slice(&bytes[..room.len()]);
        })
    }

    fn write_zeros(&mut self, len: u64) -> Result<()> {
        self.append("extend", len, |_| {})
    }

    fn sync(&mut self) -> Result<()> {
        let mut state = self.shared.state();
        match self.shared.begin_step(&mut state) {
            Power::On => self.file.data().sync(),
            Power::FailsNow | Power::Off => return Err(fail("sync", &self.path, Errno::IO)),
        }
        Ok(())
    }
}

struct SimReader {
    shared: Arc<Shared>,
    file: Arc<File>,
    len: u64,
}

impl ReadAt for SimReader {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.shared.state().off {
            return Err(Errno::IO.into());
        }
        let data = self.file.data();
        let start = data.content.len().min(offset.try_into().unwrap_or(usize::MAX));
        let rest = &data.content[start..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn len(&self) -> u64 {
        self.len
    }
}

fn fail(action: &'static str, path: &str, errno: Errno) -> DiskError {
    DiskError { action, path: path.to_owned(), source: errno.into() }
}
