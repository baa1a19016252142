//! Roots: which releases are kept.

use upmass_disk::{Lock, LockMode};
use upmass_format::ReleaseId;
use upmass_format::release::Release;

use crate::layout::{INCOMING, RELEASES, release_path};
use crate::{Result, Store, StoreError};

/// Keeps a release from being removed while it is read.
pub struct RootLock(#[allow(dead_code, reason = "held for its Drop")] Lock);

impl Store {
    /// Records a release whose trees and objects are all in the store. On return it is durable
    /// and will be kept.
    ///
    /// The name below `releases` is the commit point (POWER-LOSS.md, row "record"): before it
    /// the release is garbage, after it a root.
    pub fn record(&self, release: &Release) -> Result<ReleaseId> {
        self.lock_for_writing()?;
        let path = "the release";
        let bytes = release
            .to_bytes()
            .map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
        let id = ReleaseId::from(self.put(&bytes)?);
        if !self.has_release(id)? {
            let temporary = self.temporary_path();
            let mut file = self.volume.create(&temporary)?;
            file.sync()?;
            if !self.volume.publish(&temporary, &release_path(id))? {
                self.volume.remove(&temporary)?;
            }
        }
        self.volume.sync_dir(RELEASES)?;
        self.volume.sync_dir(INCOMING)?;
        Ok(id)
    }

    /// Whether a release is recorded; if so, it is durable on return. An earlier run may have ended
    /// between making its name and syncing it.
    pub fn settle_release(&self, id: ReleaseId) -> Result<bool> {
        let is_there = self.has_release(id)?;
        if is_there {
            self.volume.sync_dir(RELEASES)?;
        }
        Ok(is_there)
    }

    /// Keeps a release from being removed until the value is dropped.
    pub fn lock_release(&self, id: ReleaseId) -> Result<RootLock> {
        if !self.has_release(id)? {
            return Err(StoreError::MissingRelease { id });
        }
        let lock = self.volume.lock(&release_path(id), LockMode::Shared, false)?;
        let lock = lock.ok_or(StoreError::InUse { id })?;
        // It may have been removed between the look and the lock.
        if !self.has_release(id)? {
            return Err(StoreError::MissingRelease { id });
        }
        Ok(RootLock(lock))
    }

    /// Stops keeping a release. Its objects go with the next collection. On return it is durable.
    pub fn remove_release(&self, id: ReleaseId) -> Result<()> {
        if !self.has_release(id)? {
            return Err(StoreError::MissingRelease { id });
        }
        let path = release_path(id);
        let lock = self.volume.lock(&path, LockMode::Exclusive, false)?;
        let _lock = lock.ok_or(StoreError::InUse { id })?;
        self.volume.remove(&path)?;
        Ok(self.volume.sync_dir(RELEASES)?)
    }
}
