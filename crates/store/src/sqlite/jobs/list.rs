//! Lists jobs, newest first, in bounded time and memory.
//!
//! A list reads bodies only if it searches for a text. If a filter skips jobs, the list scans one window of jobs after
//! another until the page is full, it has scanned the maximum number of jobs, or its time has run out. The page says
//! where to continue, and whether the search stopped early. For unfinished and dead jobs, the windows contain only jobs
//! in that state ([`Source`]). Only two lists run at a time, so that connections remain for reading single jobs and
//! statistics.

use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};
use tokio::sync::SemaphorePermit;

use model::{AccountId, JobId, JobPrefix, JobSummary, OutcomeName, StateName};

use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::list_source::Source;
use crate::sqlite::jobs::rows::{self, SUMMARY};
use crate::{JobFilter, Page, StoreError};

/// The maximum number of lists that run at the same time.
pub(crate) const MAX_CONCURRENT_LISTS: usize = 2;
/// How long a list waits for a permit before it fails.
const LIST_PERMIT_TIMEOUT: Duration = Duration::from_secs(2);
/// The smallest and the largest size of a window, in jobs. The list checks the time after each window.
const WINDOW_JOBS: (i64, i64) = (32, 4_096);
/// If a window takes less time than this, the next one is larger; otherwise smaller.
const SHORT_WINDOW: Duration = Duration::from_millis(50);
/// The approximate bytes that a job takes on a page, apart from its texts.
const JOB_BYTES: usize = 512;

/// The limits on the cost of a page.
pub(crate) struct Bounds<'b> {
    /// The maximum number of jobs to scan if a filter matches few of them.
    pub(crate) scan: i64,
    /// The bytes after which the page is full. The last job may exceed them.
    pub(crate) bytes: usize,
    /// The time after which no further window begins.
    pub(crate) time: Duration,
    /// Returns the elapsed time.
    pub(crate) elapsed: &'b (dyn Fn() -> Duration + Send + Sync),
}

/// The bounds of every list.
const MAX_SCANNED_JOBS: i64 = 20_000;
const MAX_PAGE_BYTES: usize = 1 << 20;
const MAX_PAGE_TIME: Duration = Duration::from_secs(1);

impl Engine {
    pub(crate) async fn list_jobs(&self, filter: &JobFilter) -> Result<Page, StoreError> {
        let _permit = self.list_permit().await?;
        let elapsed = || self.clock().elapsed();
        let bounds =
            Bounds { scan: MAX_SCANNED_JOBS, bytes: MAX_PAGE_BYTES, time: MAX_PAGE_TIME, elapsed: &elapsed };
        let mut page = page(&self.reading, filter, &bounds).await?;
        let now = self.moment();
        page.jobs = page.jobs.into_iter().map(|job| now.show_summary(job)).collect();
        Ok(page)
    }

    async fn list_permit(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        tokio::select! {
            biased;
            permit = self.lists.acquire() => permit.map_err(|_| StoreError::Closed),
            () = self.clock().sleep(LIST_PERMIT_TIMEOUT) => Err(StoreError::TooManyLists),
        }
    }
}

/// Lists jobs within `bounds`.
pub(crate) async fn page(
    pool: &SqlitePool,
    filter: &JobFilter,
    bounds: &Bounds<'_>,
) -> Result<Page, StoreError> {
    let began = (bounds.elapsed)();
    let source = Source::of(pool, filter.state).await?;
    if source == Source::Nothing {
        return Ok(Page { jobs: Vec::new(), next: None, stopped: false });
    }
    let (mut filter, at_once) = (filter.clone(), finds_at_once(filter));
    filter.limit = filter.limit.max(1);
    let mut window = match source {
        // Each window scans the whole index, so the first one should fill the page.
        Source::Indexes(_) => i64::from(filter.limit).clamp(WINDOW_JOBS.0, WINDOW_JOBS.1),
        _ => WINDOW_JOBS.0,
    };
    let mut left = bounds.scan;
    let mut filling = Filling { jobs: Vec::new(), rows: 0, bytes: 0 };
    loop {
        let window_began = (bounds.elapsed)();
        let size = window.min(left);
        let oldest = if at_once { None } else { window_end(pool, source, filter.before, size).await? };
        let last = filling.fill(pool, source, &filter, oldest, bounds.bytes).await?;
        // The page is full, or the list has reached the oldest job.
        if last.is_some() || oldest.is_none() {
            return Ok(Page { jobs: filling.jobs, next: last, stopped: false });
        }
        left -= size;
        let now = (bounds.elapsed)();
        if left <= 0 || now.saturating_sub(began) >= bounds.time {
            return Ok(Page { jobs: filling.jobs, next: oldest, stopped: true });
        }
        let quick = now.saturating_sub(window_began) < SHORT_WINDOW;
        window = if quick { window * 2 } else { window / 2 }.clamp(WINDOW_JOBS.0, WINDOW_JOBS.1);
        filter.before = oldest;
    }
}

