//! Decides what becomes of the reports of workers and of the sender: the values that the rows of their jobs get.

use model::{
    AfterDelivery, AfterHandler, Attempt, AttemptResult, DeliveringJob, Delivery, DeliveryReport,
    FallbackReason, Fence, HandlerReport, HandlerRun, Outcome, PreparedCompletion, StateName, Timestamp,
};

use crate::budget::signed;
use crate::lanes::Slot;
use crate::time::Moment;

/// What the transaction does with a worker's report.
pub(crate) enum Handled {
    /// It is written. If there is a slot, the sender has already claimed the delivery.
    Done(Option<Slot<DeliveringJob>>),
    /// The claim is old, so nothing changes.
    Stale,
}

/// The values that a worker's report gives its job's row.
pub(crate) struct HandledRow<'r> {
    pub(crate) state: StateName,
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) lease_until: Option<Timestamp>,
    pub(crate) fence: i64,
    pub(crate) attempts: i64,
    pub(crate) prepared: Option<&'r PreparedCompletion>,
    pub(crate) error: Option<&'r str>,
    /// The start of the successful attempt, and its duration in milliseconds.
    pub(crate) handled: Option<(Timestamp, i64)>,
}

impl<'r> HandledRow<'r> {
    /// `lease_until` is set if the sender has already claimed the delivery. `now` is the steady time of the transaction.
    pub(crate) fn new(report: &'r HandlerReport, lease_until: Option<Timestamp>, now: Timestamp) -> Self {
        let HandlerReport { job, attempt, next, error } = report;
        let (state, due_at, prepared) = match next {
            AfterHandler::Deliver(prepared) => (StateName::Delivering, Some(now), Some(prepared)),
            AfterHandler::Retry { due_at } => (StateName::Queued, Some(*due_at), None),
            AfterHandler::AwaitCallback => (StateName::AwaitingCallback, None, None),
            AfterHandler::HandBack => (StateName::Queued, Some(now), None),
        };
        Self {
            state,
            due_at,
            lease_until,
            fence: job.fence.0 + i64::from(lease_until.is_some()),
            attempts: i64::from(job.attempts) + i64::from(attempt.is_some()),
            prepared,
            error: error.as_deref(),
            handled: success(report).map(|attempt| (attempt.started_at, duration_ms(attempt))),
        }
    }
}

/// The values that a report of the sender gives its job's row.
pub(crate) struct SentRow<'r> {
    pub(crate) state: StateName,
    /// When the delivery is due again; `None` if the state is final.
    pub(crate) due_at: Option<Timestamp>,
    /// Set if the state is final.
    pub(crate) finished: Option<Moment>,
    pub(crate) attempts: i64,
    pub(crate) delivery: Delivery,
    /// The completion that replaces the one of the job.
    pub(crate) prepared: Option<&'r PreparedCompletion>,
    pub(crate) error: Option<&'r str>,
    /// The attempt that goes into the row.
    pub(crate) accepted: Option<&'r Attempt>,
}

impl<'r> SentRow<'r> {
    /// `moment` is the time of the transaction.
    pub(crate) fn new(report: &'r DeliveryReport, moment: Moment) -> Self {
        let DeliveryReport { job, attempt, next, error } = report;
        let (state, due_at) = next_state(next, job, moment.steady);
        let (delivery, prepared) = match next {
            AfterDelivery::Retry { delivery, .. } | AfterDelivery::Wait { delivery, .. } => (*delivery, None),
            AfterDelivery::Replace { delivery, prepared } => (*delivery, Some(prepared)),
            AfterDelivery::Dead { answer_lost } => {
                (Delivery { answer_lost: *answer_lost, ..job.delivery }, None)
            }
            AfterDelivery::Delivered | AfterDelivery::Gone => (job.delivery, None),
        };
        Self {
            state,
            due_at,
            finished: due_at.is_none().then_some(moment),
            attempts: i64::from(job.attempts) + i64::from(attempt.is_some()),
            delivery,
            prepared,
            error: error.as_deref(),
            accepted: acceptance(report),
        }
    }
}

