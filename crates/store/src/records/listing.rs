//! Lists of jobs: the filter, and one page of the result.

use model::{AccountId, HandlerName, JobId, JobSummary, OutcomeName, StateName};

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only jobs in this state.
    pub state: Option<StateName>,
    /// Only jobs of this handler.
    pub handler: Option<HandlerName>,
    /// Only jobs of this account.
    pub account_id: Option<AccountId>,
    /// Only jobs with this outcome.
    pub outcome: Option<OutcomeName>,
    /// Only jobs with this text in their `return_url`, data or last error, at the start of their id, or as the number of
    /// their entity (for example a lead) or account.
    pub text: Option<String>,
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
    /// Whether the search stopped before the page was full, to bound its cost. Older jobs may match.
    pub stopped: bool,
}
