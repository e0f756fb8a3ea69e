//! Jobs as they go in and as they are counted.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{JobId, StateName, Timestamp};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The job that the request belongs to.
    pub id: JobId,
    /// The request had come in before; `id` is the first one's.
    pub duplicate: bool,
}

/// Whether a report was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was.
    Done,
    /// Somebody else has the job by now, or it was cancelled: nothing changed.
    Stale,
}

/// A job that was received no longer ago is young.
pub(crate) const YOUNG: Duration = Duration::from_secs(60);

/// How many jobs of a claim are to be those that have been due longest. By default none: young jobs go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LongestDue {
    /// So many, if there are that many.
    pub jobs: usize,
    /// Refused jobs and then retries come before first tries among them; else the reverse.
    pub retries_first: bool,
}

/// What is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Jobs by state; every state is there.
    pub jobs: BTreeMap<StateName, u64>,
    /// When the job came in that has waited longest for a worker. If the calendar was set meanwhile, it is the moment that
    /// lies as far back as the job has waited.
    pub oldest_queued: Option<Timestamp>,
    /// Bytes of the bodies of unfinished jobs.
    pub unfinished_bytes: u64,
    /// Bytes of the bodies of all jobs.
    pub stored_bytes: u64,
}
