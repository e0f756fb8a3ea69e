//! Finds the next jobs of a bulk change, on a read-only connection.

use std::time::Duration;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqlitePool};

use model::{AccountId, Entity, Filter, JobId, JobSummary, StateName};

use crate::records::kept_filter;
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::list::{self, Bounds, page};
use crate::sqlite::jobs::list_walk::Walk;
use crate::sqlite::write::account_bytes::body_bytes;
use crate::{Bulk, BulkAction, BulkPlan, Erasable, Erasure, JobFilter, Page, StoreError};

/// The number of matching jobs that one search returns.
const MATCHING_JOBS: u32 = 500;
/// The limits of one search for matching jobs. The next one continues where it stopped.
const MAX_SCANNED_JOBS: u32 = 100_000;
const MAX_SEARCH_TIME: Duration = Duration::from_secs(1);
/// About how many jobs one statement of a dry run reads, unless it has to read all unfinished ones.
const COUNTED_JOBS: i64 = 4_096;
/// The number of jobs that one search for an erasure reads.
const WINDOW_JOBS: i64 = 2_000;
/// The most jobs and bytes that one transaction changes, unless a single job has more. They bound the time for which
/// requests wait.
const MAX_CHANGED_JOBS: usize = 500;
const MAX_ERASED_JOBS: usize = 250;
const MAX_ERASED_BYTES: i64 = 2 << 20;

/// A job that the search has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) id: JobId,
    /// Its state at that moment.
    pub(super) state: StateName,
    /// The bytes of its bodies; 0 if they do not matter.
    pub(super) bytes: i64,
}

/// Some jobs of a bulk change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) jobs: Vec<Candidate>,
    /// The jobs before this one come next; `None` at the end.
    pub(super) next: Option<JobId>,
}

impl Batch {
    /// Splits the batch into parts of one transaction each. Each part says where the next one begins.
    pub(super) fn parts(self, action: BulkAction) -> Vec<Self> {
        let max_jobs = if action == BulkAction::Erase { MAX_ERASED_JOBS } else { MAX_CHANGED_JOBS };
        let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0_i64);
        for job in self.jobs {
            bytes = bytes.saturating_add(job.bytes);
            if part.len() >= max_jobs || (bytes > MAX_ERASED_BYTES && !part.is_empty()) {
                let next = part.last().map(|last: &Candidate| last.id);
                parts.push(Self { jobs: std::mem::take(&mut part), next });
                bytes = job.bytes;
            }
            part.push(job);
        }
        parts.push(Self { jobs: part, next: self.next });
        parts
    }
}

/// Why no jobs were found.
#[derive(Debug)]
pub(super) enum NotFound {
    /// The store could not be read.
    Store(StoreError),
    /// The filter could not be read: another version wrote it.
    Filter(String),
}

