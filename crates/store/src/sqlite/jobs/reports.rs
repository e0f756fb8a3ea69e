//! Writes the reports of workers and of the sender.
//!
//! Every write names the state and the fencing number of the claim that it reports on. A write for an old claim changes
//! nothing and stores no attempt, and its caller learns this.

use std::sync::Arc;

use rusqlite::CachedStatement;

use model::{
    AfterDelivery, AfterHandler, Attempt, AttemptResult, DeliveringJob, Delivery, DeliveryReport,
    FallbackReason, Fence, HandlerReport, HandlerRun, JobId, Outcome, PreparedCompletion, RunningJob,
    StateName, Timestamp,
};

use crate::budget::signed;
use crate::lanes::{Lanes, Slot};
use crate::sqlite::engine::{Engine, REPORT_RETRY_DELAY};
use crate::sqlite::jobs::failures;
use crate::sqlite::jobs::turns::{self, Conversation};
use crate::sqlite::write::account_bytes::body_bytes;
use crate::sqlite::write::bind::bind;
use crate::sqlite::write::insert::insert_row;
use crate::sqlite::write::message::{Message, OnWritten, answer};
use crate::sqlite::write::transaction::Transaction;
use crate::time::Moment;
use crate::{StoreError, Written};

/// What the transaction does with a worker's report.
pub(crate) enum Handled {
    /// It is written. If there is a slot, the sender has already claimed the delivery.
    Done(Option<Slot<DeliveringJob>>),
    /// The claim is old, so nothing changes.
    Stale,
}

pub(crate) const HANDLED: &str = "UPDATE jobs SET state = :state, due_at = :due_at, lease_until = :lease_until, \
     fence = :next_fence, handler_attempts = :attempts, crashes = 0, completion = :completion, outcome = :outcome, \
     fallback_reason = :fallback_reason, last_error = coalesce(:error, last_error), handled_at = :handled_at, \
     handled_ms = :handled_ms WHERE id = :id AND fence = :fence AND state = 'running'";

pub(crate) const SENT: &str = "UPDATE jobs SET state = :state, due_at = :due_at, finished_at = :finished_at, \
     finished_service_at = :finished_service_at, lease_until = NULL, delivery_attempts = :attempts, \
     failures = :failures, \
     failing_since = :failing_since, refused_at = :refused_at, answer_lost = :answer_lost, tried = :tried, \
     handler_completion = CASE WHEN outcome = 'handler' AND :outcome = 'fallback' THEN completion ELSE handler_completion END, \
     completion = coalesce(:completion, completion), outcome = coalesce(:outcome, outcome), \
     fallback_reason = iif(:outcome IS NULL, fallback_reason, :fallback_reason), \
     last_error = coalesce(:error, last_error), accepted_at = :accepted_at, accepted_ms = :accepted_ms, \
     accepted_status = :accepted_status \
     WHERE id = :id AND fence = :fence AND state = 'delivering'";

/// A statement of its own, because RETURNING builds a temporary table.
pub(crate) const BYTES: &str = concat!("SELECT ", body_bytes!(), " FROM jobs WHERE id = ?");

insert_row! {
    pub(crate) const ATTEMPT, fn bind_attempt(id: JobId, attempt: &Attempt);
    "INSERT INTO other_attempts" {
        "job_id" => id.as_uuid(),
        "stage" => attempt.stage.as_str(),
        "number" => i64::from(attempt.number),
        "started_at" => attempt.started_at.as_millis(),
        "duration_ms" => duration_ms(attempt),
        "result" => attempt.result.as_str(),
        "status" => attempt.status.map(i64::from),
        "error" => attempt.error.as_deref(),
    }
}

