//! What keeps the store in order: freeing what a dead process held, and deleting what nobody needs.

use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use crate::model::{StateName, Timestamp};

use super::StoreError;
use super::account_bytes::body_bytes;
use super::effects::Effects;
use super::request::Request;

/// Rows that one transaction deletes: it must not hold up those who wait to be acknowledged.
pub(super) const CHUNK: i64 = 500;
/// Bytes of bodies that one transaction deletes or drops, unless it is those of one job: each of their pages has to be read.
pub(super) const CHUNK_BYTES: i64 = 2 << 20;

pub(super) const FREE_RUNNING: &str = "UPDATE jobs \
     SET state = 'queued', due_at = ?1, lease_until = NULL, fence = fence + 1, crashes = crashes + 1, \
     last_error = 'the process ended, or lost its lease, while the handler ran' \
     WHERE lease_until <= ?2 AND state = 'running' RETURNING handler, answer_by";
pub(super) const FREE_DELIVERING: &str = "UPDATE jobs \
     SET due_at = ?1, lease_until = NULL, fence = fence + 1, answer_lost = 1, tried = 1 \
     WHERE lease_until <= ?2 AND state = 'delivering' RETURNING origin";

/// Frees claims whose lease is over; at start all of them, because their owner is dead.
///
/// No attempt is charged, but a job that was running counts a crash. A delivery that was on its way
/// may have arrived.
pub(super) struct Free {
    /// Leases up to this moment of the steady clock; `None` for all.
    pub(super) until: Option<Timestamp>,
    pub(super) now: Timestamp,
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

/// Longer than a delivery waits for its next try: 60 s, as `Backoff::STANDARD` has it. Only a job that waits alone for its
/// account may wait longer, and loses nothing if it is tried earlier.
pub(super) const REWIND_DELIVERING: &str = "UPDATE jobs SET due_at = ?1 \
     WHERE state = 'delivering' AND lease_until IS NULL AND (due_at > ?1 + 60000 OR received_at > ?1)";
/// A job waits for its next attempt no longer than for its answer, or for the longest backoff. One that came in later than
/// now came in now: else each further look, as at a restart, would take from its time to answer once more.
pub(super) const REWIND_QUEUED: &str = "UPDATE jobs \
     SET due_at = ?1, received_at = min(received_at, ?1), \
     answer_by = min(answer_by, ?1 + (answer_by - received_at)) \
     WHERE state = 'queued' AND (due_at > ?1 + max(answer_by - received_at, 60000) OR received_at > ?1)";

/// The calendar went back: what waits for a moment that would have come by now is due.
///
/// It looks at all that waits, so it is only for when the clock was set, and for the start. [`Refresh`] has to follow.
///
/// [`Refresh`]: super::refresh::Refresh
pub(super) struct Rewind {
    pub(super) now: Timestamp,
}

impl Request for Rewind {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut Effects) -> Result<u64, StoreError> {
        let now = self.now.as_millis();
        let sent = sqlx::query(REWIND_DELIVERING).bind(now).execute(&mut *connection).await?;
        let queued = sqlx::query(REWIND_QUEUED).bind(now).execute(connection).await?;
        Ok(sent.rows_affected() + queued.rows_affected())
    }
}

/// What is deleted next, in the order of the index.
pub(super) const OLDEST_FINISHED: &str = concat!(
    "SELECT id, finished_at, state, account_id, ",
    body_bytes!(),
    " FROM jobs WHERE finished_at < ? ORDER BY finished_at, id LIMIT 0 + ?"
);
pub(super) const DELETE_FINISHED: &str =
    "DELETE FROM jobs WHERE finished_at <= ?1 AND (finished_at < ?1 OR id <= ?2)";
pub(super) const FORGET_KEYS: &str = "DELETE FROM idempotency_keys WHERE (account_id, key) IN ( \
     SELECT account_id, key FROM idempotency_keys WHERE expires_at < ? ORDER BY expires_at LIMIT ?)";

/// What one transaction of [`DeleteFinished`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Deleted {
    pub(super) jobs: u64,
    /// Whether there may be more to delete.
    pub(super) more: bool,
}

/// Deletes finished jobs, with their attempts; at most [`CHUNK`], and fewer where their bodies are large.
pub(super) struct DeleteFinished {
    pub(super) before: Timestamp,
}

impl Request for DeleteFinished {
    type Answer = Deleted;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        effects: &mut Effects,
    ) -> Result<Deleted, StoreError> {
        let rows = sqlx::query(OLDEST_FINISHED)
            .bind(self.before.as_millis())
            .bind(CHUNK)
            .fetch_all(&mut *connection)
            .await?;
        let (mut deleted, mut total, mut last) = (Deleted::default(), 0_i64, None);
        for row in &rows {
            let bytes: i64 = row.try_get(4)?;
            if last.is_some() && total.saturating_add(bytes) > CHUNK_BYTES {
                deleted.more = true;
                break;
            }
            total = total.saturating_add(bytes);
            last = Some((row.try_get::<i64, _>(1)?, row.try_get::<Uuid, _>(0)?));
            if let Ok(state) = row.try_get::<&str, _>(2)?.parse::<StateName>() {
                effects.count(state, -1);
            }
            effects.bytes.dropped(row.try_get(3)?, bytes);
            deleted.jobs += 1;
        }
        let Some((finished_at, id)) = last else { return Ok(deleted) };
        sqlx::query(DELETE_FINISHED).bind(finished_at).bind(id).execute(connection).await?;
        deleted.more |= deleted.jobs == CHUNK.unsigned_abs();
        Ok(deleted)
    }
}

/// Forgets idempotency keys whose tokens are refused by now; at most [`CHUNK`].
pub(super) struct ForgetKeys {
    pub(super) now: Timestamp,
}

impl Request for ForgetKeys {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut Effects) -> Result<u64, StoreError> {
        let deleted =
            sqlx::query(FORGET_KEYS).bind(self.now.as_millis()).bind(CHUNK).execute(connection).await?;
        Ok(deleted.rows_affected())
    }
}

/// Writes as much as a large request does: it needs the same room on the disk, and changes no job.
pub(super) struct Probe;

impl Request for Probe {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut Effects) -> Result<(), StoreError> {
        sqlx::query("UPDATE probe SET filler = randomblob(65536) WHERE id = 1").execute(connection).await?;
        Ok(())
    }
}
