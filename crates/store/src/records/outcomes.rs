//! How recent jobs turned out: how many bots got their handler's completion, and why the others got the fallback.

use model::{FallbackReason, HandlerName};

/// How jobs turned out that were received since some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecentOutcomes {
    /// Jobs that have a completion.
    pub jobs: u64,
    /// Those of them whose completion is the fallback, by handler and reason, the most first.
    pub fallbacks: Vec<FallbackCount>,
    /// Whether only the newest jobs of that time were looked at, because there are so many.
    pub is_sample: bool,
}

/// The fallbacks of one handler for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallbackCount {
    /// The handler.
    pub handler: HandlerName,
    /// Why.
    pub reason: FallbackReason,
    /// How many.
    pub jobs: u64,
}

impl RecentOutcomes {
    /// How many bots get the fallback.
    pub fn fallen_back(&self) -> u64 {
        self.fallbacks.iter().map(|count| count.jobs).sum()
    }

    /// Their share of the jobs, from 0 to 1.
    #[allow(clippy::cast_precision_loss, reason = "a sample has thousands of jobs, not 2^52")]
    pub fn share(&self) -> f64 {
        self.fallen_back() as f64 / self.jobs.max(1) as f64
    }
}
