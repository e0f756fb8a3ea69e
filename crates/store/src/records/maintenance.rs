//! Settings of maintenance.

use std::sync::Arc;
use std::time::Duration;

use model::AccountId;

/// How long finished jobs are kept. A job is old enough only if both the calendar and the service time say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The time from a job's end until it is deleted.
    pub jobs: Duration,
    /// The time from the end of a delivered or cancelled job until its bodies are dropped.
    pub bodies: Duration,
}

impl From<Duration> for Retention {
    fn from(jobs: Duration) -> Self {
        Self { jobs, bodies: jobs }
    }
}

/// Returns whether an account with this address and number is known, even if it cannot be called at the moment.
pub(crate) type IsKnown = Arc<dyn Fn(&str, AccountId) -> bool + Send + Sync>;
