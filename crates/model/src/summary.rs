//! A job without its bodies: as lists show it, and all that is left of a job whose bodies were dropped.

use super::{AccountId, Entity, HandlerName, Job, JobId, Outcome, ReturnUrl, State, StateName, Timestamp};

/// A job without `data` and `completion`.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSummary {
    /// Its identity.
    pub id: JobId,
    /// Where it is.
    pub state: StateName,
    /// The handler of the job.
    pub handler: HandlerName,
    /// The account whose bot asks.
    pub account_id: AccountId,
    /// What the bot talks about, if the token names it.
    pub entity: Option<Entity>,
    /// Where the continue is posted.
    pub return_url: ReturnUrl,
    /// Whose completion the bot gets, and why if it is the fallback; `None` while there is none.
    pub outcome: Option<Outcome>,
    /// When the request came in.
    pub received_at: Timestamp,
    /// Not to be claimed before; set while the job waits for a worker or for its delivery.
    pub due_at: Option<Timestamp>,
    /// Set once the job is finished.
    pub finished_at: Option<Timestamp>,
    /// Handler attempts that were charged.
    pub handler_attempts: u32,
    /// Delivery attempts that were charged.
    pub delivery_attempts: u32,
    /// What went wrong last, if something did.
    pub last_error: Option<String>,
    /// Whether `data` and `completion` were dropped to make room. Only delivered and cancelled jobs lose them.
    pub bodies_dropped: bool,
}

impl From<&Job> for JobSummary {
    fn from(job: &Job) -> Self {
        let (due_at, finished_at) = match job.state {
            State::Queued { due_at } | State::Delivering { due_at, .. } => (Some(due_at), None),
            State::Running { .. } => (None, None),
            State::Delivered { finished_at, .. }
            | State::Gone { finished_at, .. }
            | State::Dead { finished_at, .. }
            | State::Cancelled { finished_at, .. } => (None, Some(finished_at)),
        };
        Self {
            id: job.id,
            state: job.state.name(),
            handler: job.handler.clone(),
            account_id: job.request.account_id,
            entity: job.request.entity,
            return_url: job.request.return_url.clone(),
            outcome: job.state.prepared().map(|prepared| prepared.outcome),
            received_at: job.received_at,
            due_at,
            finished_at,
            handler_attempts: job.handler_attempts,
            delivery_attempts: job.delivery_attempts,
            last_error: job.last_error.clone(),
            bodies_dropped: false,
        }
    }
}

/// What the store has of one job.
#[derive(Clone, Debug, PartialEq)]
pub enum JobRecord {
    /// All of it.
    Whole(Job),
    /// All but its bodies, which were dropped to make room.
    WithoutBodies(JobSummary),
}

impl JobRecord {
    /// The job without its bodies.
    pub fn summary(&self) -> JobSummary {
        match self {
            Self::Whole(job) => job.into(),
            Self::WithoutBodies(summary) => summary.clone(),
        }
    }

    /// The job with its bodies; `None` if they were dropped.
    pub fn whole(self) -> Option<Job> {
        match self {
            Self::Whole(job) => Some(job),
            Self::WithoutBodies(_) => None,
        }
    }
}
