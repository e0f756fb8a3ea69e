//! Writes the reports of workers and of the sender.
//!
//! Every write names the state and the fencing number of the claim that it reports on. A write for an old claim changes
//! nothing and stores no attempt, and its caller learns this.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use model::{
    AfterDelivery, AfterHandler, Attempt, DeliveringJob, Delivery, DeliveryReport, FallbackReason, Fence,
    HandlerReport, JobId, Outcome, PreparedCompletion, StateName, Timestamp,
};

use crate::budget::signed;
use crate::lanes::{Lanes, Slot};
use crate::sqlite::engine::Engine;
use crate::sqlite::write::message::Message;
use crate::sqlite::write::statement::rows_statement;
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

rows_statement! {
    pub(crate) const HANDLED, fn push_handled(report: &HandlerReport, lease_until: Option<Timestamp>, now: Timestamp);
    let HandlerReport { job, attempt, next, error } = report;
    let (state, due_at, prepared) = match next {
        AfterHandler::Deliver(prepared) => (StateName::Delivering, now, Some(prepared)),
        AfterHandler::Retry { due_at } => (StateName::Queued, *due_at, None),
        AfterHandler::HandBack => (StateName::Queued, now, None),
    };
    "WITH report (" {
        "id" => job.id.as_uuid(),
        "fence" => job.fence.0,
        "state" => state.as_str(),
        "due_at" => due_at.as_millis(),
        "lease_until" => lease_until.map(Timestamp::as_millis),
        "next_fence" => job.fence.0 + i64::from(lease_until.is_some()),
        "attempts" => i64::from(job.attempts) + i64::from(attempt.is_some()),
        "completion" => completion(prepared),
        "outcome" => outcome(prepared),
        "fallback_reason" => fallback_reason(prepared),
        "error" => error.as_deref(),
    }
    ") AS (VALUES "
    ") UPDATE jobs SET state = report.state, due_at = report.due_at, lease_until = report.lease_until, \
            fence = report.next_fence, handler_attempts = report.attempts, crashes = 0, \
            completion = report.completion, outcome = report.outcome, \
            fallback_reason = report.fallback_reason, \
            last_error = coalesce(report.error, jobs.last_error) \
            FROM report WHERE jobs.id = report.id AND jobs.fence = report.fence AND jobs.state = 'running' \
            RETURNING jobs.id"
}

rows_statement! {
    pub(crate) const SENT, fn push_sent(report: &DeliveryReport, moment: Moment);
    let DeliveryReport { job, attempt, next, error } = report;
    let (state, due_at) = next_state(next, job, moment.steady);
    let finished = due_at.is_none().then_some(moment);
    let (delivery, prepared) = match next {
        AfterDelivery::Retry { delivery, .. } | AfterDelivery::Wait { delivery, .. } => (*delivery, None),
        AfterDelivery::Replace { delivery, prepared } => (*delivery, Some(prepared)),
        AfterDelivery::Dead { answer_lost } => (Delivery { answer_lost: *answer_lost, ..job.delivery }, None),
        AfterDelivery::Delivered | AfterDelivery::Gone => (job.delivery, None),
    };
    "WITH report (" {
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
    }
    ") AS (VALUES "
    ") UPDATE jobs SET state = report.state, due_at = report.due_at, finished_at = report.finished_at, \
            finished_service_at = report.finished_service_at, lease_until = NULL, delivery_attempts = report.attempts, failures = report.failures, \
            failing_since = report.failing_since, refused_at = report.refused_at, \
            answer_lost = report.answer_lost, tried = report.tried, \
            handler_completion = CASE WHEN jobs.outcome = 'handler' AND report.outcome = 'fallback' \
            THEN jobs.completion ELSE jobs.handler_completion END, \
            completion = coalesce(report.completion, jobs.completion), \
            outcome = coalesce(report.outcome, jobs.outcome), \
            fallback_reason = iif(report.outcome IS NULL, jobs.fallback_reason, report.fallback_reason), \
            last_error = coalesce(report.error, jobs.last_error) \
            FROM report WHERE jobs.id = report.id AND jobs.fence = report.fence AND jobs.state = 'delivering' \
            RETURNING jobs.id, octet_length(jobs.data) + octet_length(jobs.completion) \
            + coalesce(octet_length(jobs.handler_completion), 0)"
}

rows_statement! {
    const ATTEMPTS, fn push_attempt(id: JobId, attempt: &Attempt);
    "INSERT INTO attempts (" {
        "job_id" => id.as_uuid(),
        "stage" => attempt.stage.as_str(),
        "number" => i64::from(attempt.number),
        "started_at" => attempt.started_at.as_millis(),
        "duration_ms" => i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX),
        "result" => attempt.result.as_str(),
        "status" => attempt.status.map(i64::from),
        "error" => attempt.error.as_deref(),
    }
    ") SELECT * FROM (VALUES " ") WHERE column1 IS NOT NULL"
}

/// The charged attempts of one transaction. It stores them after it has written all reports.
pub(crate) type Charged<'r> = Vec<(JobId, &'r Attempt)>;

