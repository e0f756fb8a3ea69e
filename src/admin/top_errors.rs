//! The most frequent errors of the last 24 hours, for the first page. To add up the errors of all groups takes longer than
//! the rest of the page, so the result is kept until another error occurs, or another hour begins.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Timestamp;
use store::{ErrorCounts, ErrorGroup, Store, StoreError};

const MS_PER_HOUR: i64 = 3_600_000;

/// The errors. Clones share them.
#[derive(Clone, Default)]
pub(super) struct TopErrors(Arc<Mutex<Kept>>);

/// The last result; `None` before the first one.
type Kept = Option<(Version, Vec<ErrorGroup>)>;

/// What the result depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    counts: ErrorCounts,
    hour: i64,
    limit: u32,
}

impl TopErrors {
    /// Reads the number of all groups, and at most `limit` groups with errors within 24 hours, those with most of them first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn read(
        &self,
        store: &Store,
        limit: u32,
        now: Timestamp,
    ) -> Result<(u64, Vec<ErrorGroup>), StoreError> {
        let counts = store.errors().counts(now).await?;
        let version = Version { counts, hour: now.as_millis().div_euclid(MS_PER_HOUR), limit };
        if let Some((_, groups)) = self.lock().as_ref().filter(|(known, _)| *known == version) {
            return Ok((counts.all, groups.clone()));
        }
        // Errors that occur in the meantime belong to the next version.
        let groups = store.errors().top(limit).await?;
        *self.lock() = Some((version, groups.clone()));
        Ok((counts.all, groups))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
