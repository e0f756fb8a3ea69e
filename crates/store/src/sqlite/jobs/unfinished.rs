//! Finds the unfinished jobs that have waited longest.
//!
//! No index has all unfinished jobs in the order of their receipt, and an index for that would cost every job a write. So
//! this reads the indexes that the queue and the sender need anyway, each up to a limit, and compares the ids, which begin
//! with the time of receipt. If an index contains more jobs, an older one may be among those that were not read. Then the
//! first jobs of an index are still good candidates: they are those with the earliest deadline, or due longest.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use model::{JobId, Timestamp};

use crate::jobs::rows::{self, SUMMARY};
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::row;
use crate::time::Moment;
use crate::{OldestUnfinished, StoreError, UnfinishedJob};

/// The maximum number of entries to read of each index, and of lanes.
pub(crate) const MAX_ENTRIES: u32 = 1_000;

/// Selects the oldest of the first entries of an index, and the number of these entries. SQLite reads an index in its
/// order, so it needs no ORDER BY for the first ones.
macro_rules! oldest_of {
    ($index:literal, $condition:literal) => {
        concat!(
            "SELECT id, count(*) OVER () FROM (SELECT id FROM jobs INDEXED BY ",
            $index,
            " WHERE ",
            $condition,
            " LIMIT 0 + ?1) ORDER BY id LIMIT 0 + ?2"
        )
    };
}

/// One statement for each index. Together, the indexes contain all unfinished jobs.
pub(crate) const INDEXES: [&str; 4] = [
    oldest_of!("jobs_overdue", "state = 'queued'"),
    oldest_of!("jobs_awaiting", "state = 'awaiting_callback'"),
    oldest_of!("jobs_leased", "lease_until IS NOT NULL"),
    oldest_of!("jobs_undelivered", "state = 'delivering' AND lease_until IS NULL"),
];

/// Selects the oldest first try of each lane, if there are too many deliveries to read all of them.
pub(crate) const FIRST_TRIES: &str = "WITH RECURSIVE lane (name) AS ( \
     SELECT min(origin) FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
     UNION ALL \
     SELECT (SELECT min(origin) FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
     AND origin > lane.name) FROM lane WHERE lane.name IS NOT NULL LIMIT 0 + ?1) \
     SELECT (SELECT id FROM jobs INDEXED BY jobs_young WHERE state = 'delivering' AND lease_until IS NULL \
     AND delivery_rank = 0 AND origin = lane.name ORDER BY waiting_since LIMIT 1) AS id FROM lane \
     WHERE name IS NOT NULL";

impl Engine {
    pub(crate) async fn oldest_unfinished(&self, limit: u32) -> Result<OldestUnfinished, StoreError> {
        let now = self.moment();
        // One snapshot, so that a job that changes its state in between is found once.
        let mut snapshot = self.reading.begin().await?;
        let (mut ids, mut is_exact) = (Vec::new(), true);
        for sql in INDEXES {
            let rows = sqlx::query(sql).bind(MAX_ENTRIES).bind(limit).fetch_all(&mut *snapshot).await?;
            let entries: i64 = rows.first().map_or(Ok(0), |row| row.try_get(1))?;
            is_exact &= entries < i64::from(MAX_ENTRIES);
            add(&mut ids, &rows)?;
        }
        if !is_exact {
            let rows = sqlx::query(FIRST_TRIES).bind(MAX_ENTRIES).fetch_all(&mut *snapshot).await?;
            add(&mut ids, &rows)?;
        }
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(OldestUnfinished { jobs: read(&mut snapshot, &ids, now).await?, is_exact })
    }
}

fn add(ids: &mut Vec<JobId>, rows: &[SqliteRow]) -> Result<(), StoreError> {
    for row in rows {
        ids.extend(row.try_get::<Option<uuid::Uuid>, _>(0)?.map(JobId::from_uuid));
    }
    Ok(())
}

async fn read(
    snapshot: &mut SqliteConnection,
    ids: &[JobId],
    now: Moment,
) -> Result<Vec<UnfinishedJob>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = QueryBuilder::<Sqlite>::new(format!(
        "SELECT {SUMMARY}, waiting_since, answer_by FROM jobs WHERE id IN ("
    ));
    let mut list = sql.separated(", ");
    for id in ids {
        list.push_bind(id.as_uuid());
    }
    let rows = sql.push(")").build().fetch_all(snapshot).await?;
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
