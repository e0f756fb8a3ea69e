//! Listing jobs, newest first, in bounded time and memory.
//!
//! A list reads no body, unless it searches for a text. Where a filter skips jobs, the list looks through one window of jobs
//! after the other until the page is full or its time is over; the page then says where to go on, and whether the search
//! stopped early. Of unfinished and dead jobs the windows hold no others ([`Source`]). Only two lists run at a time, so that
//! connections are left for reading single jobs and the statistics.

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

/// Lists that run at once.
pub(crate) const MAX_CONCURRENT_LISTS: usize = 2;
/// How long a further list waits for a permit.
const LIST_PERMIT_TIMEOUT: Duration = Duration::from_secs(2);
/// Jobs that a page looks through first, and at most, before it looks at the time.
const WINDOW_JOBS: (i64, i64) = (32, 4_096);
/// A window that takes less is followed by a larger one.
const SHORT_WINDOW: Duration = Duration::from_millis(50);
/// What a job takes beside its texts, roughly, in a page.
const JOB_BYTES: usize = 512;

/// What a page may cost.
pub(crate) struct Bounds<'b> {
    /// Jobs that it looks through when a filter matches few of them.
    pub(crate) scan: i64,
    /// Bytes of its texts, and one job more.
    pub(crate) bytes: usize,
    /// After that it begins no further window.
    pub(crate) time: Duration,
    /// The time.
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
            turn = self.lists.acquire() => turn.map_err(|_| StoreError::Closed),
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
        // Each window costs a look at the whole index, so the first one should fill the page.
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
        // Full, or at the end of all jobs.
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

/// Whether the list skips no row: it has no condition, or an index in its own order.
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
    /// Also those that cannot be read.
    rows: u32,
    bytes: usize,
}

impl Filling {
    /// Adds what `filter` finds down to `oldest`. Gives the last job once the page is full.
    async fn fill(
        &mut self,
        pool: &SqlitePool,
        source: Source,
        filter: &JobFilter,
        oldest: Option<JobId>,
        most: usize,
    ) -> Result<Option<JobId>, StoreError> {
        let mut query = select(source, filter, filter.limit - self.rows, oldest);
        // One by one: a page must not hold more than it shows.
        let mut found = query.build().fetch(pool);
        while let Some(row) = found.try_next().await? {
            self.rows += 1;
            if let Some(job) = rows::readable(std::slice::from_ref(&row), rows::summary).pop() {
                let texts = job.return_url.as_str().len() + job.last_error.as_ref().map_or(0, String::len);
                self.bytes += JOB_BYTES + texts;
                self.jobs.push(job);
            }
            if self.rows >= filter.limit || self.bytes >= most {
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
        // Written out, because a partial index is only used where its condition is in the statement.
        sql.push(format!(" AND state = '{state}'"));
    }
    if let Some(outcome) = filter.outcome {
        // Written out for the same reason; and `jobs_dead` finds fewer where both would do.
        let column = if filter.state == Some(StateName::Dead) { "+outcome" } else { "outcome" };
        sql.push(format!(" AND {column} = '{}'", outcome.as_str()));
    }
    if let Some(handler) = &filter.handler {
        // With a plus no index is used: that of the queue would have to be sorted as a whole.
        sql.push(" AND +handler = ").push_bind(handler.as_str().to_owned());
    }
    if let Some(AccountId(account)) = filter.account_id {
        sql.push(" AND account_id = ").push_bind(account);
    }
    if let Some(text) = &filter.text {
        // The body comes last: it alone may be long to read.
        sql.push(" AND (instr(return_url, ").push_bind(text.clone());
        sql.push(") OR instr(coalesce(last_error, ''), ").push_bind(text.clone()).push(")");
        if let Ok(number) = text.parse::<i64>() {
            sql.push(" OR entity_id = ").push_bind(number).push(" OR account_id = ").push_bind(number);
        }
        if let Ok(prefix) = text.parse::<JobPrefix>() {
            let (first, last) = prefix.range();
            // With a plus it is a condition of each row, as the others are, and not a range to search in.
            sql.push(" OR +id BETWEEN ").push_bind(first.as_uuid()).push(" AND ").push_bind(last.as_uuid());
        }
        sql.push(" OR instr(coalesce(data, ''), ").push_bind(text.clone()).push("))");
    }
    sql.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
    sql
}

/// The last row of a window of `size` rows, and one more; none if it reaches to the last of all.
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
