//! Bulk changes, for any engine: which jobs a search looks for, how many jobs one transaction changes, and what a row
//! contains.

use std::time::Duration;

use uuid::Uuid;

use model::{Filter, JobId, JobSummary, StateName};

use super::actions::actor;
use super::row::Columns;
use super::table_row::TableRow;
use crate::records::kept_filter;
use crate::{ActionResult, Bulk, BulkAction, Erasable, Erasure, Page, StoreError};

/// The number of matching jobs that one search returns.
pub(crate) const MATCHING_JOBS: u32 = 500;
/// The limits of one search for matching jobs. The next one continues where it stopped.
pub(crate) const MAX_SCANNED_JOBS: u32 = 100_000;
pub(crate) const MAX_SEARCH_TIME: Duration = Duration::from_secs(1);
/// The number of jobs that one search for an erasure reads.
pub(crate) const WINDOW_JOBS: i64 = 2_000;
/// The most jobs and bytes that one transaction changes, unless a single job has more. They bound the time for which
/// requests wait.
const MAX_CHANGED_JOBS: usize = 500;
const MAX_ERASED_JOBS: usize = 250;
const MAX_ERASED_BYTES: i64 = 2 << 20;

/// A job that the search has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) id: JobId,
    /// Its state at that moment.
    pub(crate) state: StateName,
    /// The bytes of its bodies; 0 if they do not matter.
    pub(crate) bytes: i64,
}

/// Some jobs of a bulk change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) jobs: Vec<Candidate>,
    /// The jobs before this one come next; `None` at the end.
    pub(crate) next: Option<JobId>,
}

/// The oldest possible id.
pub(crate) const OLDEST: JobId = JobId::from_uuid(uuid::Uuid::nil());
/// Greater than every id.
pub(crate) const NEWEST: JobId = JobId::from_uuid(uuid::Uuid::max());

impl Batch {
    /// Returns the jobs of a page. Their bytes do not matter.
    pub(crate) fn of_page(page: &Page) -> Self {
        let candidate = |job: &JobSummary| Candidate { id: job.id, state: job.state, bytes: 0 };
        Self { jobs: page.jobs.iter().map(candidate).collect(), next: page.next }
    }

    /// Splits the batch into parts of one transaction each. Each part says where the next one begins.
    pub(crate) fn parts(self, action: BulkAction) -> Vec<Self> {
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
pub(crate) enum NotFound {
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

/// Returns whose texts a bulk change erases.
pub(crate) fn erasure(bulk: &Bulk) -> Result<Erasure, NotFound> {
    bulk.filter.parse().map_err(|why| NotFound::Filter(format!("{why}")))
}

/// Returns which jobs a bulk change retries or cancels.
pub(crate) fn filter(bulk: &Bulk) -> Result<Filter, NotFound> {
    kept_filter(&bulk.filter).map_err(|why| NotFound::Filter(format!("{why}")))
}

/// Adds jobs of one account to what an erasure would do.
pub(crate) fn add_to_erasable(found: &mut Erasable, account: i64, is_finished: bool, jobs: i64) {
    let jobs = jobs.unsigned_abs();
    *if is_finished { &mut found.finished } else { &mut found.unfinished } += jobs;
    *found.accounts.entry(account).or_default() += jobs;
}

/// Returns the smallest id that is greater than `newest`.
pub(crate) fn after(newest: Option<Uuid>) -> Uuid {
    newest.map_or(Uuid::nil(), |newest| Uuid::from_u128(newest.as_u128().saturating_add(1)))
}

/// Reads a bulk change, with the columns of its action.
pub(crate) fn bulk(row: &dyn Columns) -> Result<Bulk, StoreError> {
    let row = TableRow::new("bulk_changes", row)?;
    Ok(Bulk {
        id: row.id.unsigned_abs(),
        by: actor(&row)?,
        at: row.time("at")?,
        action: row.named("action", BulkAction::from_name)?,
        filter: row.text("filter")?.to_owned(),
        force: row.flag("force")?,
        before: row.job_id("before_id")?,
        max_jobs: row.optional_number("max_jobs")?,
        changed: row.number("changed")?,
        skipped: row.number("skipped")?,
        state: row.named("state", ActionResult::from_name)?,
    })
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
