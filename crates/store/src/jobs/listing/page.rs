//! Lists jobs, newest first, in bounded time and memory.
//!
//! A list reads bodies only if it searches for a text. If a filter skips jobs, the list reads one window of jobs after
//! another until the page is full, it has read the maximum number of jobs, or its time has run out. The page says where to
//! continue, and why the search stopped early. The windows contain only jobs that the [`Source`](super::source::Source)
//! leaves.

use std::time::Duration;

use model::{JobSummary, Timestamp};

use super::walk::{ListReads, Selected, Walk};
use crate::{JobFilter, Page, Stopped, StoreError};

/// The maximum number of lists that run at the same time, so that connections remain for reading single jobs and
/// statistics.
pub(crate) const MAX_CONCURRENT_LISTS: usize = 2;
/// How long a list waits for a permit before it fails.
pub(crate) const LIST_PERMIT_TIMEOUT: Duration = Duration::from_secs(2);
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

impl<'b> Bounds<'b> {
    /// The bounds of every list.
    pub(crate) fn of_list(elapsed: &'b (dyn Fn() -> Duration + Send + Sync)) -> Self {
        Self { scan: 100_000, bytes: 1 << 20, time: Duration::from_secs(1), elapsed }
    }
}

/// Lists jobs within `bounds`. `now` is a moment of the steady clock.
pub(crate) async fn page(
    reads: &mut impl ListReads,
    asked: &JobFilter,
    now: Timestamp,
    bounds: &Bounds<'_>,
) -> Result<Page, StoreError> {
    let began = (bounds.elapsed)();
    let limit = asked.limit.max(1);
    let mut walk = Walk::begin(reads, &asked.filter, asked.before).await?;
    let mut window = WINDOW_JOBS.0;
    let mut left = i64::from(bounds.scan);
    let mut read = 0;
    let mut filling = Filling { jobs: Vec::new(), rows: 0, bytes: 0, limit, max_bytes: bounds.bytes };
    loop {
        let window_began = (bounds.elapsed)();
        let Some(stretch) = walk.next(reads, window.min(left)).await? else {
            return Ok(Page { jobs: filling.jobs, next: None, stopped: None });
        };
        let selected = Selected {
            source: walk.source(),
            filter: &asked.filter,
            now,
            limit: limit - filling.rows,
            stretch: &stretch,
        };
        let last = reads.fill(selected, &mut filling).await?;
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
pub(crate) struct Filling {
    jobs: Vec<JobSummary>,
    /// The number of rows read, including those that cannot be decoded.
    rows: u32,
    bytes: usize,
    limit: u32,
    max_bytes: usize,
}

impl Filling {
    /// Adds the job of a row; `None` if the row cannot be decoded. Returns whether the page is full.
    pub(crate) fn add(&mut self, job: Option<JobSummary>) -> bool {
        self.rows += 1;
        if let Some(job) = job {
            let texts = job.return_url.as_str().len() + job.last_error.as_ref().map_or(0, String::len);
            self.bytes += JOB_BYTES + texts;
            self.jobs.push(job);
        }
        self.rows >= self.limit || self.bytes >= self.max_bytes
    }
}
