//! Reads single jobs and statistics. Reads use connections of their own and never wait for the writer.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqlitePool};

use model::{Attempt, JobId, JobRecord, StateName, Timestamp};

use crate::jobs::attempts::{self, AttemptRow};
use crate::jobs::row::columns;
use crate::jobs::rows;
use crate::sqlite::engine::Engine;
use crate::sqlite::write::account_bytes;
use crate::time::StoreClock;
use crate::{Stats, StoreError};

pub(crate) const ATTEMPTS: &str = "SELECT stage, number, started_at, duration_ms, result, status, error FROM attempts \
     WHERE job_id = ? ORDER BY stage DESC, number";

/// Returns one job with its attempts, oldest first.
pub(crate) async fn job(
    pool: &SqlitePool,
    id: JobId,
) -> Result<Option<(JobRecord, Vec<Attempt>)>, StoreError> {
    // One snapshot for both queries: a job's state must match its attempts.
    let mut snapshot = pool.begin().await?;
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", error_group, data IS NULL AS bodies_dropped FROM jobs WHERE id = ?"
    );
    let found = sqlx::query(sql).bind(id.as_uuid()).fetch_optional(&mut *snapshot).await?;
    let Some(row) = found else { return Ok(None) };
    // First, because damage in this row may also show in the attempts.
    let record = rows::record(&row)?;
    // Attempts of the handler come before those of the delivery, even if the calendar was set back in between.
    let attempts = sqlx::query(ATTEMPTS).bind(id.as_uuid()).fetch_all(&mut *snapshot).await?;
    let attempts = attempts.iter().map(|row| attempt(id, row)).collect::<Result<_, _>>()?;
    Ok(Some((record, attempts)))
}

fn attempt(id: JobId, row: &SqliteRow) -> Result<Attempt, StoreError> {
    let row = AttemptRow {
        stage: row.try_get("stage")?,
        number: row.try_get("number")?,
        started_at: row.try_get("started_at")?,
        duration_ms: row.try_get("duration_ms")?,
        result: row.try_get("result")?,
        status: row.try_get("status")?,
        error: row.try_get("error")?,
    };
    attempts::attempt(id, row)
}

/// Selects since when the oldest job has waited for a worker, and how many jobs wait for their turn.
pub(crate) const OLDEST_QUEUED: &str = "SELECT min(CASE WHEN due_at IS NOT NULL THEN waiting_since END), \
     coalesce(sum(due_at IS NULL), 0) FROM jobs WHERE state = 'queued'";

/// Returns the number of jobs in each state.
async fn counts(pool: &SqlitePool) -> Result<BTreeMap<StateName, u64>, StoreError> {
    let mut jobs: BTreeMap<StateName, u64> = StateName::ALL.into_iter().map(|state| (state, 0)).collect();
    for row in sqlx::query("SELECT state, jobs FROM job_counts").fetch_all(pool).await? {
        let (state, count): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
        if let Ok(state) = state.parse() {
            jobs.insert(state, u64::try_from(count).unwrap_or(0));
        }
    }
    Ok(jobs)
}

/// Returns the numbers of jobs and bytes in the store.
pub(crate) async fn stats(pool: &SqlitePool, clock: &StoreClock) -> Result<Stats, StoreError> {
    let jobs = counts(pool).await?;
    let (oldest, in_line): (Option<i64>, i64) = sqlx::query_as(OLDEST_QUEUED).fetch_one(pool).await?;
    let bytes = account_bytes::totals(pool).await?;
    let now = clock.moment();
    let oldest_queued = oldest.map(|waiting_since| now.calendar_at(Timestamp::from_millis(waiting_since)));
    Ok(Stats {
        jobs,
        oldest_queued,
        waiting_for_turn: u64::try_from(in_line).unwrap_or(0),
        unfinished_bytes: bytes.unfinished,
        stored_bytes: bytes.stored,
    })
}

impl Engine {
    pub(crate) async fn job(&self, id: JobId) -> Result<Option<(JobRecord, Vec<Attempt>)>, StoreError> {
        let found = job(&self.reading, id).await?;
        Ok(found.map(|(record, attempts)| (self.moment().show(record), attempts)))
    }

    pub(crate) async fn counts(&self) -> Result<BTreeMap<StateName, u64>, StoreError> {
        counts(&self.reading).await
    }

    pub(crate) async fn stats(&self) -> Result<Stats, StoreError> {
        stats(&self.reading, &self.time).await
    }
}
