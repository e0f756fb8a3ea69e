//! Places in the pool: how many handlers may run at once, shared between their names.

use std::sync::{Arc, MutexGuard, PoisonError};

use model::Shares;

use super::Pool;

/// A place in the pool; dropping it gives it back and wakes the pool.
pub(super) struct Place {
    pub(super) pool: Pool,
    pub(super) name: Arc<str>,
}

impl Pool {
    /// Up to `wanted` places for jobs of the handler `name`; none while the pool drains.
    pub(super) fn places(&self, name: &str, wanted: usize) -> Vec<Place> {
        if self.0.runtime.is_draining() {
            return Vec::new();
        }
        let got = self.shares().take(name, wanted);
        (0..got).map(|_| Place { pool: self.clone(), name: name.into() }).collect()
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.0.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.shares().give_back(&self.name);
        self.pool.0.store.work().wake_if_waiting();
    }
}
