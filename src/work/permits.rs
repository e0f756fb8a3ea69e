//! The permits of the pool: they limit how many handlers run at once, and are shared fairly between names.

use std::sync::{Arc, MutexGuard, PoisonError};

use model::FairSemaphore;

use super::Pool;

/// Allows one handler to run. Dropping the permit returns it and wakes the pool.
pub(super) struct Permit {
    pub(super) pool: Pool,
    pub(super) name: Arc<str>,
}

impl Pool {
    /// Takes up to `wanted` permits for jobs of the handler `name`; takes none while the pool drains.
    pub(super) fn permits(&self, name: &str, wanted: usize) -> Vec<Permit> {
        if self.0.runtime.is_draining() {
            return Vec::new();
        }
        let got = self.semaphore().try_acquire(name, wanted);
        (0..got).map(|_| Permit { pool: self.clone(), name: name.into() }).collect()
    }

    fn semaphore(&self) -> MutexGuard<'_, FairSemaphore> {
        self.0.semaphore.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.semaphore().release(&self.name);
        self.pool.0.store.work().wake_if_waiting();
    }
}
