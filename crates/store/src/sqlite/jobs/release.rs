//! Releases refused deliveries: when Kommo accepts calls for an account again, the jobs that waited only for that are
//! due at once.

use std::sync::Arc;

use sqlx::SqliteConnection;

use model::Timestamp;

use crate::StoreError;
use crate::sqlite::engine::Engine;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::named::Named;
use crate::sqlite::write::post_commit::PostCommit;

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

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        post_commit: &mut PostCommit,
    ) -> Result<Self::Answer, StoreError> {
        let released = Named::new(RELEASE)
            .value("now", self.now.as_millis())
            .value("origin", &*self.origin)
            .query()?
            .execute(connection)
            .await?
            .rows_affected();
        if released > 0 {
            post_commit.undelivered(&self.origin, self.now);
        }
        Ok(released)
    }
}
