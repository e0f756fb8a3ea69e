//! Gives back the memory of a burst while the store is idle: the page cache of the writer, and the recent keys.
//!
//! Both would keep their size, the cache until the process ends and the keys until the next regular move.

use crate::StoreError;
use crate::sqlite::engine::Engine;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::time::Cutoff;

/// Ticks without jobs after which the store counts as idle. Reading the pages again after that costs less than a commit.
const IDLE_TICKS: u64 = 10;
/// The same after a burst.
const IDLE_TICKS_AFTER_BURST: u64 = 2;
/// The number of transactions that count as a burst.
const BURST: u64 = 512;
/// The minimum number of keys that are moved before the next regular move. Moving a few costs as many pages as moving many.
const MIN_MOVED_KEYS: usize = 512;

/// Frees the pages of the writer's cache.
struct FreeCache;

impl Command for FreeCache {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        Ok(transaction.execute_batch("PRAGMA shrink_memory")?)
    }
}

/// How much memory the store may hold, and for how long it has been idle.
#[derive(Debug, Default)]
pub(super) struct IdleWatch {
    /// Whether anything was written since memory was freed.
    is_filled: bool,
    /// The number of changes when memory was freed.
    freed_at: u64,
    idle_ticks: u64,
}

impl IdleWatch {
    /// Notes that maintenance has filled the cache.
    pub(super) const fn maintenance_wrote(&mut self) {
        self.is_filled = true;
    }

    /// Returns whether to free memory. Called once in each tick: `was_used` tells whether jobs were written since the last
    /// call, and `changes` how many transactions have changed anything so far.
    const fn poll(&mut self, was_used: bool, changes: u64) -> bool {
        if was_used {
            (self.is_filled, self.idle_ticks) = (true, 0);
            return false;
        }
        self.idle_ticks = self.idle_ticks.saturating_add(1);
        let is_burst = changes.saturating_sub(self.freed_at) >= BURST;
        let wait = if is_burst { IDLE_TICKS_AFTER_BURST } else { IDLE_TICKS };
        let frees = self.is_filled && self.idle_ticks >= wait;
        if frees {
            *self = Self { is_filled: false, freed_at: changes, idle_ticks: 0 };
        }
        frees
    }
}

impl Engine {
    /// Frees the memory of the last jobs, once, if the store has been idle long enough.
    pub(super) async fn free_idle_memory(
        &self,
        watch: &mut IdleWatch,
        now: Cutoff,
    ) -> Result<(), StoreError> {
        if !watch.poll(self.operations.take_was_used(), self.changes.count()) {
            return Ok(());
        }
        // Before the cache, because moving keys fills it again.
        let moved = self.move_keys(now, MIN_MOVED_KEYS).await;
        self.execute(FreeCache).await.and(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls for some ticks. Returns those that freed memory, counted from 1.
    fn freed(watch: &mut IdleWatch, ticks: u64, changes: u64) -> Vec<u64> {
        (1..=ticks).filter(|_| watch.poll(false, changes)).collect()
    }

    #[test]
    fn memory_is_freed_once_when_the_store_becomes_idle_and_soon_after_a_burst() {
        let mut watch = IdleWatch::default();
        assert_eq!(freed(&mut watch, 100, 9_999), [0; 0], "no jobs were written");
        for (what, changes, expected) in [
            ("a burst", 20_000, IDLE_TICKS_AFTER_BURST),
            ("a few jobs", 20_009, IDLE_TICKS),
            ("almost a burst", 20_009 + BURST - 1, IDLE_TICKS),
            ("the smallest burst", 20_009 + BURST + BURST - 1, IDLE_TICKS_AFTER_BURST),
        ] {
            assert!(!watch.poll(true, changes), "{what}");
            assert_eq!(freed(&mut watch, 100, changes), [expected], "{what}");
        }
        for _ in 0..100 {
            assert!(!watch.poll(true, 30_000), "jobs are being written");
            assert!(!watch.poll(false, 30_000), "a pause of a second");
        }
    }

    #[test]
    fn memory_that_maintenance_used_is_freed() {
        let mut watch = IdleWatch::default();
        assert_eq!(freed(&mut watch, 100, 3), [0; 0]);
        watch.maintenance_wrote();
        assert_eq!(freed(&mut watch, 100, 3).len(), 1);
    }
}
