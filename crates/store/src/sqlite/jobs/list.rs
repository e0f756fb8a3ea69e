//! Lists jobs, newest first, in bounded time and memory.
//!
//! A list reads bodies only if it searches for a text. If a filter skips jobs, the list reads one window of jobs after
//! another until the page is full, it has read the maximum number of jobs, or its time has run out. The page says where to
//! continue, and why the search stopped early. The windows contain only jobs that the [`Source`] leaves. Only two lists run
//! at a time, so that connections remain for reading single jobs and statistics.

use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};
use tokio::sync::SemaphorePermit;

use model::{Filter, JobId, JobSummary, Timestamp};

use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::filter_sql;
use crate::sqlite::jobs::list_source::{self, Source};
use crate::sqlite::jobs::list_walk::{Parts, Stretch, Walk};
use crate::sqlite::jobs::rows::{self, SUMMARY};
use crate::{JobFilter, Page, Stopped, StoreError};

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
    /// The maximum number of jobs to read if a filter matches few of them.
    pub(crate) scan: u32,
    /// The bytes after which the page is full. The last job may exceed them.
    pub(crate) bytes: usize,
    /// The time after which no further window begins.
    pub(crate) time: Duration,
    /// Returns the elapsed time.
    pub(crate) elapsed: &'b (dyn Fn() -> Duration + Send + Sync),
}

/// The bounds of every list.
const MAX_SCANNED_JOBS: u32 = 100_000;
const MAX_PAGE_BYTES: usize = 1 << 20;
const MAX_PAGE_TIME: Duration = Duration::from_secs(1);

impl Engine {
    pub(crate) async fn list_jobs(&self, filter: &JobFilter) -> Result<Page, StoreError> {
        let _permit = self.list_permit().await?;
        let elapsed = || self.clock().elapsed();
        let bounds =
            Bounds { scan: MAX_SCANNED_JOBS, bytes: MAX_PAGE_BYTES, time: MAX_PAGE_TIME, elapsed: &elapsed };
        let now = self.moment();
        let mut page = page(&self.reading, filter, now.steady, &bounds).await?;
        page.jobs = page.jobs.into_iter().map(|job| now.show_summary(job)).collect();
        Ok(page)
    }

    pub(crate) async fn list_permit(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        tokio::select! {
            biased;
            permit = self.lists.acquire() => permit.map_err(|_| StoreError::Closed),
            () = self.clock().sleep(LIST_PERMIT_TIMEOUT) => Err(StoreError::TooManyLists),
        }
    }
}

/// Lists jobs within `bounds`. `now` is a moment of the steady clock.
pub(crate) async fn page(
    pool: &SqlitePool,
    asked: &JobFilter,
    now: Timestamp,
    bounds: &Bounds<'_>,
) -> Result<Page, StoreError> {
    let began = (bounds.elapsed)();
    let limit = asked.limit.max(1);
    let mut walk = Walk::begin(pool, &asked.filter, asked.before).await?;
    let mut window = WINDOW_JOBS.0;
    let mut left = i64::from(bounds.scan);
    let mut read = 0;
    let mut filling = Filling { jobs: Vec::new(), rows: 0, bytes: 0 };
    loop {
        let window_began = (bounds.elapsed)();
        let Some(stretch) = walk.next(pool, window.min(left)).await? else {
            return Ok(Page { jobs: filling.jobs, next: None, stopped: None });
        };
        let query = select(walk.source(), &asked.filter, now, limit - filling.rows, &stretch);
        let last = filling.fill(pool, query, limit, bounds.bytes).await?;
        // The page is full, or the list has reached the oldest job.
        if last.is_some() || stretch.is_last {
            return Ok(Page { jobs: filling.jobs, next: last, stopped: None });
        }
        left -= stretch.cost();
        read += stretch.jobs;
        let passed = (bounds.elapsed)();
        let stopped = if left <= 0 {
            Some(Stopped::Jobs(u32::try_from(read).unwrap_or(u32::MAX).min(bounds.scan)))
        } else {
            (passed.saturating_sub(began) >= bounds.time || walk.is_void()).then_some(Stopped::Time)
        };
        if stopped.is_some() {
            return Ok(Page { jobs: filling.jobs, next: stretch.oldest, stopped });
        }
        let quick = passed.saturating_sub(window_began) < SHORT_WINDOW;
        window = if quick { window * 2 } else { window / 2 }.clamp(WINDOW_JOBS.0, WINDOW_JOBS.1);
    }
}