/// Whether the list skips no rows: it has no condition, or an index in its own order.
fn finds_at_once(filter: &JobFilter) -> bool {
    let JobFilter { state, handler, account_id, outcome, text, before: _, limit: _ } = filter;
    matches!((state, outcome), (None | Some(StateName::Dead), None) | (None, Some(OutcomeName::Fallback)))
        && handler.is_none()
        && account_id.is_none()
        && text.is_none()
}

/// A page that is not full yet.
struct Filling {
    jobs: Vec<JobSummary>,
    /// The number of rows read, including those that cannot be decoded.
    rows: u32,
    bytes: usize,
}

impl Filling {
    /// Adds the jobs that `filter` matches, down to `oldest`. Returns the last job once the page is full.
    async fn fill(
        &mut self,
        pool: &SqlitePool,
        source: Source,
        filter: &JobFilter,
        oldest: Option<JobId>,
        max_bytes: usize,
    ) -> Result<Option<JobId>, StoreError> {
        let mut query = select(source, filter, filter.limit - self.rows, oldest);
        // Read rows one by one, so that only the jobs of the page are in memory.
        let mut found = query.build().fetch(pool);
        while let Some(row) = found.try_next().await? {
            self.rows += 1;
            if let Some(job) = rows::readable(std::slice::from_ref(&row), rows::summary).pop() {
                let texts = job.return_url.as_str().len() + job.last_error.as_ref().map_or(0, String::len);
                self.bytes += JOB_BYTES + texts;
                self.jobs.push(job);
            }
            if self.rows >= filter.limit || self.bytes >= max_bytes {
                return id_of(&row).map(Some);
            }
        }
        Ok(None)
    }
}

pub(crate) fn select(
    source: Source,
    filter: &JobFilter,
    limit: u32,
    oldest: Option<JobId>,
) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(format!("SELECT {SUMMARY} FROM jobs WHERE true"));
    if let Some(before) = filter.before {
        sql.push(" AND id < ").push_bind(before.as_uuid());
    }
    if let Some(oldest) = oldest {
        sql.push(" AND id >= ").push_bind(oldest.as_uuid());
    }
    if !matches!(source, Source::All) && filter.state != Some(StateName::Dead) {
        sql.push(" AND id IN (");
        source.push(&mut sql, filter.before, oldest);
        sql.push(")");
    }
    if let Some(state) = filter.state {
        // Written as a literal, because SQLite uses a partial index only if its condition is in the statement.
        sql.push(format!(" AND state = '{state}'"));
    }
    if let Some(outcome) = filter.outcome {
        // A literal for the same reason. If both indexes fit, `jobs_dead` has fewer entries.
        let column = if filter.state == Some(StateName::Dead) { "+outcome" } else { "outcome" };
        sql.push(format!(" AND {column} = '{}'", outcome.as_str()));
    }
    if let Some(handler) = &filter.handler {
        // The plus keeps SQLite from using the queue's index, whose rows it would have to sort.
        sql.push(" AND +handler = ").push_bind(handler.as_str().to_owned());
    }
    if let Some(AccountId(account)) = filter.account_id {
        sql.push(" AND account_id = ").push_bind(account);
    }
    if let Some(text) = &filter.text {
        // The body comes last, because only a body can take long to read.
        sql.push(" AND (instr(return_url, ").push_bind(text.clone());
        sql.push(") OR instr(coalesce(last_error, ''), ").push_bind(text.clone()).push(")");
        if let Ok(number) = text.parse::<i64>() {
            sql.push(" OR entity_id = ").push_bind(number).push(" OR account_id = ").push_bind(number);
        }
        if let Ok(prefix) = text.parse::<JobPrefix>() {
            let (first, last) = prefix.range();
            // The plus makes SQLite check this on each row, like the other conditions, instead of searching the range.
            sql.push(" OR +id BETWEEN ").push_bind(first.as_uuid()).push(" AND ").push_bind(last.as_uuid());
        }
        sql.push(" OR instr(coalesce(data, ''), ").push_bind(text.clone()).push("))");
    }
    sql.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
    sql
}

/// Returns the oldest job of a window of `size` + 1 jobs; `None` if fewer remain.
async fn window_end(
    pool: &SqlitePool,
    source: Source,
    before: Option<JobId>,
    size: i64,
) -> Result<Option<JobId>, StoreError> {
    window(source, before, size).build().fetch_optional(pool).await?.as_ref().map(id_of).transpose()
}

pub(crate) fn window(source: Source, before: Option<JobId>, size: i64) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::<Sqlite>::new("");
    source.push(&mut query, before, None);
    query.push(" ORDER BY id DESC LIMIT 1 OFFSET ").push_bind(size);
    query
}

fn id_of(row: &SqliteRow) -> Result<JobId, StoreError> {
    Ok(JobId::from_uuid(row.try_get("id")?))
}
