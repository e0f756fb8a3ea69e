//! What maintenance goes by.

use std::sync::Arc;
use std::time::Duration;

use model::AccountId;

/// How long finished jobs are kept. An age has to be reached by the calendar and by the time for which the store was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// A job is deleted so long after it finished.
    pub jobs: Duration,
    /// The bodies of a delivered or cancelled job are dropped so long after it finished.
    pub bodies: Duration,
}

impl From<Duration> for Retention {
    fn from(jobs: Duration) -> Self {
        Self { jobs, bodies: jobs }
    }
}

/// Says whether an account with this address and number is known, whether it can be called at the moment or not.
pub(crate) type IsKnown = Arc<dyn Fn(&str, AccountId) -> bool + Send + Sync>;
