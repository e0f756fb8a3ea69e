//! Releases deliveries: when Kommo accepts calls for an account again, the jobs that waited only for that are due at
//! once.

use std::sync::Arc;

use model::Timestamp;

use crate::StoreError;
use crate::jobs::release::next_part;
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::work_claims::count;
use crate::sqlite::write::bind::{execute, query};
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;

/// How many failed deliveries one transaction examines, so that no request waits for all of them.
const MAX_RELEASED_TOGETHER: usize = 256;

impl Engine {
    pub(crate) async fn release_refused(&self, origin: Arc<str>) -> Result<u64, StoreError> {
        self.execute(Release { origin, now: self.moment().steady }).await
    }

    pub(crate) async fn release_failed(
        &self,
        origin: Arc<str>,
        since: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        self.release_failed_in_parts(origin, since, MAX_RELEASED_TOGETHER).await
    }

    /// Examines `limit` deliveries per transaction.
    pub(crate) async fn release_failed_in_parts(
        &self,
        origin: Arc<str>,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Result<u64, StoreError> {
        let now = self.moment().steady;
        let (mut released, mut after) = (0, Some(now));
        while let Some(from) = after {
            let origin = origin.clone();
            let part = self.execute(ReleaseFailed { origin, since, now, after: from, limit }).await?;
            (released, after) = (released + part.released, part.after);
        }
        Ok(released)
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

/// Selects failed deliveries to one origin, those due first, with whether only an outage since `:since` delays them.
pub(crate) const FAILED: &str = "SELECT id, due_at, \
     coalesce(failing_since > :since AND coalesce(refused_at < failing_since, TRUE), FALSE) FROM jobs \
     WHERE state = 'delivering' AND lease_until IS NULL AND origin = :origin AND delivery_rank = 1 AND due_at > :after \
     ORDER BY due_at LIMIT 0 + :limit";

/// The job is due since its request came, not since now: then jobs go out in the order of their age, and a claim that
/// looks for young ones among those due in the last minute does not read past a whole outage.
pub(crate) const RELEASE_ONE: &str = "UPDATE jobs SET due_at = min(waiting_since, :now) \
     WHERE id = :id AND state = 'delivering' AND lease_until IS NULL";

/// Makes failed deliveries to one origin due, among the next `limit` that are due after `after`.
struct ReleaseFailed {
    origin: Arc<str>,
    since: Option<Timestamp>,
    /// The same for all parts of one release, so that no part examines what an earlier one has released.
    now: Timestamp,
    after: Timestamp,
    limit: usize,
}

/// The result of [`ReleaseFailed`].
struct ReleasedPart {
    released: u64,
    /// Where the next part begins; `None` if this was the last.
    after: Option<Timestamp>,
}

impl Command for ReleaseFailed {
    type Answer = ReleasedPart;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<ReleasedPart, StoreError> {
        let values = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let failed: Vec<([u8; 16], i64, bool)> = query!(transaction, FAILED, {
            "since" => self.since.map_or(i64::MIN, Timestamp::as_millis),
            "origin" => &*self.origin,
            "after" => self.after.as_millis(),
            "limit" => count(self.limit),
        }, values);
        let mut released = 0;
        for (id, ..) in failed.iter().filter(|(_, _, waits_for_account)| *waits_for_account) {
            released += execute!(transaction, RELEASE_ONE, { "now" => self.now.as_millis(), "id" => id });
        }
        if released > 0 {
            transaction.post_commit.undelivered(&self.origin, self.now);
        }
        let last = failed.last().filter(|_| failed.len() == self.limit).map(|(_, due_at, _)| *due_at);
        let after = last.map(|due_at| next_part(Timestamp::from_millis(due_at), self.after, released > 0));
        Ok(ReleasedPart { released: released as u64, after })
    }
}
