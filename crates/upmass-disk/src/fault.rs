//! A volume that fails at a chosen step, for tests of the whole program.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};

use crate::volume::{DiskError, Entry, Lock, LockMode, ReadAt, Result, Volume, WriteFile};

/// What goes wrong, and at which step; [`SimVolume`](crate::SimVolume) tells what a step is, and
/// that the first one is 0.
///
/// A write that is hit writes its first half, as the system may do when it is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing; steps are only counted.
    Count,
    /// The process ends by `SIGKILL`, without a chance to clean up.
    Kill(u64),
    /// The disk is full from that step on: what needs space fails with
    /// [`StorageFull`](std::io::ErrorKind::StorageFull) (`create`, `write`, `write_zeros`,
    /// `create_dir`, `publish`, `replace`, and `lock` where it makes the file).
    Full(u64),
    /// That one step fails with an I/O error, and has no effect (of a write: half of it).
    Io(u64),
}

impl Fault {
    /// Reads `count`, `kill:17`, `full:17` or `io:17`; `None` is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "count" {
            return Some(Self::Count);
        }
        let (kind, step) = text.split_once(':')?;
        let step = step.parse().ok()?;
        match kind {
            "kill" => Some(Self::Kill(step)),
            "full" => Some(Self::Full(step)),
            "io" => Some(Self::Io(step)),
            _ => None,
        }
    }
}

/// Counts the steps of a [`FaultVolume`] and outlives it; a clone counts the same steps.
#[derive(Debug, Clone)]
pub struct StepCounter(Arc<AtomicU64>);

impl StepCounter {
    /// How many steps were tried.
    pub fn steps(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Any volume, and a fault at one step.
pub struct FaultVolume<V> {
    inner: V,
    trigger: Trigger,
}

#[derive(Clone)]
struct Trigger {
    fault: Fault,
    counter: StepCounter,
}

/// What a step meets.
#[derive(Clone, Copy)]
enum Hit {
    Nothing,
    Io,
    /// The disk is full from now on.
    FullNow,
    /// The disk was full before.
    FullStill,
    Kill,
}

impl<V> FaultVolume<V> {
    /// Wraps a volume; its steps count from 0.
    pub fn new(inner: V, fault: Fault) -> Self {
        let counter = StepCounter(Arc::default());
        Self { inner, trigger: Trigger { fault, counter } }
    }

    /// How many steps were tried, also those that failed.
    pub fn steps(&self) -> u64 {
        self.trigger.counter.steps()
    }

    /// The counter, to be read when the volume was given away.
    pub fn counter(&self) -> StepCounter {
        self.trigger.counter.clone()
    }

    /// The volume underneath; what it does there is not counted.
    pub fn inner(&self) -> &V {
        &self.inner
    }
}

impl<V: Volume> FaultVolume<V> {
    /// Counts a step that needs space, unless the name `is_taken`: then that is why it fails.
    fn step_for_space(
        &self,
        action: &'static str,
        path: &str,
        is_taken: impl FnOnce() -> Result<bool>,
    ) -> Result<()> {
        match self.trigger.count() {
            Hit::Nothing => Ok(()),
            Hit::Io => Err(fail(action, path, Errno::IO)),
            Hit::FullNow | Hit::FullStill => match is_taken()? {
                true => Ok(()),
                false => Err(fail(action, path, Errno::NOSPC)),
            },
            Hit::Kill => kill(),
        }
    }

    fn is_taken(&self, path: &str) -> Result<bool> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let entries = self.inner.list(parent)?;
        Ok(entries.iter().any(|entry| entry.name == name))
    }
}

impl<V: Volume> Volume for FaultVolume<V> {
    fn create(&self, path: &str) -> Result<Box<dyn WriteFile>> {
        self.step_for_space("create", path, || self.is_taken(path))?;
        Ok(Box::new(FaultFile {
            inner: self.inner.create(path)?,
            trigger: self.trigger.clone(),
            path: path.to_owned(),
        }))
    }

    fn open(&self, path: &str) -> Result<Box<dyn ReadAt>> {
        self.inner.open(path)
    }

    fn open_if_exists(&self, path: &str) -> Result<Option<Box<dyn ReadAt>>> {
        self.inner.open_if_exists(path)
    }

    fn file_len(&self, path: &str) -> Result<Option<u64>> {
        self.inner.file_len(path)
    }

