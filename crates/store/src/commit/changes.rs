//! Tells maintenance that the writer has changed the database, so that maintenance sleeps while nothing changes.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// The changes of the database by the writer.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    count: AtomicU64,
    changed: Notify,
}

impl Changes {
    /// Reports a change, after COMMIT.
    pub(crate) fn report(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        // If no one waits, the next call of `next` returns at once.
        self.changed.notify_one();
    }

    /// The number of changes so far.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits for a change. Only one task may wait. Returns at once if there was a change since the last call.
    pub(crate) async fn next(&self) {
        self.changed.notified().await;
    }
}