/// Returns by how many bytes the bodies of a job grow when `prepared` replaces its completion.
pub(crate) fn growth(job: &DeliveringJob, prepared: &PreparedCompletion) -> i64 {
    // The handler's completion stays in `handler_completion`, beside the fallback, so no bytes are freed.
    let stays = matches!((job.prepared.outcome, prepared.outcome), (Outcome::Handler, Outcome::Fallback(_)));
    length(prepared) - if stays { 0 } else { length(&job.prepared) }
}

/// The attempt that goes into the job's row: it gave the completion without an error.
pub(crate) fn success(report: &HandlerReport) -> Option<&Attempt> {
    let gave_completion = matches!(report.next, AfterHandler::Deliver(_));
    report.attempt.as_ref().filter(|attempt| gave_completion && is_plain_success(attempt))
}

/// The attempt that goes into the job's row: Kommo accepted its continue without an error.
pub(crate) fn acceptance(report: &DeliveryReport) -> Option<&Attempt> {
    let is_accepted = matches!(report.next, AfterDelivery::Delivered);
    report.attempt.as_ref().filter(|attempt| is_accepted && is_plain_success(attempt))
}

fn is_plain_success(attempt: &Attempt) -> bool {
    attempt.result == AttemptResult::Ok && attempt.error.is_none()
}

/// The duration of an attempt in milliseconds.
pub(crate) fn duration_ms(attempt: &Attempt) -> i64 {
    i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX)
}

/// Returns the claimed delivery for the sender that was free when the transaction stored its completion. `now` is the
/// steady time of the transaction.
pub(crate) fn delivering(report: &HandlerReport, now: Timestamp) -> Option<DeliveringJob> {
    let HandlerReport { job, next: AfterHandler::Deliver(prepared), attempt, .. } = report else {
        return None;
    };
    Some(DeliveringJob {
        id: job.id,
        fence: Fence(job.fence.0 + 1),
        handler: job.handler.clone(),
        account_id: job.request.account_id,
        entity: job.request.entity,
        return_url: job.request.return_url.clone(),
        received_at: job.received_at,
        waiting_since: job.waiting_since,
        handler_attempts: job.attempts + u32::from(attempt.is_some()),
        prepared: prepared.clone(),
        attempts: 0,
        delivery: Delivery::default(),
        tried: false,
        superseded_by: None,
        due_at: now,
        last_run: attempt
            .as_ref()
            .map(|attempt| HandlerRun { started_at: attempt.started_at, duration: attempt.duration }),
    })
}

/// Returns the next state of a delivery, and when it is due again; `None` if the state is final.
fn next_state(next: &AfterDelivery, job: &DeliveringJob, now: Timestamp) -> (StateName, Option<Timestamp>) {
    match next {
        AfterDelivery::Delivered => (StateName::Delivered, None),
        AfterDelivery::Gone => (StateName::Gone, None),
        AfterDelivery::Dead { .. } => (StateName::Dead, None),
        AfterDelivery::Retry { due_at, .. } => (StateName::Delivering, Some(*due_at)),
        AfterDelivery::Replace { .. } => (StateName::Delivering, Some(now)),
        // The job did not cause the wait. It is due from its receipt, so it keeps its place among the other jobs.
        AfterDelivery::Wait { keeps_place: true, .. } => {
            (StateName::Delivering, Some(job.waiting_since.min(now)))
        }
        AfterDelivery::Wait { keeps_place: false, .. } => (StateName::Delivering, Some(now)),
    }
}

/// Returns the bytes that a completion adds to its job.
pub(crate) fn length(prepared: &PreparedCompletion) -> i64 {
    signed(prepared.completion.as_json().len())
}

/// The text of a completion.
pub(crate) fn completion(prepared: Option<&PreparedCompletion>) -> Option<&str> {
    prepared.map(|prepared| prepared.completion.as_json())
}

/// The name of an outcome.
pub(crate) fn outcome(prepared: Option<&PreparedCompletion>) -> Option<&'static str> {
    prepared.map(|prepared| prepared.outcome.name().as_str())
}

/// The name of the reason for a fallback.
pub(crate) fn fallback_reason(prepared: Option<&PreparedCompletion>) -> Option<&'static str> {
    prepared.and_then(|prepared| prepared.outcome.fallback_reason()).map(FallbackReason::as_str)
}
