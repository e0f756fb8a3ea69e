//! The outcomes of recent jobs: how many bots got their handler's completion, and why the others got the fallback.

use model::{FallbackReason, HandlerName};

/// The outcomes of the jobs received since some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecentOutcomes {
    /// The number of jobs that have a completion.
    pub jobs: u64,
    /// How many of these jobs have the fallback, by handler and reason, most frequent first.
    pub fallbacks: Vec<FallbackCount>,
    /// Whether only the newest jobs were counted, because there are too many.
    pub is_sample: bool,
}

/// The fallbacks of one handler for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallbackCount {
    /// The name of the handler.
    pub handler: HandlerName,
    /// Why its bots got the fallback.
    pub reason: FallbackReason,
    /// The number of jobs.
    pub jobs: u64,
}

impl RecentOutcomes {
    /// Returns the number of bots that get the fallback.
    pub fn fallen_back(&self) -> u64 {
        self.fallbacks.iter().map(|count| count.jobs).sum()
    }

    /// Returns the share of bots that get the fallback, from 0 to 1.
    #[allow(clippy::cast_precision_loss, reason = "a sample has thousands of jobs, not 2^52")]
    pub fn share(&self) -> f64 {
        self.fallen_back() as f64 / self.jobs.max(1) as f64
    }
}
