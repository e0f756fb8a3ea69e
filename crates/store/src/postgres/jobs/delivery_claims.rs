//! Claims deliveries. The schedule decides which jobs of a lane go first.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row;

use model::maps::HashMap;
use model::{DeliveringJob, HandlerRun, JobId, Timestamp};

use super::row::{delivering, readable};
use super::work_claims::{by_age, mark};
use crate::jobs::rows;
use crate::postgres::engine::Engine;
use crate::postgres::write::command::Command;
use crate::postgres::write::rows::column;
use crate::postgres::write::transaction::Transaction;
use crate::records::YOUNG;
use crate::{LongestDue, StoreError};

pub(crate) const CLAIM: &str = concat!(
    "UPDATE jobs SET lease_until = $3, fence = jobs.fence + 1 FROM unnest($1::uuid[], $2::bigint[]) AS chosen (id, fence) \
     WHERE jobs.id = chosen.id AND jobs.fence = chosen.fence RETURNING ",
    delivering!()
);

/// Selects the last charged attempts of handlers that are not in the rows of their jobs, because they did not give the
/// completion without an error.
pub(crate) const LAST_RUNS: &str = "SELECT last.job_id, last.started_at, last.duration_ms \
     FROM unnest($1::uuid[]) AS claimed (id) CROSS JOIN LATERAL \
     (SELECT job_id, started_at, duration_ms FROM other_attempts WHERE job_id = claimed.id AND stage = 'handler' \
     ORDER BY number DESC LIMIT 1) AS last";

/// Claims due deliveries to one origin.
pub(crate) struct ClaimDeliveries {
    pub(crate) origin: Arc<str>,
    pub(crate) limit: usize,
    pub(crate) longest_due: LongestDue,
    pub(crate) now: Timestamp,
    pub(crate) lease_until: Timestamp,
}

impl Command for ClaimDeliveries {
    type Answer = Vec<DeliveringJob>;

    async fn apply(&self, transaction: &mut Transaction) -> Result<Self::Answer, StoreError> {
        let Self { origin, limit, now, lease_until, .. } = self;
        let LongestDue { jobs: reserved, retries_first } = self.longest_due;
        let Some(schedule) = transaction.schedule() else { return Ok(Vec::new()) };
        let mut chosen = schedule.longest_due(origin, *now, reserved.min(*limit), retries_first);
        let young = schedule.young_first(origin, *now, *now - YOUNG, *limit);
        for job in young {
            if chosen.len() < *limit && !chosen.contains(&job) {
                chosen.push(job);
            }
        }
        let claimed = mark(transaction, CLAIM, chosen, *lease_until).await?;
        let mut jobs = readable(&claimed, rows::delivering);
        add_last_runs(transaction, &mut jobs).await?;
        let next = transaction.schedule().and_then(|schedule| schedule.next_delivery(origin));
        transaction.post_commit.delivery_lane(origin, next);
        Ok(by_age(jobs, |job| job.waiting_since))
    }
}

/// Adds the last run of the handler to the jobs that do not have it in their row.
async fn add_last_runs(transaction: &mut Transaction, jobs: &mut [DeliveringJob]) -> Result<(), StoreError> {
    let lacks_run = |job: &&mut DeliveringJob| job.last_run.is_none() && job.handler_attempts > 0;
    let mut jobs: Vec<&mut DeliveringJob> = jobs.iter_mut().filter(lacks_run).collect();
    if jobs.is_empty() {
        return Ok(());
    }
    let ids = column(&jobs, |job| job.id.as_uuid());
    let mut runs = HashMap::with_capacity(jobs.len());
    for row in transaction.read(sqlx::query(LAST_RUNS).bind(ids)).await? {
        let started_at = Timestamp::from_millis(row.try_get(1)?);
        let run = HandlerRun { started_at, duration: rows::duration(row.try_get(2)?) };
        runs.insert(JobId::from_uuid(row.try_get(0)?), run);
    }
    for job in &mut jobs {
        job.last_run = runs.remove(&job.id);
    }
    Ok(())
}

impl Engine {
    pub(crate) async fn claim_deliveries(
        &self,
        origin: Arc<str>,
        limit: usize,
        longest_due: LongestDue,
        lease: Duration,
    ) -> Result<Vec<DeliveringJob>, StoreError> {
        let (now, lease_until) = (self.moment().steady, self.lease(lease));
        self.execute(ClaimDeliveries { origin, limit, longest_due, now, lease_until }).await
    }
}