    fn publish(&self, from: &str, to: &str) -> Result<bool> {
        self.step_for_space("rename", to, || self.is_taken(to))?;
        self.inner.publish(from, to)
    }

    fn replace(&self, from: &str, to: &str) -> Result<()> {
        // File systems that never overwrite need space for this as well.
        self.step_for_space("rename", to, || Ok(false))?;
        self.inner.replace(from, to)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.trigger.step("remove", path)?;
        self.inner.remove(path)
    }

    fn remove_dir(&self, path: &str) -> Result<()> {
        self.trigger.step("remove directory", path)?;
        self.inner.remove_dir(path)
    }

    fn create_dir(&self, path: &str) -> Result<bool> {
        self.step_for_space("create directory", path, || self.is_taken(path))?;
        self.inner.create_dir(path)
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>> {
        self.inner.list(path)
    }

    fn sync_all(&self) -> Result<()> {
        self.trigger.step("sync the file system of", "")?;
        self.inner.sync_all()
    }

    fn sync_dir(&self, path: &str) -> Result<()> {
        self.trigger.step("sync directory", path)?;
        self.inner.sync_dir(path)
    }

    fn free_space(&self) -> Result<u64> {
        if self.trigger.is_full() {
            return Ok(0);
        }
        self.inner.free_space()
    }

    fn lock(&self, path: &str, mode: LockMode, wait: bool) -> Result<Option<Lock>> {
        if self.trigger.is_full() && !self.is_taken(path)? {
            return Err(fail("open", path, Errno::NOSPC));
        }
        self.inner.lock(path, mode, wait)
    }

    fn real_path(&self, path: &str) -> Option<std::path::PathBuf> {
        self.inner.real_path(path)
    }
}

impl Trigger {
    /// Counts a step that needs no space.
    fn step(&self, action: &'static str, path: &str) -> Result<()> {
        match self.count() {
            Hit::Nothing | Hit::FullNow | Hit::FullStill => Ok(()),
            Hit::Io => Err(fail(action, path, Errno::IO)),
            Hit::Kill => kill(),
        }
    }

    /// Counts a step and tells what it meets.
    fn count(&self) -> Hit {
        let step = self.counter.0.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::Kill(at) if step == at => Hit::Kill,
            Fault::Io(at) if step == at => Hit::Io,
            Fault::Full(at) if step == at => Hit::FullNow,
            Fault::Full(at) if step > at => Hit::FullStill,
            _ => Hit::Nothing,
        }
    }

    fn is_full(&self) -> bool {
        matches!(self.fault, Fault::Full(at) if self.counter.steps() > at)
    }
}

struct FaultFile {
    inner: Box<dyn WriteFile>,
    trigger: Trigger,
    path: String,
}

impl FaultFile {
    /// Counts a step which appends; when it is hit, `first_half` is still done.
    fn append(
        &mut self,
        action: &'static str,
        first_half: impl FnOnce(&mut dyn WriteFile) -> Result<()>,
    ) -> Result<()> {
        let hit = self.trigger.count();
        let half = match hit {
            Hit::Io | Hit::FullNow | Hit::Kill => first_half(&mut *self.inner),
            Hit::Nothing | Hit::FullStill => Ok(()),
        };
        match hit {
            Hit::Nothing => Ok(()),
            Hit::Io => half.and(Err(fail(action, &self.path, Errno::IO))),
            Hit::FullNow | Hit::FullStill => half.and(Err(fail(action, &self.path, Errno::NOSPC))),
            Hit::Kill => kill(),
        }
    }
}

impl WriteFile for FaultFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.append("write", |file| file.write(&bytes[..bytes.len() / 2]))?;
        self.inner.write(bytes)
    }

    fn write_zeros(&mut self, len: u64) -> Result<()> {
        self.append("extend", |file| file.write_zeros(len / 2))?;
        self.inner.write_zeros(len)
    }

    fn sync(&mut self) -> Result<()> {
        self.trigger.step("sync", &self.path)?;
        self.inner.sync()
    }
}

fn fail(action: &'static str, path: &str, errno: Errno) -> DiskError {
    DiskError { action, path: path.to_owned(), source: errno.into() }
}

/// Ends the process as if it had been killed from outside.
fn kill() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    // The signal comes before the call above returns; should the system refuse it, this is
    // the next best end without any clean-up.
    std::process::abort()
}