/// Writes the reports of workers. The results are in the same order.
pub(crate) async fn handled<'r>(
    transaction: &mut Transaction<'_>,
    charged: &mut Charged<'r>,
    reports: &[&'r HandlerReport],
    lanes: &Lanes<DeliveringJob>,
) -> Result<Vec<Handled>, StoreError> {
    let now = transaction.moment.steady;
    let mut offered = lanes.offers(now);
    let offers: Vec<(&HandlerReport, Option<Slot<DeliveringJob>>)> = reports
        .iter()
        .map(|report| {
            let delivers = matches!(report.next, AfterHandler::Deliver(_));
            let slot = delivers.then(|| offered.next(report.job.request.return_url.origin())).flatten();
            (*report, slot)
        })
        .collect();
    let written = transaction
        .ask(&HANDLED, &offers, |(report, slot), row| {
            let lease_until = slot.as_ref().map(|slot| now + slot.lease);
            push_handled(report, lease_until, now, row);
        })
        .await?;
    let written = claims(&written, reports.iter().map(|report| (report.job.id, report.job.fence)))?;
    let post_commit = &mut transaction.post_commit;
    let mut results = Vec::with_capacity(offers.len());
    for (report, slot) in offers {
        let HandlerReport { job, next, .. } = report;
        if !written.contains(&(job.id, job.fence)) {
            results.push(Handled::Stale);
            continue;
        }
        charged.extend(report.attempt.as_ref().map(|attempt| (job.id, attempt)));
        match next {
            AfterHandler::Deliver(prepared) => {
                post_commit.bytes.grew(job.request.account_id.0, length(prepared));
                post_commit.moved(StateName::Running, StateName::Delivering, 1);
                if slot.is_none() {
                    post_commit.undelivered(job.request.return_url.origin(), now);
                }
            }
            AfterHandler::Retry { due_at } => {
                post_commit.moved(StateName::Running, StateName::Queued, 1);
                post_commit.queued(job.handler.as_str(), *due_at, job.answer_by);
            }
            AfterHandler::HandBack => {
                post_commit.moved(StateName::Running, StateName::Queued, 1);
                post_commit.queued(job.handler.as_str(), now, job.answer_by);
            }
        }
        results.push(Handled::Done(slot));
    }
    Ok(results)
}

/// Returns the claimed delivery for the sender that was free when the transaction stored its completion.
pub(crate) fn delivering(report: &HandlerReport) -> Option<DeliveringJob> {
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
    })
}

/// Writes the reports of the sender. The results are in the same order.
pub(crate) async fn sent<'r>(
    transaction: &mut Transaction<'_>,
    charged: &mut Charged<'r>,
    reports: &[&'r DeliveryReport],
) -> Result<Vec<Written>, StoreError> {
    let moment = transaction.moment;
    let rows = transaction.ask(&SENT, reports, |report, row| push_sent(report, moment, row)).await?;
    let written = claims(&rows, reports.iter().map(|report| (report.job.id, report.job.fence)))?;
    let bytes = rows.iter().map(|row| Ok((JobId::from_uuid(row.try_get::<Uuid, _>(0)?), row.try_get(1)?)));
    let bytes: HashMap<JobId, i64> = bytes.collect::<Result<_, sqlx::Error>>()?;
    let post_commit = &mut transaction.post_commit;
    let mut results = Vec::with_capacity(reports.len());
    for DeliveryReport { job, next, attempt, .. } in reports {
        if !written.contains(&(job.id, job.fence)) {
            results.push(Written::Stale);
            continue;
        }
        charged.extend(attempt.as_ref().map(|attempt| (job.id, attempt)));
        let (state, due_at) = next_state(next, job, moment.steady);
        match due_at {
            Some(due_at) => post_commit.undelivered(job.return_url.origin(), due_at),
            None => {
                post_commit.moved(StateName::Delivering, state, 1);
                post_commit.bytes.finished(job.account_id.0, bytes.get(&job.id).copied().unwrap_or(0));
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

type Claim = (JobId, Fence);

/// Returns the claims whose reports were written. The rows name only the jobs. If two claims of one job report in the
/// same batch, only the later claim can have been written.
fn claims(rows: &[SqliteRow], reported: impl Iterator<Item = Claim>) -> Result<HashSet<Claim>, StoreError> {
    let mut latest: HashMap<JobId, Fence> = HashMap::with_capacity(rows.len());
    for (id, fence) in reported {
        latest.entry(id).and_modify(|known| *known = fence.max(*known)).or_insert(fence);
    }
    let mut written = HashSet::with_capacity(rows.len());
    for row in rows {
        let id = JobId::from_uuid(row.try_get::<Uuid, _>(0)?);
        written.extend(latest.get(&id).map(|fence| (id, *fence)));
    }
    Ok(written)
}

/// Stores the charged attempts in the history.
pub(crate) async fn keep(transaction: &mut Transaction<'_>, charged: &Charged<'_>) -> Result<(), StoreError> {
    transaction.add(&ATTEMPTS, charged, |(id, attempt), row| push_attempt(*id, attempt, row)).await
}

impl Engine {
    pub(crate) async fn handled(&self, report: HandlerReport) -> Result<Written, StoreError> {
        let report = Arc::new(report);
        self.write_until_ok(|reply| Message::Handled(report.clone(), reply)).await
    }

    pub(crate) async fn sent(&self, report: DeliveryReport) -> Result<Written, StoreError> {
        let report = Arc::new(report);
        self.write_until_ok(|reply| Message::Sent(report.clone(), reply)).await
    }
}
