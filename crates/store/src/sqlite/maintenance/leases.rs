//! Frees claims with an expired lease.

use sqlx::{Row, SqliteConnection};

use model::{StateName, Timestamp};

use crate::StoreError;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::named::Named;
use crate::sqlite::write::post_commit::PostCommit;

pub(crate) const FREE_RUNNING: &str = "UPDATE jobs \
     SET state = 'queued', due_at = :now, lease_until = NULL, fence = fence + 1, crashes = crashes + 1, \
     last_error = 'the process ended, or lost its lease, while the handler ran' \
     WHERE lease_until <= :until AND state = 'running' RETURNING handler, answer_by";
pub(crate) const FREE_DELIVERING: &str = "UPDATE jobs \
     SET due_at = :now, lease_until = NULL, fence = fence + 1, answer_lost = 1, tried = 1 \
     WHERE lease_until <= :until AND state = 'delivering' RETURNING origin";

/// Frees claims with an expired lease, or at start all claims, because their owner is dead. Answers with their number.
///
/// No attempt is charged, but a running job counts a crash. A delivery that was under way may have arrived.
pub(crate) struct FreeLeases {
    /// Frees the leases that end at this moment or earlier; `None` frees all.
    pub(crate) until: Option<Timestamp>,
    /// When the jobs are due again.
    pub(crate) now: Timestamp,
}

impl Command for FreeLeases {
    type Answer = u64;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        post_commit: &mut PostCommit,
    ) -> Result<u64, StoreError> {
        let until = self.until.map_or(i64::MAX, Timestamp::as_millis);
        let now = self.now.as_millis();
        let ran = Named::new(FREE_RUNNING)
            .value("now", now)
            .value("until", until)
            .query()?
            .fetch_all(&mut *connection)
            .await?;
        for row in &ran {
            post_commit.queued(row.try_get(0)?, self.now, Timestamp::from_millis(row.try_get(1)?));
        }
        post_commit.moved(
            StateName::Running,
            StateName::Queued,
            i64::try_from(ran.len()).unwrap_or(i64::MAX),
        );
        let sent = Named::new(FREE_DELIVERING)
            .value("now", now)
            .value("until", until)
            .query()?
            .fetch_all(connection)
            .await?;
        for row in &sent {
            post_commit.undelivered(row.try_get(0)?, self.now);
        }
        Ok((ran.len() + sent.len()) as u64)
    }
}
