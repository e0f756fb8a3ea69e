//! Writes the reports of workers.
//!
//! Every write names the state and the fencing number of the claim that it reports on. A write for an old claim changes
//! nothing and stores no attempt, and its caller learns this.

use sqlx::Row;

use model::maps::{HashMap, HashSet};
use model::{AfterHandler, Attempt, DeliveringJob, HandlerReport, JobId, RunningJob, StateName, Timestamp};

use super::attempts;
use super::bodies::{self, Body};
use super::turns;
use crate::StoreError;
use crate::jobs::failures;
use crate::jobs::reports::{Handled, HandledRow, completion, fallback_reason, length, outcome, success};
use crate::jobs::turns::Conversation;
use crate::lanes::Lanes;
use crate::postgres::schedule::{Planned, Waits};
use crate::postgres::write::rows::column;
use crate::postgres::write::text::storable;
use crate::postgres::write::transaction::Transaction;

pub(crate) use super::sent_reports::sent;

/// A job that gets its completion leaves its line.
pub(crate) const HANDLED: &str = "UPDATE jobs SET state = new.state, due_at = new.due_at, lease_until = new.lease_until, \
     fence = new.next_fence, handler_attempts = new.attempts, crashes = 0, outcome = new.outcome, \
     fallback_reason = new.fallback_reason, last_error = coalesce(new.error, jobs.last_error), \
     handled_at = new.handled_at, handled_ms = new.handled_ms, body_bytes = jobs.body_bytes + new.bytes, \
     turn = CASE WHEN new.outcome IS NULL THEN jobs.turn END, \
     coalesce_ms = CASE WHEN new.outcome IS NULL THEN jobs.coalesce_ms END \
     FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], \
     $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[]) \
     AS new (id, fence, state, due_at, lease_until, next_fence, attempts, outcome, fallback_reason, error, handled_at, \
     handled_ms, bytes) \
     WHERE jobs.id = new.id AND jobs.fence = new.fence AND jobs.state = 'running' RETURNING jobs.id";

/// A report with the values for its job's row.
struct Report<'r> {
    report: &'r HandlerReport,
    row: HandledRow<'r>,
}

impl<'r> Report<'r> {
    /// The completion.
    fn body(&self) -> Option<Body<'r>> {
        let body = completion(self.row.prepared)?;
        Some(Body { id: self.report.job.id.as_uuid(), kind: bodies::COMPLETION, body })
    }

    /// The attempt, if it does not go into the job's row.
    fn other_attempt(&self) -> Option<(JobId, &'r Attempt)> {
        let attempt = self.report.attempt.as_ref().filter(|_| success(self.report).is_none())?;
        Some((self.report.job.id, attempt))
    }
}

/// Writes the reports of workers. The results are in the same order.
pub(crate) async fn handled(
    transaction: &mut Transaction,
    reports: Vec<&HandlerReport>,
    lanes: &Lanes<DeliveringJob>,
) -> Result<Vec<Handled>, StoreError> {
    let now = transaction.moment.steady;
    let (mut slots, mut all) = (Vec::with_capacity(reports.len()), Vec::with_capacity(reports.len()));
    let mut offers = lanes.offers(now);
    for report in reports {
        let is_delivery = matches!(report.next, AfterHandler::Deliver(_));
        let origin = report.job.request.return_url.origin();
        let slot = is_delivery.then(|| offers.next(origin)).flatten();
        let row = HandledRow::new(report, slot.as_ref().map(|slot| now + slot.lease), now);
        slots.push(slot);
        all.push(Report { report, row });
    }
    drop(offers);
    let mut results: Vec<Handled> = all.iter().map(|_| Handled::Stale).collect();
    let mut written = Vec::with_capacity(all.len());
    for places in waves(all.iter().map(|report| report.report.job.id)) {
        let done = write(transaction, places.iter().filter_map(|place| all.get(*place)).collect()).await?;
        for place in places {
            let report = &all[place];
            if done.contains(&report.report.job.id) {
                results[place] = Handled::Done(slots[place].take());
                written.push(report);
            }
        }
    }
    bodies::insert(transaction, written.iter().filter_map(|report| report.body()).collect()).await?;
    attempts::insert(transaction, written.iter().filter_map(|report| report.other_attempt()).collect())
        .await?;
    for report in &written {
        record(transaction, report, now);
    }
    for report in written {
        take_turns(transaction, report, now).await?;
    }
    Ok(results)
}

