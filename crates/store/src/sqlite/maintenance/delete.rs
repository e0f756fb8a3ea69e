//! What keeps the store in order: freeing what a dead process held, and deleting what nobody needs.

use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use model::{StateName, Timestamp};

use crate::StoreError;
use crate::sqlite::write::account_bytes::body_bytes;
use crate::sqlite::write::command::Request;
use crate::sqlite::write::post_commit::Effects;
use crate::time::Cutoff;

/// Rows that one transaction deletes: it must not hold up those who wait to be acknowledged.
pub(crate) const CHUNK: i64 = 500;
/// Bytes of bodies that one transaction deletes or drops, unless it is those of one job: each of their pages has to be read.
pub(crate) const CHUNK_BYTES: i64 = 2 << 20;

pub(crate) const FREE_RUNNING: &str = "UPDATE jobs \
     SET state = 'queued', due_at = ?1, lease_until = NULL, fence = fence + 1, crashes = crashes + 1, \
     last_error = 'the process ended, or lost its lease, while the handler ran' \
     WHERE lease_until <= ?2 AND state = 'running' RETURNING handler, answer_by";
pub(crate) const FREE_DELIVERING: &str = "UPDATE jobs \
     SET due_at = ?1, lease_until = NULL, fence = fence + 1, answer_lost = 1, tried = 1 \
     WHERE lease_until <= ?2 AND state = 'delivering' RETURNING origin";

/// Frees claims whose lease is over; at start all of them, because their owner is dead.
///
/// No attempt is charged, but a job that was running counts a crash. A delivery that was on its way
/// may have arrived.
pub(crate) struct Free {
    /// Leases up to this moment; `None` for all.
    pub(crate) until: Option<Timestamp>,
    /// When the jobs are due again.
    pub(crate) now: Timestamp,
}

impl Request for Free {
    type Answer = u64;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        effects: &mut Effects,
    ) -> Result<u64, StoreError> {
        let until = self.until.map_or(i64::MAX, Timestamp::as_millis);
        let now = self.now.as_millis();
        let ran = sqlx::query(FREE_RUNNING).bind(now).bind(until).fetch_all(&mut *connection).await?;
        for row in &ran {
            effects.queued(row.try_get(0)?, self.now, Timestamp::from_millis(row.try_get(1)?));
        }
        effects.moved(StateName::Running, StateName::Queued, i64::try_from(ran.len()).unwrap_or(i64::MAX));
        let sent = sqlx::query(FREE_DELIVERING).bind(now).bind(until).fetch_all(connection).await?;
        for row in &sent {
            effects.undelivered(row.try_get(0)?, self.now);
        }
        Ok((ran.len() + sent.len()) as u64)
    }
}

/// What is deleted next, in the order of the index.
pub(crate) const OLDEST_FINISHED: &str = concat!(
    "SELECT id, finished_service_at, finished_at, state, account_id, ",
    body_bytes!(),
    " FROM jobs WHERE finished_service_at < ?1 AND finished_at < ?2 \
     ORDER BY finished_service_at, finished_at, id LIMIT 0 + ?3"
);
/// All that [`OLDEST_FINISHED`] found, up to the row `?1`, `?2`, `?3`.
pub(crate) const DELETE_FINISHED: &str = "DELETE FROM jobs WHERE finished_service_at <= ?1 \
     AND (finished_service_at, finished_at, id) <= (?1, ?2, ?3) AND finished_at < ?4";
pub(crate) const FORGET_KEYS: &str = "DELETE FROM idempotency_keys WHERE (account_id, key) IN ( \
     SELECT account_id, key FROM idempotency_keys WHERE expires_service_at < ?1 AND expires_at < ?2 \
     ORDER BY expires_service_at LIMIT 0 + ?3)";

/// What one transaction of [`DeleteFinished`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deleted {
    pub(crate) jobs: u64,
    /// Whether there may be more to delete.
    pub(crate) more: bool,
}

/// Deletes finished jobs, with their attempts; at most [`CHUNK`], and fewer where their bodies are large.
pub(crate) struct DeleteFinished {
    pub(crate) before: Cutoff,
}

impl Request for DeleteFinished {
    type Answer = Deleted;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        effects: &mut Effects,
    ) -> Result<Deleted, StoreError> {
        let rows = sqlx::query(OLDEST_FINISHED)
            .bind(self.before.service.as_millis())
            .bind(self.before.calendar.as_millis())
            .bind(CHUNK)
            .fetch_all(&mut *connection)
            .await?;
        let (mut deleted, mut total, mut last) = (Deleted::default(), 0_i64, None);
        for row in &rows {
            let bytes: i64 = row.try_get(5)?;
            if last.is_some() && total.saturating_add(bytes) > CHUNK_BYTES {
                deleted.more = true;
                break;
            }
            total = total.saturating_add(bytes);
            last = Some((row.try_get::<i64, _>(1)?, row.try_get::<i64, _>(2)?, row.try_get::<Uuid, _>(0)?));
            if let Ok(state) = row.try_get::<&str, _>(3)?.parse::<StateName>() {
                effects.count(state, -1);
            }
            effects.bytes.dropped(row.try_get(4)?, bytes);
            deleted.jobs += 1;
        }
        let Some((service_at, finished_at, id)) = last else { return Ok(deleted) };
        sqlx::query(DELETE_FINISHED)
            .bind(service_at)
            .bind(finished_at)
            .bind(id)
            .bind(self.before.calendar.as_millis())
            .execute(connection)
            .await?;
        deleted.more |= deleted.jobs == CHUNK.unsigned_abs();
        Ok(deleted)
    }
}

/// Forgets idempotency keys whose tokens are over by now, by both clocks; at most [`CHUNK`].
pub(crate) struct ForgetKeys {
    pub(crate) now: Cutoff,
}

impl Request for ForgetKeys {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut Effects) -> Result<u64, StoreError> {
        let deleted = sqlx::query(FORGET_KEYS)
            .bind(self.now.service.as_millis())
            .bind(self.now.calendar.as_millis())
            .bind(CHUNK)
            .execute(connection)
            .await?;
        Ok(deleted.rows_affected())
    }
}

/// Writes as much as a large request does: it needs the same room on the disk, and changes no job.
pub(crate) struct Probe;

impl Request for Probe {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut Effects) -> Result<(), StoreError> {
        sqlx::query("UPDATE probe SET filler = randomblob(65536) WHERE id = 1").execute(connection).await?;
        Ok(())
    }
}
