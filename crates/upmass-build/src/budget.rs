//! Bounds the memory of work that runs in parallel.

use std::sync::{Condvar, Mutex};

/// So many bytes may be in use at once.
pub(crate) struct Budget {
    total: u64,
    free: Mutex<u64>,
    changed: Condvar,
}

/// Bytes that are in use until this is dropped.
pub(crate) struct Share<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(total: u64) -> Self {
        Self { total, free: Mutex::new(total), changed: Condvar::new() }
    }

    /// Waits until so many bytes are free. What needs more than all of them waits until it is
    /// alone.
    pub(crate) fn take(&self, bytes: u64) -> Share<'_> {
        let bytes = bytes.min(self.total);
        let mut free = self.free.lock().expect("no panic while the lock is held");
        while *free < bytes {
            free = self.changed.wait(free).expect("no panic while the lock is held");
        }
        *free -= bytes;
        Share { budget: self, bytes }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.budget.free.lock().expect("no panic while the lock is held") += self.bytes;
        self.budget.changed.notify_all();
    }
}
