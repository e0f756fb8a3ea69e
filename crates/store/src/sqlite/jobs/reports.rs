//! Writes the reports of workers and of the sender.
//!
//! Every write names the state and the fencing number of the claim that it reports on. A write for an old claim changes
//! nothing and stores no attempt, and its caller learns this.

use rusqlite::CachedStatement;

use model::{
    AfterDelivery, AfterHandler, Attempt, DeliveringJob, DeliveryReport, HandlerReport, JobId, RunningJob,
    StateName, Timestamp,
};

use crate::jobs::failures;
use crate::jobs::reports::{
    Handled, HandledRow, SentRow, acceptance, completion, duration_ms, fallback_reason, growth, length,
    outcome, success,
};
use crate::jobs::turns::Conversation;
use crate::lanes::Lanes;
use crate::sqlite::jobs::turns;
use crate::sqlite::write::account_bytes::body_bytes;
use crate::sqlite::write::bind::bind;
use crate::sqlite::write::insert::insert_row;
use crate::sqlite::write::transaction::Transaction;
use crate::{StoreError, Written};

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
        if !write_handled(&mut statement, job, &HandledRow::new(report, lease_until, now))? {
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
    job: &RunningJob,
    row: &HandledRow<'_>,
) -> Result<bool, StoreError> {
    bind!(statement, HANDLED, {
        "id" => job.id.as_uuid(),
        "fence" => job.fence.0,
        "state" => row.state.as_str(),
        "due_at" => row.due_at.map(Timestamp::as_millis),
        "lease_until" => row.lease_until.map(Timestamp::as_millis),
        "next_fence" => row.fence,
        "attempts" => row.attempts,
        "completion" => completion(row.prepared),
        "outcome" => outcome(row.prepared),
        "fallback_reason" => fallback_reason(row.prepared),
        "error" => row.error,
        "handled_at" => row.handled.map(|(started_at, _)| started_at.as_millis()),
        "handled_ms" => row.handled.map(|(_, ms)| ms),
    });
    Ok(statement.raw_execute()? == 1)
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
        let row = SentRow::new(report, transaction.moment);
        let (state, due_at) = (row.state, row.due_at);
        if !write_sent(&mut statement, job, &row)? {
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
            post_commit.bytes.grew(job.account_id.0, growth(job, prepared));
        }
        results.push(Written::Done);
    }
    Ok(results)
}

/// Returns whether the report was written: its claim was still valid.
fn write_sent(
    statement: &mut CachedStatement<'_>,
    job: &DeliveringJob,
    row: &SentRow<'_>,
) -> Result<bool, StoreError> {
    let SentRow { delivery, accepted, .. } = row;
    bind!(statement, SENT, {
        "id" => job.id.as_uuid(),
        "fence" => job.fence.0,
        "state" => row.state.as_str(),
        "due_at" => row.due_at.map(Timestamp::as_millis),
        "finished_at" => row.finished.map(|moment| moment.calendar.as_millis()),
        "finished_service_at" => row.finished.map(|moment| moment.service.as_millis()),
        "attempts" => row.attempts,
        "failures" => i64::from(delivery.failures),
        "failing_since" => delivery.failing_since.map(Timestamp::as_millis),
        "refused_at" => delivery.refused_at.map(Timestamp::as_millis),
        "answer_lost" => delivery.answer_lost,
        "tried" => job.tried,
        "completion" => completion(row.prepared),
        "outcome" => outcome(row.prepared),
        "fallback_reason" => fallback_reason(row.prepared),
        "error" => row.error,
        "accepted_at" => accepted.map(|attempt| attempt.started_at.as_millis()),
        "accepted_ms" => accepted.map(duration_ms),
        "accepted_status" => accepted.and_then(|attempt| attempt.status).map(i64::from),
    });
    Ok(statement.raw_execute()? == 1)
}

/// Stores a charged attempt that does not go into the job's row.
fn keep(transaction: &Transaction<'_>, id: JobId, attempt: Option<&Attempt>) -> Result<(), StoreError> {
    let Some(attempt) = attempt else { return Ok(()) };
    let mut statement = transaction.prepare_cached(ATTEMPT)?;
    bind_attempt(id, attempt, &mut statement)?;
    statement.raw_execute()?;
    Ok(())
}