/// Writes the reports of workers. The results are in the same order.
pub(crate) fn handled<'r>(
    transaction: &mut Transaction<'_>,
    reports: impl ExactSizeIterator<Item = &'r HandlerReport>,
    lanes: &Lanes<DeliveringJob>,
) -> Result<Vec<Handled>, StoreError> {
    if reports.len() == 0 {
        return Ok(Vec::new());
    }
    let now = transaction.moment.steady;
    let mut offers = lanes.offers(now);
    let mut results = Vec::with_capacity(reports.len());
    let mut statement = transaction.prepare_cached(HANDLED)?;
    for report in reports {
        let HandlerReport { job, next, .. } = report;
        let line = matches!(next, AfterHandler::Deliver(_)).then(|| Conversation::of_running(job)).flatten();
        if line.is_some() {
            turns::leave(transaction, job)?;
        }
        let origin = job.request.return_url.origin();
        let slot = matches!(next, AfterHandler::Deliver(_)).then(|| offers.next(origin)).flatten();
        let lease_until = slot.as_ref().map(|slot| now + slot.lease);
        if !write_handled(&mut statement, report, lease_until, now)? {
            results.push(Handled::Stale);
            continue;
        }
        if success(report).is_none() {
            keep(transaction, job.id, report.attempt.as_ref())?;
            transaction.failures.extend(failures::of_handler(report));
        }
        let post_commit = &mut transaction.post_commit;
        match next {
            AfterHandler::Deliver(prepared) => {
                post_commit.bytes.grew(job.request.account_id.0, length(prepared));
                post_commit.moved(StateName::Running, StateName::Delivering, 1);
                if slot.is_none() {
                    post_commit.undelivered(origin, now);
                }
                if let Some(conversation) = &line {
                    turns::give(transaction, conversation)?;
                }
            }
            AfterHandler::Retry { due_at } => {
                post_commit.moved(StateName::Running, StateName::Queued, 1);
                queued_again(transaction, job, *due_at)?;
            }
            AfterHandler::AwaitCallback => {
                post_commit.moved(StateName::Running, StateName::AwaitingCallback, 1);
                post_commit.awaiting(&job.handler, 1);
                post_commit.answer_by(job.answer_by);
            }
            AfterHandler::HandBack => {
                post_commit.moved(StateName::Running, StateName::Queued, 1);
                queued_again(transaction, job, now)?;
            }
        }
        results.push(Handled::Done(slot));
    }
    Ok(results)
}

/// Records that a claimed job is queued again, and due at `due_at` unless it has to wait for its turn.
fn queued_again(
    transaction: &mut Transaction<'_>,
    job: &RunningJob,
    due_at: Timestamp,
) -> Result<(), StoreError> {
    if job.is_ordered && turns::hold_back(transaction, job)? {
        transaction.post_commit.answer_by(job.answer_by);
    } else {
        transaction.post_commit.queued(job.handler.as_str(), due_at, job.answer_by);
    }
    Ok(())
}

/// Returns whether the report was written: its claim was still valid.
fn write_handled(
    statement: &mut CachedStatement<'_>,
    report: &HandlerReport,
    lease_until: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let HandlerReport { job, attempt, next, error } = report;
    let (state, due_at, prepared) = match next {
        AfterHandler::Deliver(prepared) => (StateName::Delivering, Some(now), Some(prepared)),
        AfterHandler::Retry { due_at } => (StateName::Queued, Some(*due_at), None),
        AfterHandler::AwaitCallback => (StateName::AwaitingCallback, None, None),
        AfterHandler::HandBack => (StateName::Queued, Some(now), None),
    };
    let success = success(report);
    bind!(statement, HANDLED, {
        "id" => job.id.as_uuid(),
        "fence" => job.fence.0,
        "state" => state.as_str(),
        "due_at" => due_at.map(Timestamp::as_millis),
        "lease_until" => lease_until.map(Timestamp::as_millis),
        "next_fence" => job.fence.0 + i64::from(lease_until.is_some()),
        "attempts" => i64::from(job.attempts) + i64::from(attempt.is_some()),
        "completion" => completion(prepared),
        "outcome" => outcome(prepared),
        "fallback_reason" => fallback_reason(prepared),
        "error" => error.as_deref(),
        "handled_at" => success.map(|attempt| attempt.started_at.as_millis()),
        "handled_ms" => success.map(duration_ms),
    });
    Ok(statement.raw_execute()? == 1)
}

