//! Accepted requests, written reports, claims, and counts of jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{JobId, StateName, Timestamp};

/// The result of accepting a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The job that the request belongs to.
    pub id: JobId,
    /// Whether the request is a repetition; `id` is then the job of the first request.
    pub duplicate: bool,
}

/// Whether a report was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was written.
    Done,
    /// The claim is no longer valid: someone else has claimed the job, or it was cancelled. Nothing changed.
    Stale,
}

/// A job is young if it was received within this time.
pub(crate) const YOUNG: Duration = Duration::from_secs(60);

/// How many jobs of a claim are reserved for those due longest. The default is none: young jobs come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LongestDue {
    /// The number of reserved jobs; fewer if fewer are due.
    pub jobs: usize,
    /// Whether, among the reserved jobs, refused jobs come first, then retries, then first tries. If `false`, the order
    /// is reversed.
    pub retries_first: bool,
}

/// The numbers of jobs and bytes in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The number of jobs in each state. Every state has an entry.
    pub jobs: BTreeMap<StateName, u64>,
    /// When the job that has waited longest for a worker was received. If someone set the calendar in the meantime,
    /// this is now minus the time that the job has waited.
    pub oldest_queued: Option<Timestamp>,
    /// Bytes of the bodies of unfinished jobs.
    pub unfinished_bytes: u64,
    /// Bytes of the bodies of all jobs.
    pub stored_bytes: u64,
}
