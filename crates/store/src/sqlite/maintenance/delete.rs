//! Deletes finished jobs and expired keys.

use std::time::Duration;

use uuid::Uuid;

use model::StateName;

use crate::maintenance::bodies::Walked;
use crate::maintenance::chunks::{CHUNK_BYTES, CHUNK_ROWS, CHUNKS_PER_TICK};
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::error_groups::DeleteErrorGroups;
use crate::sqlite::maintenance::keys::ForgetKeys;
use crate::sqlite::write::account_bytes::body_bytes;
use crate::sqlite::write::bind::{bind, execute};
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::time::{Cutoff, Moment};
use crate::{Retention, StoreError};

/// Selects the jobs to delete next, in the order of the index.
pub(crate) const OLDEST_FINISHED: &str = concat!(
    "SELECT id, finished_service_at, finished_at, state, account_id, ",
    body_bytes!(),
    " FROM jobs WHERE finished_service_at < :before_service AND finished_at < :before \
     ORDER BY finished_service_at, finished_at, id LIMIT 0 + :limit"
);
/// Deletes all jobs that [`OLDEST_FINISHED`] found, up to the row `:last_service`, `:last_finished`, `:last_id`.
pub(crate) const DELETE_FINISHED: &str = "DELETE FROM jobs WHERE finished_service_at <= :last_service \
     AND (finished_service_at, finished_at, id) <= (:last_service, :last_finished, :last_id) AND finished_at < :before";

/// The result of one transaction of [`DeleteFinished`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deleted {
    pub(crate) jobs: u64,
    /// Whether there may be more to delete.
    pub(crate) more: bool,
}

/// Deletes finished jobs with their attempts: at most [`CHUNK_ROWS`], and fewer if their bodies are large.
pub(crate) struct DeleteFinished {
    pub(crate) before: Cutoff,
}

impl Command for DeleteFinished {
    type Answer = Deleted;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Deleted, StoreError> {
        let mut oldest = transaction.prepare_cached(OLDEST_FINISHED)?;
        bind!(oldest, OLDEST_FINISHED, {
            "before_service" => self.before.service.as_millis(),
            "before" => self.before.calendar.as_millis(),
            "limit" => CHUNK_ROWS,
        });
        let (mut deleted, mut total, mut last) = (Deleted::default(), 0_i64, None);
        let mut rows = oldest.raw_query();
        while let Some(row) = rows.next()? {
            let bytes: i64 = row.get(5)?;
            if last.is_some() && total.saturating_add(bytes) > CHUNK_BYTES {
                deleted.more = true;
                break;
            }
            total = total.saturating_add(bytes);
            last = Some((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get::<_, Uuid>(0)?));
            let post_commit = &mut transaction.post_commit;
            if let Ok(state) = row.get::<_, String>(3)?.parse::<StateName>() {
                post_commit.count(state, -1);
            }
            post_commit.bytes.dropped(row.get(4)?, bytes);
            deleted.jobs += 1;
        }
        drop(rows);
        let Some((service_at, finished_at, id)) = last else { return Ok(deleted) };
        execute!(transaction, DELETE_FINISHED, {
            "last_service" => service_at,
            "last_finished" => finished_at,
            "last_id" => id,
            "before" => self.before.calendar.as_millis(),
        });
        deleted.more |= deleted.jobs == CHUNK_ROWS.unsigned_abs();
        Ok(deleted)
    }
}

impl Engine {
    /// Deletes jobs and keys that are old enough, up to [`CHUNKS_PER_TICK`] chunks of each, and drops old bodies.
    /// Returns whether there may be more.
    pub(crate) async fn delete(
        &self,
        walked: &mut Walked,
        now: Moment,
        retention: Retention,
    ) -> Result<bool, StoreError> {
        let (mut jobs, mut keys) = (true, true);
        let (before, over) = (now.cutoff(retention.jobs), now.cutoff(Duration::ZERO));
        for _ in 0..CHUNKS_PER_TICK {
            jobs = jobs && self.execute(DeleteFinished { before }).await?.more;
            keys = keys && self.execute(ForgetKeys { now: over }).await? == CHUNK_ROWS.unsigned_abs();
        }
        self.execute(DeleteErrorGroups { before }).await?;
        // If bodies are kept as long as their jobs, they were deleted with them.
        let bodies =
            retention.bodies < retention.jobs && self.drop_aged(walked, now.cutoff(retention.bodies)).await?;
        Ok(jobs || keys || bodies)
    }
}
