//! Finds the unfinished jobs that have waited longest.
//!
//! Ids begin with the time of receipt, but the index of unfinished jobs is in no order of time, and an index in that order
//! would cost every job another write. So this reads the index up to a limit. If it contains more jobs, those that were
//! read are a random sample, because the index has the order of a hash. An older job is then likely among the jobs that
//! were received directly before the oldest one of the sample, so this reads some of them too.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use model::Timestamp;

use crate::jobs::rows;
use crate::postgres::engine::Engine;
use crate::postgres::jobs::row::{self, SUMMARY};
use crate::postgres::jobs::snapshot::snapshot;
use crate::time::Moment;
use crate::{OldestUnfinished, StoreError, UnfinishedJob};

/// The maximum number of entries of the index to read, and of jobs before the oldest one of them.
pub(crate) const MAX_ENTRIES: i64 = 5_000;

/// Selects the oldest of the first entries of the index, and the number of these entries.
pub(crate) const SAMPLE: &str = "SELECT id, count(*) OVER () FROM (SELECT id FROM jobs WHERE ended IS NULL \
     ORDER BY hashtextextended(return_url, 0) LIMIT $1) AS entries ORDER BY id LIMIT $2";

/// Selects unfinished jobs among those that were received before a job.
pub(crate) const BEFORE: &str = "SELECT id FROM (SELECT id, ended FROM jobs WHERE id < $1 ORDER BY id DESC LIMIT $2) \
     AS before WHERE ended IS NULL";

/// Selects jobs by their ids.
pub(crate) fn by_ids() -> String {
    format!("SELECT {SUMMARY}, jobs.waiting_since, jobs.answer_by FROM jobs WHERE id = ANY($1)")
}

impl Engine {
    pub(crate) async fn oldest_unfinished(&self, limit: u32) -> Result<OldestUnfinished, StoreError> {
        let now = self.moment();
        // One snapshot, so that a job that changes its state in between is found once.
        let mut snapshot = snapshot(&self.reading).await?;
        let rows = sqlx::query(SAMPLE).bind(MAX_ENTRIES).bind(i64::from(limit));
        let rows = rows.fetch_all(&mut *snapshot).await?;
        let entries: i64 = rows.first().map_or(Ok(0), |row| row.try_get(1))?;
        let is_exact = entries < MAX_ENTRIES;
        let mut ids = ids(&rows)?;
        if let (false, Some(oldest)) = (is_exact, ids.first()) {
            let rows = sqlx::query(BEFORE).bind(*oldest).bind(MAX_ENTRIES).fetch_all(&mut *snapshot).await?;
            ids.extend(self::ids(&rows)?);
            ids.sort_unstable();
            ids.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        Ok(OldestUnfinished { jobs: read(&mut snapshot, ids, now).await?, is_exact })
    }
}

fn ids(rows: &[PgRow]) -> Result<Vec<Uuid>, StoreError> {
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

async fn read(
    snapshot: &mut PgConnection,
    ids: Vec<Uuid>,
    now: Moment,
) -> Result<Vec<UnfinishedJob>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(AssertSqlSafe(by_ids())).bind(ids).fetch_all(snapshot).await?;
    let mut jobs = Vec::with_capacity(rows.len());
    for row in &rows {
        let at = |column: &str| Ok::<_, StoreError>(now.shown(Timestamp::from_millis(row.try_get(column)?)));
        let (since, answer_by) = (at("waiting_since")?, at("answer_by")?);
        let job = row::readable(std::slice::from_ref(row), rows::summary).pop();
        jobs.extend(job.map(|job| UnfinishedJob { job: now.show_summary(job), since, answer_by }));
    }
    jobs.sort_by_key(|one| (one.since, one.job.id));
    Ok(jobs)
}
