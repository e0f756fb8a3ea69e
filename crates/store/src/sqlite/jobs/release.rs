//! Releases refused deliveries: when Kommo accepts calls for an account again, the jobs that waited only for that are
//! due at once.

use std::sync::Arc;

use model::Timestamp;

use crate::StoreError;
use crate::sqlite::engine::Engine;
use crate::sqlite::write::bind::execute;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;

impl Engine {
    pub(crate) async fn release_refused(&self, origin: Arc<str>) -> Result<u64, StoreError> {
        self.execute(Release { origin, now: self.moment().steady }).await
    }
}

/// Changes only jobs of rank 2, which Kommo refused because of their account. Jobs whose deliveries failed still wait
/// for their backoff.
pub(crate) const RELEASE: &str = "UPDATE jobs SET due_at = :now WHERE state = 'delivering' AND lease_until IS NULL \
     AND origin = :origin AND delivery_rank = 2 AND due_at > :now";

/// Makes the refused deliveries to one origin due.
pub(crate) struct Release {
    pub(crate) origin: Arc<str>,
    pub(crate) now: Timestamp,
}

impl Command for Release {
    type Answer = u64;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<u64, StoreError> {
        let released = execute!(transaction, RELEASE, {
            "now" => self.now.as_millis(),
            "origin" => &*self.origin,
        });
        if released > 0 {
            transaction.post_commit.undelivered(&self.origin, self.now);
        }
        Ok(released as u64)
    }
}
