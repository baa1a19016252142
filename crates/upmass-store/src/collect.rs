//! Mark and sweep: removes what no release needs.
//!
//! Readers need not wait: what they read belongs to a release that they hold, or is a file
//! that stays readable while it is open. Writers and collection exclude each other, since an
//! object that was found to be there must still be there when its release is recorded.

use upmass_disk::{EntryKind, LockMode};
use upmass_format::ObjectId;

use crate::layout::{INCOMING, LOCK, OBJECTS, object_id, object_path};
use crate::{Result, Store, StoreError};

/// What a collection removed and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Objects removed.
    pub removed: u64,
    /// Their length in bytes.
    pub removed_bytes: u64,
    /// Objects kept.
    pub kept: u64,
    /// Their length in bytes.
    pub kept_bytes: u64,
    /// Unfinished files below `incoming` removed.
    pub abandoned: u64,
}

impl Store {
    /// Removes every object that no recorded release needs, and what writers left unfinished.
    /// With `dry_run` nothing is removed.
    ///
    /// Stops before it removes anything when a recorded release cannot be read whole: nobody
    /// can tell then what is needed. A cut at any point leaves all that is needed; the next run
    /// removes the rest.
    ///
    /// Memory: 8 bytes for each object that is needed.
    pub fn collect(&self, dry_run: bool) -> Result<Collected> {
        let lock = self.volume.lock(LOCK, LockMode::Exclusive, false)?;
        let _lock = lock.ok_or(StoreError::Busy { what: "it is writing" })?;
        let mut marked = Vec::new();
        for id in self.releases()? {
            self.visit_objects(id, &mut |object| marked.push(mark(object)))?;
            compact(&mut marked);
        }
        let mut collected = Collected::default();
        self.sweep_incoming(INCOMING, dry_run, &mut collected)?;
        for directory in self.volume.list(OBJECTS)? {
            let mut is_changed = false;
            for file in self.volume.list(&format!("{OBJECTS}/{}", directory.name))? {
                let Some(id) = object_id(&directory.name, &file.name) else {
                    continue;
                };
                let len = self.volume.file_len(&object_path(id))?.unwrap_or(0);
                if marked.binary_search(&mark(id)).is_ok() {
                    collected.kept += 1;
                    collected.kept_bytes += len;
                } else {
                    collected.removed += 1;
                    collected.removed_bytes += len;
                    if !dry_run {
                        self.volume.remove(&object_path(id))?;
                        is_changed = true;
                    }
                }
            }
            if is_changed {
                self.volume.sync_dir(&format!("{OBJECTS}/{}", directory.name))?;
            }
        }
        Ok(collected)
    }

    fn sweep_incoming(&self, path: &str, dry_run: bool, collected: &mut Collected) -> Result<()> {
        for entry in self.volume.list(path)? {
            let inner = format!("{path}/{}", entry.name);
            if entry.kind == EntryKind::Directory {
                self.sweep_incoming(&inner, dry_run, collected)?;
                if !dry_run {
                    self.volume.remove_dir(&inner)?;
                }
            } else {
                collected.abandoned += 1;
                if !dry_run {
                    self.volume.remove(&inner)?;
                }
            }
        }
        Ok(())
    }
}

/// Eight bytes stand for an id: two that agree in them are kept or removed together, which
/// keeps too much at worst.
fn mark(id: ObjectId) -> u64 {
    u64::from_le_bytes(id.as_bytes()[..8].try_into().expect("an id has 32 bytes"))
}

fn compact(marked: &mut Vec<u64>) {
    marked.sort_unstable();
    marked.dedup();
}
