//! How far the search index reaches, in memory, so that accepting a request costs one comparison.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// Counts accepted jobs, and knows the highest id that was ever indexed.
#[derive(Debug, Default)]
pub(crate) struct SearchProgress {
    /// The first half of the highest id that may be in the index. It never decreases: too high costs a statement that
    /// changes nothing, too low would hide jobs.
    until: AtomicU64,
    /// Jobs that were accepted, and jobs that were indexed, by this process.
    accepted: AtomicU64,
}

impl SearchProgress {
    /// Records that the index contains, or is about to contain, jobs up to `id`.
    pub(crate) fn reached(&self, id: Uuid) {
        self.until.fetch_max(first_half(id), Ordering::SeqCst);
    }

    /// Whether the index may contain ids from `id` on.
    pub(crate) fn may_contain(&self, id: Uuid) -> bool {
        first_half(id) <= self.until.load(Ordering::SeqCst)
    }

    /// Records that `jobs` jobs were accepted.
    pub(crate) fn accepted(&self, jobs: usize) {
        self.accepted.fetch_add(jobs as u64, Ordering::Relaxed);
    }

    /// The number of accepted jobs since the process started.
    pub(crate) fn all_accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

fn first_half(id: Uuid) -> u64 {
    id.as_u64_pair().0
}