/// A page that is not full yet.
struct Filling {
    jobs: Vec<JobSummary>,
    /// The number of rows read, including those that cannot be decoded.
    rows: u32,
    bytes: usize,
}

impl Filling {
    /// Adds the jobs that `query` finds. Returns the last job once the page is full.
    async fn fill(
        &mut self,
        pool: &SqlitePool,
        mut query: QueryBuilder<Sqlite>,
        limit: u32,
        max_bytes: usize,
    ) -> Result<Option<JobId>, StoreError> {
        // Read rows one by one, so that only the jobs of the page are in memory.
        let mut found = query.build().fetch(pool);
        while let Some(row) = found.try_next().await? {
            self.rows += 1;
            if let Some(job) = rows::readable(std::slice::from_ref(&row), rows::summary).pop() {
                let texts = job.return_url.as_str().len() + job.last_error.as_ref().map_or(0, String::len);
                self.bytes += JOB_BYTES + texts;
                self.jobs.push(job);
            }
            if self.rows >= limit || self.bytes >= max_bytes {
                return id_of(&row).map(Some);
            }
        }
        Ok(None)
    }
}

/// Selects the jobs of a stretch that match `filter`.
pub(crate) fn select(
    source: &Source,
    filter: &Filter,
    now: Timestamp,
    limit: u32,
    stretch: &Stretch,
) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(format!("SELECT {SUMMARY}"));
    push_from(&mut sql, source, filter, now, stretch, Some(limit));
    sql.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
    sql
}

/// Counts the jobs of a stretch that match `filter`, and of which `condition` is true, for each account, and selects the
/// oldest and the newest of them.
pub(crate) fn count(
    source: &Source,
    filter: &Filter,
    now: Timestamp,
    condition: &'static str,
    stretch: &Stretch,
) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new("SELECT account_id, count(*), min(id), max(id)");
    push_from(&mut sql, source, filter, now, stretch, None);
    sql.push(condition).push(" GROUP BY account_id");
    sql
}

/// Adds the rest of a SELECT of the jobs of a stretch that match `filter`, at least of the newest `limit` of them.
fn push_from(
    sql: &mut QueryBuilder<Sqlite>,
    source: &Source,
    filter: &Filter,
    now: Timestamp,
    stretch: &Stretch,
    limit: Option<u32>,
) {
    let Stretch { before, oldest, .. } = *stretch;
    let json = |ids: Vec<String>| serde_json::Value::from(ids).to_string();
    match &stretch.parts {
        Parts::Ids(ids) => {
            let ids = ids.iter().map(|id| id.simple().to_string()).collect();
            sql.push(" FROM jobs WHERE id IN (SELECT unhex(value) FROM json_each(")
                .push_bind(json(ids))
                .push("))");
            filter_sql::push(sql, filter, now);
            return;
        }
        // A single one is the range itself.
        Parts::Spans(spans) if spans.len() > 1 => {
            let ids =
                spans.iter().map(|span| format!("{}{}", span.from.simple(), span.below.simple())).collect();
            sql.push(
                " FROM (SELECT unhex(substr(value, 1, 32)) AS span_from, unhex(substr(value, 33)) AS span_below FROM json_each(",
            );
            sql.push_bind(json(ids)).push(")) CROSS JOIN jobs WHERE id >= span_from AND id < span_below");
            filter_sql::push(sql, filter, now);
            return;
        }
        Parts::All | Parts::Spans(_) => {}
    }
    match source {
        Source::Union(_) => {
            // The filter is inside, so that the rest reads only the jobs of the page.
            sql.push(" FROM jobs WHERE id IN (");
            source.push(sql, before, oldest, |sql| filter_sql::push(sql, filter, now));
            if let Some(limit) = limit {
                sql.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
            }
            sql.push(")");
        }
        _ => {
            let (index, condition) = match source {
                Source::Ordered(part) => *part,
                _ => ("", "true"),
            };
            sql.push(format!(" FROM jobs {} WHERE {condition}", list_source::by(index)));
            list_source::push_range(sql, before, oldest);
            filter_sql::push(sql, filter, now);
        }
    }
}

pub(crate) fn id_of(row: &SqliteRow) -> Result<JobId, StoreError> {
    Ok(JobId::from_uuid(row.try_get("id")?))
}
