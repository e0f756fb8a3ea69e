//! Writes the reports of the sender, like [`reports`](super::reports).

use sqlx::Row;
use sqlx::postgres::PgRow;

use model::maps::HashMap;
use model::{AfterDelivery, Attempt, DeliveryReport, JobId, Outcome, Timestamp};

use super::attempts;
use super::completions;
use super::reports::waves;
use crate::jobs::failures;
use crate::jobs::reports::{SentRow, acceptance, duration_ms, fallback_reason, growth, outcome};
use crate::postgres::schedule::{Planned, Waits, rank};
use crate::postgres::write::rows::column;
use crate::postgres::write::text::storable;
use crate::postgres::write::transaction::Transaction;
use crate::{StoreError, Written};

pub(crate) const SENT: &str = "UPDATE jobs SET state = new.state, due_at = new.due_at, finished_at = new.finished_at, \
     finished_service_at = new.finished_service_at, lease_until = NULL, delivery_attempts = new.attempts, \
     failures = new.failures, failing_since = new.failing_since, refused_at = new.refused_at, \
     answer_lost = new.answer_lost, tried = new.tried, outcome = coalesce(new.outcome, jobs.outcome), \
     fallback_reason = CASE WHEN new.outcome IS NULL THEN jobs.fallback_reason ELSE new.fallback_reason END, \
     last_error = coalesce(new.error, jobs.last_error), accepted_at = new.accepted_at, accepted_ms = new.accepted_ms, \
     accepted_status = new.accepted_status, body_bytes = jobs.body_bytes + new.bytes \
     FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], \
     $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[], $12::boolean[], $13::text[], $14::text[], $15::text[], \
     $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[]) \
     AS new (id, fence, state, due_at, finished_at, finished_service_at, attempts, failures, failing_since, refused_at, \
     answer_lost, tried, outcome, fallback_reason, error, accepted_at, accepted_ms, accepted_status, bytes) \
     WHERE jobs.id = new.id AND jobs.fence = new.fence AND jobs.state = 'delivering' RETURNING jobs.id, jobs.body_bytes";

/// A report with the values for its job's row.
struct Report<'r> {
    report: &'r DeliveryReport,
    row: SentRow<'r>,
}

impl<'r> Report<'r> {
    /// The attempt, if it does not go into the job's row.
    fn other_attempt(&self) -> Option<(JobId, &'r Attempt)> {
        let attempt = self.report.attempt.as_ref().filter(|_| acceptance(self.report).is_none())?;
        Some((self.report.job.id, attempt))
    }

    /// By how many bytes the job's bodies grow.
    fn growth(&self) -> i64 {
        self.row.prepared.map_or(0, |prepared| growth(&self.report.job, prepared))
    }
}

/// Writes the reports of the sender. The results are in the same order.
pub(crate) async fn sent(
    transaction: &mut Transaction,
    reports: Vec<&DeliveryReport>,
) -> Result<Vec<Written>, StoreError> {
    let moment = transaction.moment;
    let row = |report| Report { report, row: SentRow::new(report, moment) };
    let all: Vec<Report<'_>> = reports.into_iter().map(row).collect();
    let mut results = vec![Written::Stale; all.len()];
    for places in waves(all.iter().map(|report| report.report.job.id)) {
        let wave: Vec<&Report<'_>> = places.iter().filter_map(|place| all.get(*place)).collect();
        let bytes = write(transaction, wave.clone()).await?;
        let mut written = Vec::with_capacity(wave.len());
        for (place, report) in places.into_iter().zip(wave) {
            let Some(bytes) = bytes.get(&report.report.job.id) else { continue };
            results[place] = Written::Done;
            written.push(report);
            record(transaction, report, *bytes);
        }
        let attempts = written.iter().filter_map(|report| report.other_attempt()).collect();
        attempts::insert(transaction, attempts).await?;
        for report in written {
            replace(transaction, report).await?;
        }
    }
    Ok(results)
}