impl From<StoreError> for NotFound {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Finds the next jobs of a bulk change.
pub(super) async fn batch(engine: &Engine, bulk: &Bulk) -> Result<Batch, NotFound> {
    match bulk.action {
        BulkAction::Erase => {
            let erasure: Erasure = bulk.filter.parse().map_err(|why| NotFound::Filter(format!("{why}")))?;
            Ok(of(&engine.reading, erasure, bulk.before).await?)
        }
        BulkAction::Retry | BulkAction::Cancel => {
            let filter = kept_filter(&bulk.filter).map_err(|why| NotFound::Filter(format!("{why}")))?;
            let page = matching(engine, filter, bulk.before).await?;
            let candidate = |job: &JobSummary| Candidate { id: job.id, state: job.state, bytes: 0 };
            Ok(Batch { jobs: page.jobs.iter().map(candidate).collect(), next: page.next })
        }
    }
}

/// Returns the next jobs before `before` that `filter` matches.
async fn matching(engine: &Engine, filter: Filter, before: JobId) -> Result<Page, StoreError> {
    let elapsed = || engine.clock().elapsed();
    let bounds =
        Bounds { scan: MAX_SCANNED_JOBS, bytes: usize::MAX, time: MAX_SEARCH_TIME, elapsed: &elapsed };
    let asked = JobFilter { filter, before: Some(before), limit: MATCHING_JOBS };
    page(&engine.reading, &asked, engine.moment().steady, &bounds).await
}

/// Counts the jobs that `filter` matches and that `action` may change. Takes at most `within`.
pub(super) async fn plan(
    engine: &Engine,
    filter: &Filter,
    action: BulkAction,
    within: Duration,
) -> Result<BulkPlan, StoreError> {
    let began = engine.clock().elapsed();
    let now = engine.moment().steady;
    // A dead job without its bodies has nothing to send.
    let condition = if action == BulkAction::Retry { " AND data IS NOT NULL" } else { "" };
    let mut plan = BulkPlan::default();
    let mut walk = Walk::begin_to_count(&engine.reading, filter, None).await?;
    while let Some(stretch) = walk.next(&engine.reading, COUNTED_JOBS).await? {
        let mut counted = list::count(walk.source(), filter, now, condition, &stretch);
        for row in counted.build().fetch_all(&engine.reading).await? {
            let jobs = row.try_get::<i64, _>(1)?.unsigned_abs();
            let (oldest, newest) = (job_id(&row, 2)?, job_id(&row, 3)?);
            plan.jobs += jobs;
            *plan.accounts.entry(row.try_get(0)?).or_default() += jobs;
            plan.oldest = plan.oldest.map_or(Some(oldest), |known| Some(known.min(oldest)));
            plan.newest = plan.newest.max(Some(newest));
        }
        if stretch.is_last {
            break;
        }
        if engine.clock().elapsed().saturating_sub(began) >= within {
            return Err(StoreError::SlowFilter);
        }
        if walk.is_void() {
            walk = Walk::begin_to_count(&engine.reading, filter, stretch.oldest).await?;
        }
    }
    Ok(plan)
}

pub(crate) const WINDOW_END: &str = "SELECT id FROM jobs WHERE id < ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2";

/// Expands to the rest of a SELECT of the jobs of an erasure in one window.
macro_rules! of_erasure {
    () => {
        " FROM jobs WHERE id < ?1 AND id >= ?2 AND (?3 IS NULL OR (entity_type = ?3 AND entity_id = ?4)) \
         AND (?5 IS NULL OR account_id = ?5) "
    };
}

pub(crate) const OF: &str = concat!("SELECT id, state, ", body_bytes!(), of_erasure!(), "ORDER BY id DESC");
pub(crate) const ERASABLE: &str =
    concat!("SELECT account_id, finished_at IS NOT NULL, count(*)", of_erasure!(), "GROUP BY 1, 2");

/// The oldest possible id.
const OLDEST: JobId = JobId::from_uuid(uuid::Uuid::nil());
/// Greater than every id.
const NEWEST: JobId = JobId::from_uuid(uuid::Uuid::max());

/// Returns the oldest job of the window before `before`; `None` if the window reaches the oldest job of all.
async fn window_end(pool: &SqlitePool, before: JobId) -> Result<Option<JobId>, StoreError> {
    let query = sqlx::query(WINDOW_END).bind(before.as_uuid()).bind(WINDOW_JOBS);
    query.fetch_optional(pool).await?.as_ref().map(id_of).transpose()
}

fn id_of(row: &SqliteRow) -> Result<JobId, StoreError> {
    job_id(row, 0)
}

fn job_id(row: &SqliteRow, column: usize) -> Result<JobId, StoreError> {
    Ok(JobId::from_uuid(row.try_get(column)?))
}

async fn in_window(
    pool: &SqlitePool,
    sql: &'static str,
    erasure: Erasure,
    (before, oldest): (JobId, Option<JobId>),
) -> Result<Vec<SqliteRow>, StoreError> {
    let query = sqlx::query(sql)
        .bind(before.as_uuid())
        .bind(oldest.unwrap_or(OLDEST).as_uuid())
        .bind(erasure.entity().map(|Entity { kind, .. }| kind.code()))
        .bind(erasure.entity().map(|Entity { id, .. }| id))
        .bind(erasure.account_id().map(|AccountId(number)| number));
    Ok(query.fetch_all(pool).await?)
}

/// Finds the next jobs of an erasure.
async fn of(pool: &SqlitePool, erasure: Erasure, before: JobId) -> Result<Batch, StoreError> {
    let oldest = window_end(pool, before).await?;
    let rows = in_window(pool, OF, erasure, (before, oldest)).await?;
    let mut jobs = Vec::with_capacity(rows.len());
    for row in &rows {
        // A damaged state is found again, and reported, when the job is erased.
        let state = row.try_get::<&str, _>(1)?.parse().unwrap_or(StateName::Dead);
        jobs.push(Candidate { id: id_of(row)?, state, bytes: row.try_get(2)? });
    }
    Ok(Batch { jobs, next: oldest })
}

/// Counts the jobs of an erasure.
pub(super) async fn erasable(pool: &SqlitePool, erasure: Erasure) -> Result<Erasable, StoreError> {
    let mut found = Erasable::default();
    let mut before = NEWEST;
    loop {
        let oldest = window_end(pool, before).await?;
        for row in in_window(pool, ERASABLE, erasure, (before, oldest)).await? {
            let (account, is_finished): (i64, bool) = (row.try_get(0)?, row.try_get(1)?);
            let jobs = row.try_get::<i64, _>(2)?.unsigned_abs();
            *if is_finished { &mut found.finished } else { &mut found.unfinished } += jobs;
            *found.accounts.entry(account).or_default() += jobs;
        }
        let Some(next) = oldest else { return Ok(found) };
        before = next;
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;

    #[test]
    fn a_batch_is_split_into_small_transactions_that_follow_each_other() {
        let id = |number: u128| JobId::new(Timestamp::from_millis(0), number);
        let end = Some(id(9_999));
        for (action, sizes, expected) in [
            (BulkAction::Cancel, vec![0; 1_001], vec![500, 500, 1]),
            (BulkAction::Erase, vec![1; 251], vec![250, 1]),
            (BulkAction::Erase, vec![1 << 20; 5], vec![2, 2, 1]),
            (BulkAction::Erase, vec![3 << 20, 3 << 20, 1], vec![1, 1, 1]),
            (BulkAction::Erase, vec![], vec![0]),
        ] {
            let job =
                |(number, bytes): (u128, i64)| Candidate { id: id(number), state: StateName::Dead, bytes };
            let jobs: Vec<_> = (0..).zip(sizes).map(job).collect();
            let parts = Batch { jobs: jobs.clone(), next: end }.parts(action);
            assert_eq!(parts.iter().map(|part| part.jobs.len()).collect::<Vec<_>>(), expected);
            let (last, others) = parts.split_last().unwrap();
            assert_eq!(last.next, end);
            assert!(others.iter().all(|part| part.next == part.jobs.last().map(|job| job.id)));
            assert_eq!(parts.into_iter().flat_map(|part| part.jobs).collect::<Vec<_>>(), jobs);
        }
    }
}
