//! The outcomes of recent jobs, as JSON.

use serde::Serialize;
use utoipa::ToSchema;

use crate::schema;
use model::{FallbackReason, HandlerName};
use store::{FallbackCount, RecentOutcomes};

/// The jobs that were received in the last hour.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LastHour)]
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

/// The fallbacks of a handler for one reason.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FallbackCount)]
struct CountView<'a> {
    /// The handler.
    #[schema(value_type = schema::HandlerName)]
    handler: &'a HandlerName,
    /// The reason.
    #[schema(value_type = schema::FallbackReason)]
    reason: FallbackReason,
    /// The number of jobs.
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
