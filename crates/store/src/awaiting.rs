//! How many jobs of each handler await a callback.

use std::sync::{Mutex, MutexGuard, PoisonError};

use model::HandlerName;
use model::maps::HashMap;

/// The jobs that await a callback, by handler. The writer updates it after each commit.
#[derive(Debug, Default)]
pub(crate) struct Awaiting(Mutex<HashMap<HandlerName, i64>>);

impl Awaiting {
    /// The number of jobs of this handler.
    pub(crate) fn jobs(&self, handler: &str) -> u64 {
        self.lock().get(handler).map_or(0, |jobs| u64::try_from(*jobs).unwrap_or(0))
    }

    /// Applies the changes of a transaction; `all` are the numbers before these changes, if it has
    /// read them.
    pub(crate) fn apply_after_commit(
        &self,
        all: Option<HashMap<HandlerName, i64>>,
        changes: Vec<(HandlerName, i64)>,
    ) {
        if all.is_none() && changes.is_empty() {
            return;
        }
        let mut jobs = self.lock();
        if let Some(all) = all {
            *jobs = all;
        }
        for (handler, change) in changes {
            *jobs.entry(handler).or_default() += change;
        }
        jobs.retain(|_, jobs| *jobs > 0);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HandlerName, i64>> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
