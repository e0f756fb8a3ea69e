//! Frees the writer's page cache while the store is idle.
//!
//! A burst fills the cache, and it would keep its size until the process ends.

use crate::StoreError;
use crate::sqlite::engine::Engine;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;

/// Frees the pages of the writer's cache.
struct FreeCache;

impl Command for FreeCache {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        Ok(transaction.execute_batch("PRAGMA shrink_memory")?)
    }
}

/// Whether the cache may hold pages.
#[derive(Debug, Default)]
pub(super) struct CacheWatch {
    is_filled: bool,
}

impl CacheWatch {
    /// Returns whether to free the cache. `was_used` tells whether jobs were written since the last call.
    fn poll(&mut self, was_used: bool) -> bool {
        let frees = self.is_filled && !was_used;
        self.is_filled = was_used;
        frees
    }
}

impl Engine {
    /// Frees the cache if no job was written since the last call, but one before it.
    pub(super) async fn free_idle_cache(&self, watch: &mut CacheWatch) -> Result<(), StoreError> {
        if watch.poll(self.take_was_used()) { self.execute(FreeCache).await } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_freed_once_after_each_burst() {
        let mut watch = CacheWatch::default();
        for (was_used, frees) in [
            (false, false),
            (true, false),
            (true, false),
            (false, true),
            (false, false),
            (true, false),
            (false, true),
        ] {
            assert_eq!(watch.poll(was_used), frees);
        }
    }
}