/// The attempt that goes into the job's row: it gave the completion without an error.
fn success(report: &HandlerReport) -> Option<&Attempt> {
    let gave_completion = matches!(report.next, AfterHandler::Deliver(_));
    report.attempt.as_ref().filter(|attempt| gave_completion && is_plain_success(attempt))
}

/// The attempt that goes into the job's row: Kommo accepted its continue without an error.
fn acceptance(report: &DeliveryReport) -> Option<&Attempt> {
    let is_accepted = matches!(report.next, AfterDelivery::Delivered);
    report.attempt.as_ref().filter(|attempt| is_accepted && is_plain_success(attempt))
}

fn is_plain_success(attempt: &Attempt) -> bool {
    attempt.result == AttemptResult::Ok && attempt.error.is_none()
}

fn duration_ms(attempt: &Attempt) -> i64 {
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

/// Writes the reports of the sender. The results are in the same order.
pub(crate) fn sent<'r>(
    transaction: &mut Transaction<'_>,
    reports: impl ExactSizeIterator<Item = &'r DeliveryReport>,
) -> Result<Vec<Written>, StoreError> {
    if reports.len() == 0 {
        return Ok(Vec::new());
    }
    let mut results = Vec::with_capacity(reports.len());
    let mut statement = transaction.prepare_cached(SENT)?;
    let mut bytes_of = transaction.prepare_cached(BYTES)?;
    for report in reports {
        let DeliveryReport { job, next, attempt, .. } = report;
        let (state, due_at) = next_state(next, job, transaction.moment.steady);
        if !write_sent(&mut statement, report, state, due_at, transaction.moment)? {
            results.push(Written::Stale);
            continue;
        }
        if acceptance(report).is_none() {
            keep(transaction, job.id, attempt.as_ref())?;
            transaction.failures.extend(failures::of_delivery(report));
        }
        let bytes =
            if due_at.is_none() { bytes_of.query_one([job.id.as_uuid()], |row| row.get(0))? } else { 0 };
        let post_commit = &mut transaction.post_commit;
        match due_at {
            Some(due_at) => post_commit.undelivered(job.return_url.origin(), due_at),
            None => {
                post_commit.moved(StateName::Delivering, state, 1);
                post_commit.bytes.finished(job.account_id.0, bytes);
            }
        }
        if let AfterDelivery::Replace { prepared, .. } = next {
            // The handler's completion stays in `handler_completion`, beside the fallback, so no bytes are freed.
            let stays =
                matches!((job.prepared.outcome, prepared.outcome), (Outcome::Handler, Outcome::Fallback(_)));
            let replaced = if stays { 0 } else { length(&job.prepared) };
            post_commit.bytes.grew(job.account_id.0, length(prepared) - replaced);
        }
        results.push(Written::Done);
    }
    Ok(results)
}