/// Returns the bytes of the bodies of the jobs whose reports were written: their claims were still valid.
async fn write(
    transaction: &mut Transaction,
    mut reports: Vec<&Report<'_>>,
) -> Result<HashMap<JobId, i64>, StoreError> {
    reports.sort_unstable_by_key(|report| report.report.job.id);
    let accepted_status = |report: &&Report<'_>| report.row.accepted.and_then(|attempt| attempt.status);
    let update = sqlx::query(SENT)
        .bind(column(&reports, |report| report.report.job.id.as_uuid()))
        .bind(column(&reports, |report| report.report.job.fence.0))
        .bind(column(&reports, |report| report.row.state.as_str()))
        .bind(column(&reports, |report| report.row.due_at.map(Timestamp::as_millis)))
        .bind(column(&reports, |report| report.row.finished.map(|moment| moment.calendar.as_millis())))
        .bind(column(&reports, |report| report.row.finished.map(|moment| moment.service.as_millis())))
        .bind(column(&reports, |report| report.row.attempts))
        .bind(column(&reports, |report| i64::from(report.row.delivery.failures)))
        .bind(column(&reports, |report| report.row.delivery.failing_since.map(Timestamp::as_millis)))
        .bind(column(&reports, |report| report.row.delivery.refused_at.map(Timestamp::as_millis)))
        .bind(column(&reports, |report| report.row.delivery.answer_lost))
        .bind(column(&reports, |report| report.report.job.tried))
        .bind(column(&reports, |report| outcome(report.row.prepared)))
        .bind(column(&reports, |report| fallback_reason(report.row.prepared)))
        .bind(column(&reports, |report| report.row.error.map(storable)))
        .bind(column(&reports, |report| report.row.accepted.map(|attempt| attempt.started_at.as_millis())))
        .bind(column(&reports, |report| report.row.accepted.map(duration_ms)))
        .bind(column(&reports, |report| accepted_status(report).map(i64::from)))
        .bind(column(&reports, |report| report.growth()));
    let rows = transaction.change(update).await?;
    let bytes = |row: &PgRow| Ok((JobId::from_uuid(row.try_get(0)?), row.try_get(1)?));
    rows.iter().map(bytes).collect()
}

/// Records a written report for the schedule, the lanes, the budgets and the groups of errors. `bytes` are those of the
/// job's bodies.
fn record(transaction: &mut Transaction, report: &Report<'_>, bytes: i64) {
    let DeliveryReport { job, .. } = report.report;
    let row = &report.row;
    let waits = row.due_at.map(|due_at| Waits::Delivering {
        origin: job.return_url.origin().into(),
        rank: rank(row.delivery.failures > 0, row.delivery.refused_at.is_some()),
        due_at,
        waiting_since: job.waiting_since,
        lease_until: None,
    });
    transaction.plan(job.id, waits.map(|waits| Planned { fence: job.fence.0, waits }));
    if acceptance(report.report).is_none() {
        transaction.failures.extend(failures::of_delivery(report.report));
    }
    let post_commit = &mut transaction.post_commit;
    match row.due_at {
        Some(due_at) => post_commit.undelivered(job.return_url.origin(), due_at),
        None => {
            post_commit.moved(model::StateName::Delivering, row.state, 1);
            post_commit.bytes.finished(job.account_id.0, bytes);
        }
    }
    if row.prepared.is_some() {
        post_commit.bytes.grew(job.account_id.0, report.growth());
    }
}

/// Replaces the completion of a job, if the report says so. The handler's completion stays beside the fallback.
async fn replace(transaction: &mut Transaction, report: &Report<'_>) -> Result<(), StoreError> {
    let DeliveryReport { job, next: AfterDelivery::Replace { prepared, .. }, .. } = report.report else {
        return Ok(());
    };
    let keeps = matches!((job.prepared.outcome, prepared.outcome), (Outcome::Handler, Outcome::Fallback(_)));
    completions::replace(transaction, job.id, keeps, prepared.completion.as_json()).await
}