/// Splits jobs into lists of places in which no job occurs twice: one statement changes a row once.
pub(super) fn waves(jobs: impl Iterator<Item = JobId>) -> Vec<Vec<usize>> {
    let mut waves: Vec<Vec<usize>> = Vec::new();
    let mut times: HashMap<JobId, usize> = HashMap::new();
    for (place, job) in jobs.enumerate() {
        let wave = times.entry(job).or_default();
        match waves.get_mut(*wave) {
            Some(places) => places.push(place),
            None => waves.push(vec![place]),
        }
        *wave += 1;
    }
    waves
}

/// Returns the jobs whose reports were written: their claims were still valid.
async fn write(
    transaction: &mut Transaction,
    mut reports: Vec<&Report<'_>>,
) -> Result<HashSet<JobId>, StoreError> {
    reports.sort_unstable_by_key(|report| report.report.job.id);
    let update = sqlx::query(HANDLED)
        .bind(column(&reports, |report| report.report.job.id.as_uuid()))
        .bind(column(&reports, |report| report.report.job.fence.0))
        .bind(column(&reports, |report| report.row.state.as_str()))
        .bind(column(&reports, |report| report.row.due_at.map(Timestamp::as_millis)))
        .bind(column(&reports, |report| report.row.lease_until.map(Timestamp::as_millis)))
        .bind(column(&reports, |report| report.row.fence))
        .bind(column(&reports, |report| report.row.attempts))
        .bind(column(&reports, |report| outcome(report.row.prepared)))
        .bind(column(&reports, |report| fallback_reason(report.row.prepared)))
        .bind(column(&reports, |report| report.row.error.map(storable)))
        .bind(column(&reports, |report| report.row.handled.map(|(started_at, _)| started_at.as_millis())))
        .bind(column(&reports, |report| report.row.handled.map(|(_, ms)| ms)))
        .bind(column(&reports, |report| report.row.prepared.map_or(0, length)));
    let rows = transaction.change(update).await?;
    Ok(rows.iter().map(|row| row.try_get(0).map(JobId::from_uuid)).collect::<Result<_, _>>()?)
}

/// Records a written report for the schedule, the lanes and the groups of errors.
fn record(transaction: &mut Transaction, report: &Report<'_>, now: Timestamp) {
    let Report { report: HandlerReport { job, next, .. }, row } = report;
    let (origin, answer_by) = (job.request.return_url.origin(), job.answer_by);
    let handler = || job.handler.as_str().into();
    let waits = match next {
        AfterHandler::Deliver(_) => Waits::Delivering {
            origin: origin.into(),
            rank: 0,
            due_at: now,
            waiting_since: job.waiting_since,
            lease_until: row.lease_until,
        },
        AfterHandler::Retry { .. } | AfterHandler::HandBack => {
            Waits::Queued { handler: handler(), due_at: row.due_at, answer_by }
        }
        AfterHandler::AwaitCallback => Waits::Awaiting { handler: handler(), answer_by },
    };
    transaction.plan(job.id, Some(Planned { fence: row.fence, waits }));
    if success(report.report).is_none() {
        transaction.failures.extend(failures::of_handler(report.report));
    }
    let post_commit = &mut transaction.post_commit;
    post_commit.moved(StateName::Running, row.state, 1);
    match next {
        AfterHandler::Deliver(prepared) => {
            post_commit.bytes.grew(job.request.account_id.0, length(prepared));
            if row.lease_until.is_none() {
                post_commit.undelivered(origin, now);
            }
        }
        AfterHandler::Retry { .. } | AfterHandler::HandBack => {}
        AfterHandler::AwaitCallback => {
            post_commit.awaiting(&job.handler, 1);
            post_commit.answer_by(answer_by);
        }
    }
}

/// Gives the turn of an answered job to the next one of its conversation. A job that is queued again may have to wait for
/// its turn.
async fn take_turns(
    transaction: &mut Transaction,
    report: &Report<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let HandlerReport { job, next, .. } = report.report;
    match next {
        AfterHandler::Deliver(_) => {
            if let Some(conversation) = Conversation::of_running(job) {
                turns::give(transaction, &conversation).await?;
            }
        }
        AfterHandler::Retry { due_at } => queued_again(transaction, job, *due_at).await?,
        AfterHandler::HandBack => queued_again(transaction, job, now).await?,
        AfterHandler::AwaitCallback => {}
    }
    Ok(())
}

/// Records that a claimed job is queued again, and due at `due_at` unless it has to wait for its turn.
async fn queued_again(
    transaction: &mut Transaction,
    job: &RunningJob,
    due_at: Timestamp,
) -> Result<(), StoreError> {
    if job.is_ordered && turns::hold_back(transaction, job).await? {
        transaction.post_commit.answer_by(job.answer_by);
    } else {
        transaction.post_commit.queued(job.handler.as_str(), due_at, job.answer_by);
    }
    Ok(())
}
