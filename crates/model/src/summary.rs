//! A job without its bodies: for lists, and for jobs that have lost their bodies.

use super::{AccountId, Entity, HandlerName, Job, JobId, Outcome, ReturnUrl, State, StateName, Timestamp};

/// A job without `data` and `completion`.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSummary {
    /// The id.
    pub id: JobId,
    /// The name of the state.
    pub state: StateName,
    /// The handler of the job.
    pub handler: HandlerName,
    /// The account of the bot that made the request.
    pub account_id: AccountId,
    /// The lead, contact or customer that the bot talks about, if the token names one.
    pub entity: Option<Entity>,
    /// The URL of the continue.
    pub return_url: ReturnUrl,
    /// The origin of the completion, with the reason if it is the fallback; `None` while there is no completion.
    pub outcome: Option<Outcome>,
    /// When the request arrived.
    pub received_at: Timestamp,
    /// The earliest moment for a claim; set while the job waits for a worker or for its delivery.
    pub due_at: Option<Timestamp>,
    /// When the job reached its final state; `None` if it is unfinished.
    pub finished_at: Option<Timestamp>,
    /// The number of charged handler attempts.
    pub handler_attempts: u32,
    /// The number of charged delivery attempts.
    pub delivery_attempts: u32,
    /// The last error, if there was one.
    pub last_error: Option<String>,
    /// The group of the last error; `None` if there is none.
    pub error_group: Option<i64>,
    /// The later job of the same conversation that answers for this one too.
    pub joined_into: Option<JobId>,
    /// Whether the store dropped `data` and `completion` to free space. Only delivered and cancelled jobs lose them.
    pub bodies_dropped: bool,
}

impl From<&Job> for JobSummary {
    fn from(job: &Job) -> Self {
        let (due_at, finished_at) = match job.state {
            State::Queued(wait) => (wait.due_at(), None),
            State::Delivering { due_at, .. } => (Some(due_at), None),
            State::Running { .. } | State::AwaitingCallback => (None, None),
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
            error_group: job.error_group,
            joined_into: job.joined_into,
            bodies_dropped: false,
        }
    }
}

/// A job as the store has it, with or without its bodies.
#[derive(Clone, Debug, PartialEq)]
pub enum JobRecord {
    /// The whole job.
    Whole(Job),
    /// The job without its bodies, which the store dropped to free space.
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
