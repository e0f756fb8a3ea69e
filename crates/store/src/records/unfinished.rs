//! The unfinished jobs that have waited longest.

use model::{JobSummary, Timestamp};

/// The unfinished jobs that have waited longest.
#[derive(Clone, Debug, PartialEq)]
pub struct OldestUnfinished {
    /// The jobs, oldest first.
    pub jobs: Vec<UnfinishedJob>,
    /// Whether no other unfinished job is older. `false` if there were too many jobs to compare all of them.
    pub is_exact: bool,
}

/// An unfinished job.
#[derive(Clone, Debug, PartialEq)]
pub struct UnfinishedJob {
    /// The job without its bodies.
    pub job: JobSummary,
    /// Since when its bot waits, by the calendar. Differs from the time of receipt if the clock was set since then.
    pub since: Timestamp,
    /// From when the fallback goes out, by the calendar.
    pub answer_by: Timestamp,
}
