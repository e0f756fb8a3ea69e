//! The outcomes of recent jobs, as JSON.

use serde::Serialize;

use model::{FallbackReason, HandlerName};
use store::{FallbackCount, RecentOutcomes};

/// `last_hour` of `/api/v1/stats`.
#[derive(Debug, Serialize)]
pub(super) struct OutcomesView<'a> {
    /// The number of jobs with a completion.
    jobs: u64,
    /// The number of those jobs whose bots get the fallback.
    fallbacks: u64,
    /// Fallbacks by handler and reason, most frequent first.
    fallbacks_by: Vec<CountView<'a>>,
    /// Whether only the newest 10,000 jobs of the hour were counted.
    is_sample: bool,
}

#[derive(Debug, Serialize)]
struct CountView<'a> {
    handler: &'a HandlerName,
    reason: FallbackReason,
    jobs: u64,
}

impl<'a> From<&'a RecentOutcomes> for OutcomesView<'a> {
    fn from(outcomes: &'a RecentOutcomes) -> Self {
        let view = |FallbackCount { handler, reason, jobs }: &'a FallbackCount| CountView {
            handler,
            reason: *reason,
            jobs: *jobs,
        };
        Self {
            jobs: outcomes.jobs,
            fallbacks: outcomes.fallen_back(),
            fallbacks_by: outcomes.fallbacks.iter().map(view).collect(),
            is_sample: outcomes.is_sample,
        }
    }
}
