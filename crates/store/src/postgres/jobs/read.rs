//! Reads single jobs and statistics. Reads use connections of their own and never wait for the writer.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};

use model::{Attempt, JobId, JobRecord, StateName, Timestamp};

use crate::jobs::attempts::{self, AttemptRow};
use crate::jobs::rows;
use crate::postgres::engine::Engine;
use crate::postgres::jobs::row::columns;
use crate::postgres::jobs::snapshot::snapshot;
use crate::time::StoreClock;
use crate::{Stats, StoreError};

pub(crate) const JOB: &str = concat!("SELECT ", columns!(), " FROM jobs WHERE id = $1");
/// Selects the attempts of a job. Attempts of the handler come before those of the delivery, even if the calendar was set
/// back in between.
pub(crate) const ATTEMPTS: &str = "SELECT stage, number, started_at, duration_ms, result, status, error FROM attempts \
     WHERE job_id = $1 ORDER BY (stage = 'handler') DESC, number";

/// Returns one job with its attempts, oldest first.
pub(crate) async fn job(pool: &PgPool, id: JobId) -> Result<Option<(JobRecord, Vec<Attempt>)>, StoreError> {
    // One snapshot for both queries: a job's state must match its attempts.
    let mut snapshot = snapshot(pool).await?;
    let found = sqlx::query(JOB).bind(id.as_uuid()).fetch_optional(&mut *snapshot).await?;
    let Some(row) = found else { return Ok(None) };
    // First, because damage in this row may also show in the attempts.
    let record = rows::record(&row)?;
    let attempts = sqlx::query(ATTEMPTS).bind(id.as_uuid()).fetch_all(&mut *snapshot).await?;
    let attempts = attempts.iter().map(|row| attempt(id, row)).collect::<Result<_, _>>()?;
    Ok(Some((record, attempts)))
}

fn attempt(id: JobId, row: &PgRow) -> Result<Attempt, StoreError> {
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

/// Selects since when the oldest job has waited for a worker, and how many jobs wait for their turn. It reads all unfinished
/// jobs.
pub(crate) const OLDEST_QUEUED: &str = "SELECT min(waiting_since) FILTER (WHERE due_at IS NOT NULL), \
     count(*) FILTER (WHERE due_at IS NULL) FROM jobs WHERE ended IS NULL AND state = 'queued'";
pub(crate) const COUNTS: &str = "SELECT state, jobs FROM job_counts";
/// Selects the bytes of all accounts.
pub(crate) const BYTES: &str = "SELECT coalesce(sum(unfinished), 0)::bigint, coalesce(sum(stored), 0)::bigint \
     FROM account_bytes WHERE stored > 0";

/// Returns the number of jobs in each state that has a count.
pub(crate) async fn counts_of_states(
    connection: &mut PgConnection,
) -> Result<Vec<(StateName, i64)>, StoreError> {
    let rows = sqlx::query(COUNTS).fetch_all(connection).await?;
    let count = |row: &PgRow| {
        let state: &str = row.try_get(0)?;
        Ok(state.parse().ok().zip(Some(row.try_get(1)?)))
    };
    rows.iter().filter_map(|row| count(row).transpose()).collect()
}

/// Returns the number of jobs in each state.
fn counts(found: Vec<(StateName, i64)>) -> BTreeMap<StateName, u64> {
    let mut jobs: BTreeMap<StateName, u64> = StateName::ALL.into_iter().map(|state| (state, 0)).collect();
    jobs.extend(found.into_iter().map(|(state, jobs)| (state, u64::try_from(jobs).unwrap_or(0))));
    jobs
}

/// Returns the numbers of jobs and bytes in the store.
pub(crate) async fn stats(pool: &PgPool, clock: &StoreClock) -> Result<Stats, StoreError> {
    let mut snapshot = snapshot(pool).await?;
    let jobs = counts(counts_of_states(&mut snapshot).await?);
    let (oldest, in_line): (Option<i64>, i64) =
        sqlx::query_as(OLDEST_QUEUED).fetch_one(&mut *snapshot).await?;
    let (unfinished, stored): (i64, i64) = sqlx::query_as(BYTES).fetch_one(&mut *snapshot).await?;
    let now = clock.moment();
    let oldest_queued = oldest.map(|waiting_since| now.calendar_at(Timestamp::from_millis(waiting_since)));
    Ok(Stats {
        jobs,
        oldest_queued,
        waiting_for_turn: u64::try_from(in_line).unwrap_or(0),
        unfinished_bytes: u64::try_from(unfinished).unwrap_or(0),
        stored_bytes: u64::try_from(stored).unwrap_or(0),
    })
}

impl Engine {
    pub(crate) async fn job(&self, id: JobId) -> Result<Option<(JobRecord, Vec<Attempt>)>, StoreError> {
        let found = job(&self.reading, id).await?;
        Ok(found.map(|(record, attempts)| (self.moment().show(record), attempts)))
    }

    pub(crate) async fn counts(&self) -> Result<BTreeMap<StateName, u64>, StoreError> {
        let mut connection = self.reading.acquire().await?;
        Ok(counts(counts_of_states(&mut connection).await?))
    }

    pub(crate) async fn stats(&self) -> Result<Stats, StoreError> {
        stats(&self.reading, &self.time).await
    }
}