/// Returns whether the report was written: its claim was still valid.
fn write_sent(
    statement: &mut CachedStatement<'_>,
    report: &DeliveryReport,
    state: StateName,
    due_at: Option<Timestamp>,
    moment: Moment,
) -> Result<bool, StoreError> {
    let DeliveryReport { job, attempt, next, error } = report;
    let finished = due_at.is_none().then_some(moment);
    let (delivery, prepared) = match next {
        AfterDelivery::Retry { delivery, .. } | AfterDelivery::Wait { delivery, .. } => (*delivery, None),
        AfterDelivery::Replace { delivery, prepared } => (*delivery, Some(prepared)),
        AfterDelivery::Dead { answer_lost } => (Delivery { answer_lost: *answer_lost, ..job.delivery }, None),
        AfterDelivery::Delivered | AfterDelivery::Gone => (job.delivery, None),
    };
    let acceptance = acceptance(report);
    bind!(statement, SENT, {
        "id" => job.id.as_uuid(),
        "fence" => job.fence.0,
        "state" => state.as_str(),
        "due_at" => due_at.map(Timestamp::as_millis),
        "finished_at" => finished.map(|moment| moment.calendar.as_millis()),
        "finished_service_at" => finished.map(|moment| moment.service.as_millis()),
        "attempts" => i64::from(job.attempts) + i64::from(attempt.is_some()),
        "failures" => i64::from(delivery.failures),
        "failing_since" => delivery.failing_since.map(Timestamp::as_millis),
        "refused_at" => delivery.refused_at.map(Timestamp::as_millis),
        "answer_lost" => delivery.answer_lost,
        "tried" => job.tried,
        "completion" => completion(prepared),
        "outcome" => outcome(prepared),
        "fallback_reason" => fallback_reason(prepared),
        "error" => error.as_deref(),
        "accepted_at" => acceptance.map(|attempt| attempt.started_at.as_millis()),
        "accepted_ms" => acceptance.map(duration_ms),
        "accepted_status" => acceptance.and_then(|attempt| attempt.status).map(i64::from),
    });
    Ok(statement.raw_execute()? == 1)
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
fn length(prepared: &PreparedCompletion) -> i64 {
    signed(prepared.completion.as_json().len())
}

fn completion(prepared: Option<&PreparedCompletion>) -> Option<&str> {
    prepared.map(|prepared| prepared.completion.as_json())
}

fn outcome(prepared: Option<&PreparedCompletion>) -> Option<&'static str> {
    prepared.map(|prepared| prepared.outcome.name().as_str())
}

fn fallback_reason(prepared: Option<&PreparedCompletion>) -> Option<&'static str> {
    prepared.and_then(|prepared| prepared.outcome.fallback_reason()).map(FallbackReason::as_str)
}

/// Stores a charged attempt that does not go into the job's row.
fn keep(transaction: &Transaction<'_>, id: JobId, attempt: Option<&Attempt>) -> Result<(), StoreError> {
    let Some(attempt) = attempt else { return Ok(()) };
    let mut statement = transaction.prepare_cached(ATTEMPT)?;
    bind_attempt(id, attempt, &mut statement)?;
    statement.raw_execute()?;
    Ok(())
}

impl Engine {
    pub(crate) async fn handled(&self, report: HandlerReport) -> Result<Written, StoreError> {
        self.handled_again(&Arc::new(report)).await
    }

    async fn handled_again(&self, report: &Arc<HandlerReport>) -> Result<Written, StoreError> {
        let message =
            |reply| Message::Handled(report.clone(), OnWritten::new(move |written| answer(reply, written)));
        self.write_until_ok(message).await
    }

    /// Like [`handled`](Self::handled), but passes the result to `then`. Only a report that cannot be written at once costs
    /// a task.
    pub(crate) fn handled_then(
        self: &Arc<Self>,
        report: HandlerReport,
        then: impl FnOnce(Result<Written, StoreError>) + Send + 'static,
    ) {
        let report = Arc::new(report);
        let (engine, again) = (self.clone(), report.clone());
        let on_written = OnWritten::new(move |written| match written {
            Err(error) if error.is_passing() => {
                let runtime = engine.runtime.clone();
                runtime.spawn(async move {
                    engine.clock().sleep(REPORT_RETRY_DELAY).await;
                    then(engine.handled_again(&again).await);
                });
            }
            settled => then(settled),
        });
        self.send_soon(Message::Handled(report, on_written));
    }

    pub(crate) async fn sent(&self, report: DeliveryReport) -> Result<Written, StoreError> {
        let report = Arc::new(report);
        self.write_until_ok(|reply| Message::Sent(report.clone(), reply)).await
    }
}
