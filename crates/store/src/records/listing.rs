//! Lists of jobs: what is asked for, and a page of it.

use model::{AccountId, HandlerName, JobId, JobSummary, OutcomeName, StateName};

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only this state.
    pub state: Option<StateName>,
    /// Only this handler's.
    pub handler: Option<HandlerName>,
    /// Only this account's.
    pub account_id: Option<AccountId>,
    /// Only those whose bots get this.
    pub outcome: Option<OutcomeName>,
    /// Only those whose return_url, data or last error contains this text, whose id begins with it, or whose entity (a lead
    /// perhaps) or account has this number.
    pub text: Option<String>,
    /// Only older ones than this.
    pub before: Option<JobId>,
    /// The most jobs of a page.
    pub limit: u32,
}

/// Some jobs, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The jobs. There can be fewer than asked for though more follow.
    pub jobs: Vec<JobSummary>,
    /// Where to go on; none at the end.
    pub next: Option<JobId>,
    /// Whether the search stopped before the page was full, because it would have taken too long: older jobs may match.
    pub stopped: bool,
}
