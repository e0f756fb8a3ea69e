//! The outcomes of recent jobs: how many bots got their handler's answer, and why the others got the fallback.

use model::UnknownFallbackReason;

use crate::{FallbackCount, RecentOutcomes, StoreError};

/// The maximum number of jobs to count, newest first. It bounds the cost.
pub(crate) const MAX_SAMPLED_JOBS: u32 = 10_000;

/// Jobs with the same outcome.
pub(crate) struct SameOutcome<'r> {
    pub(crate) handler: &'r str,
    pub(crate) outcome: Option<&'r str>,
    pub(crate) reason: Option<&'r str>,
    pub(crate) jobs: i64,
}

/// The outcomes that have been read so far.
#[derive(Default)]
pub(crate) struct Counted {
    seen: u64,
    outcomes: RecentOutcomes,
}

impl Counted {
    /// Adds jobs.
    ///
    /// # Errors
    /// `Corrupt` if the handler or the reason is unknown.
    pub(crate) fn add(&mut self, same: &SameOutcome<'_>) -> Result<(), StoreError> {
        let SameOutcome { handler, outcome, reason, jobs } = *same;
        let jobs = jobs.unsigned_abs();
        self.seen += jobs;
        self.outcomes.jobs += if outcome.is_some() { jobs } else { 0 };
        let Some(reason) = reason else { return Ok(()) };
        let corrupt = |column, why: String| StoreError::Corrupt {
            table: "jobs",
            column,
            id: "?".into(),
            why: why.into(),
        };
        self.outcomes.fallbacks.push(FallbackCount {
            handler: handler
                .parse()
                .map_err(|_| corrupt("handler", format!("`{handler}` is not the name of a handler")))?,
            reason: reason
                .parse()
                .map_err(|error: UnknownFallbackReason| corrupt("fallback_reason", error.to_string()))?,
            jobs,
        });
        Ok(())
    }

    /// Returns the outcomes, the most frequent fallbacks first.
    pub(crate) fn outcomes(mut self) -> RecentOutcomes {
        self.outcomes.fallbacks.sort_by_key(|count| std::cmp::Reverse(count.jobs));
        self.outcomes.is_sample = self.seen >= u64::from(MAX_SAMPLED_JOBS);
        self.outcomes
    }
}
