//! A job as JSON: what the API answers and what `jobs --json` prints.
//!
//! Every field is always there, `null` if it does not apply, so that a script need not ask. There is no
//! token in a job, so none can get out here.

use serde::Serialize;
use serde_json::Value;

use crate::model::{
    Attempt, AttemptResult, BotType, CheckedCompletion, Job, JobId, Outcome, Prepared, ReturnUrl, Stage,
    State, StateName, Timestamp,
};
use crate::store::Page;

/// One job.
#[derive(Clone, Debug, Serialize)]
pub struct JobView<'a> {
    id: JobId,
    state: StateName,
    handler: &'a str,
    account_id: i64,
    bot_type: BotType,
    bot_id: i64,
    continue_id: &'a str,
    /// Kommo's number: 1 contact, 2 lead, 12 customer.
    entity_type: Option<i64>,
    entity_id: Option<i64>,
    return_url: &'a ReturnUrl,
    data: &'a Value,
    /// The body of the continue.
    completion: Option<&'a CheckedCompletion>,
    outcome: Option<Outcome>,
    received_at: Timestamp,
    /// Not to be claimed before; null unless the job waits for a worker or for its delivery.
    due_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    handler_attempts: u32,
    delivery_attempts: u32,
    last_error: Option<&'a str>,
}

impl<'a> JobView<'a> {
    /// The view of `job`.
    pub fn new(job: &'a Job) -> Self {
        let (prepared, due_at, finished_at) = parts(&job.state);
        let url = &job.request.return_url;
        Self {
            id: job.id,
            state: job.state.name(),
            handler: job.handler.as_str(),
            account_id: job.request.account_id.0,
            bot_type: url.bot_type(),
            bot_id: url.bot_id(),
            continue_id: url.continue_id(),
            entity_type: job.request.entity.map(|entity| entity.kind.code()),
            entity_id: job.request.entity.map(|entity| entity.id),
            return_url: url,
            data: &job.request.data,
            completion: prepared.map(|prepared| &prepared.completion),
            outcome: prepared.map(|prepared| prepared.outcome),
            received_at: job.received_at,
            due_at,
            finished_at,
            handler_attempts: job.handler_attempts,
            delivery_attempts: job.delivery_attempts,
            last_error: job.last_error.as_deref(),
        }
    }
}

fn parts(state: &State) -> (Option<&Prepared>, Option<Timestamp>, Option<Timestamp>) {
    match state {
        State::Queued { due_at } => (None, Some(*due_at), None),
        State::Running { .. } => (None, None, None),
        State::Delivering { prepared, due_at, .. } => (Some(prepared), Some(*due_at), None),
        State::Delivered { prepared, finished_at }
        | State::Gone { prepared, finished_at }
        | State::Dead { prepared, finished_at } => (Some(prepared), None, Some(*finished_at)),
        State::Cancelled { prepared, finished_at } => (prepared.as_ref(), None, Some(*finished_at)),
    }
}

/// One job with its attempts, oldest first.
#[derive(Clone, Debug, Serialize)]
pub struct JobWithAttempts<'a> {
    #[serde(flatten)]
    job: JobView<'a>,
    attempts: Vec<AttemptView<'a>>,
}

impl<'a> JobWithAttempts<'a> {
    /// The view of `job` and `attempts`.
    pub fn new(job: &'a Job, attempts: &'a [Attempt]) -> Self {
        Self { job: JobView::new(job), attempts: attempts.iter().map(AttemptView::new).collect() }
    }
}

/// One attempt.
#[derive(Clone, Debug, Serialize)]
struct AttemptView<'a> {
    stage: Stage,
    number: u32,
    started_at: Timestamp,
    duration_ms: u64,
    result: AttemptResult,
    status: Option<u16>,
    error: Option<&'a str>,
}

impl<'a> AttemptView<'a> {
    fn new(attempt: &'a Attempt) -> Self {
        Self {
            stage: attempt.stage,
            number: attempt.number,
            started_at: attempt.started_at,
            duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            result: attempt.result,
            status: attempt.status,
            error: attempt.error.as_deref(),
        }
    }
}

/// Some jobs, newest first, and where to go on.
#[derive(Clone, Debug, Serialize)]
pub struct PageView<'a> {
    jobs: Vec<JobView<'a>>,
    /// To be sent as `cursor` for the next page; null at the end. A page can be short, even empty,
    /// though more follow.
    next_cursor: Option<JobId>,
}

impl<'a> PageView<'a> {
    /// The view of `page`.
    pub fn new(page: &'a Page) -> Self {
        Self { jobs: page.jobs.iter().map(JobView::new).collect(), next_cursor: page.next }
    }
}
