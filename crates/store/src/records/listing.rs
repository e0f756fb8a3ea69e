//! Lists of jobs: what to list, and one page of the result.

use model::{Filter, JobId, JobSummary};

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only jobs that match this filter.
    pub filter: Filter,
    /// Only jobs older than this one.
    pub before: Option<JobId>,
    /// The maximum number of jobs on a page.
    pub limit: u32,
}

/// A page of jobs, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The jobs. There can be fewer than the limit even if more follow.
    pub jobs: Vec<JobSummary>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<JobId>,
    /// Why the search stopped before the page was full, to bound its cost; `None` if it did not. Older jobs may match.
    pub stopped: Option<Stopped>,
}

/// The bound at which a search stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It has read this many jobs, because no index covers the filter.
    Jobs(u32),
    /// It has taken too long.
    Time,
}
