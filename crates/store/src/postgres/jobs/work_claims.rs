//! Claims work: the schedule chooses the jobs, and one statement marks them and raises their fencing numbers.
//!
//! In the same transaction, each claim also finds when the next job of its lane is due. So
//! [`Lanes`](crate::lanes::Lanes) always includes the effect of the claim.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgRow;

use model::{RunningJob, StateName, Timestamp};

use super::row::{claimed, running};
use super::{coalesce, plan};
use crate::jobs::row::{Claimed, Columns};
use crate::jobs::rows;
use crate::postgres::engine::Engine;
use crate::postgres::schedule::Chosen;
use crate::postgres::write::command::Command;
use crate::postgres::write::rows::column;
use crate::postgres::write::transaction::Transaction;
use crate::{Overdue, StoreError};

pub(crate) const CLAIM: &str = concat!(
    "UPDATE jobs SET state = 'running', due_at = NULL, lease_until = $3, fence = jobs.fence + 1 \
     FROM unnest($1::uuid[], $2::bigint[]) AS chosen (id, fence) \
     WHERE jobs.id = chosen.id AND jobs.fence = chosen.fence RETURNING ",
    running!()
);

impl Engine {
    pub(crate) async fn claim_work(
        &self,
        handler: Arc<str>,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<RunningJob>, StoreError> {
        let (now, lease_until) = (self.moment().steady, self.lease(lease));
        self.execute(ClaimWork { handler, limit, now, lease_until }).await
    }

    pub(crate) async fn claim_overdue(&self, limit: usize, lease: Duration) -> Result<Overdue, StoreError> {
        let (now, lease_until) = (self.moment().steady, self.lease(lease));
        self.execute(ClaimOverdue { limit, now, lease_until }).await
    }
}

/// Claims the chosen jobs, and records them in the schedule.
async fn claim<T>(
    transaction: &mut Transaction,
    chosen: Vec<Chosen>,
    lease_until: Timestamp,
    read: impl Fn(&dyn Columns) -> Result<T, StoreError>,
) -> Result<Claimed<T>, StoreError> {
    let rows = mark(transaction, CLAIM, chosen, lease_until).await?;
    Ok(claimed(&rows, read))
}

/// Changes the chosen jobs by the claim `sql`, and records them in the schedule.
pub(super) async fn mark(
    transaction: &mut Transaction,
    sql: &'static str,
    mut chosen: Vec<Chosen>,
    lease_until: Timestamp,
) -> Result<Vec<PgRow>, StoreError> {
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    chosen.sort_unstable();
    let claim = sqlx::query(sql)
        .bind(column(&chosen, |(id, _)| id.as_uuid()))
        .bind(column(&chosen, |(_, fence)| *fence))
        .bind(lease_until.as_millis());
    let rows = transaction.change(claim).await?;
    plan::record_claimed(transaction, &chosen, &rows).await?;
    Ok(rows)
}

/// Claims due jobs of one handler that still have time to answer.
pub(crate) struct ClaimWork {
    pub(crate) handler: Arc<str>,
    pub(crate) limit: usize,
    pub(crate) now: Timestamp,
    pub(crate) lease_until: Timestamp,
}

impl Command for ClaimWork {
    type Answer = Vec<RunningJob>;

    async fn apply(&self, transaction: &mut Transaction) -> Result<Self::Answer, StoreError> {
        let Some(schedule) = transaction.schedule() else { return Ok(Vec::new()) };
        let due = schedule.due_work(&self.handler, self.now, self.limit);
        let read = |row: &dyn Columns| Ok((rows::running(row)?, rows::gathers(row)?));
        let found = claim(transaction, due, self.lease_until, read).await?;
        transaction.post_commit.moved(StateName::Queued, StateName::Running, count(found.rows));
        let mut jobs = Vec::with_capacity(found.jobs.len());
        for (job, gathers) in found.jobs {
            jobs.extend(if gathers {
                coalesce::join(transaction, job, self.lease_until).await?
            } else {
                Some(job)
            });
        }
        let next = transaction.schedule().and_then(|schedule| schedule.next_due(&self.handler));
        transaction.post_commit.work_lane(&self.handler, next);
        Ok(by_age(jobs, |job| job.waiting_since))
    }
}

/// Claims jobs of any handler that have run out of time to answer.
pub(crate) struct ClaimOverdue {
    pub(crate) limit: usize,
    pub(crate) now: Timestamp,
    pub(crate) lease_until: Timestamp,
}

impl Command for ClaimOverdue {
    type Answer = Overdue;

    async fn apply(&self, transaction: &mut Transaction) -> Result<Self::Answer, StoreError> {
        let Some(schedule) = transaction.schedule() else { return Ok(Overdue::default()) };
        let queued = schedule.overdue(self.now, self.limit);
        let awaiting = schedule.not_called_back(self.now, self.limit);
        let queued = claim(transaction, queued, self.lease_until, rows::running).await?;
        let awaiting = claim(transaction, awaiting, self.lease_until, rows::running).await?;
        let next = transaction.schedule().and_then(|schedule| schedule.next_overdue());
        let post_commit = &mut transaction.post_commit;
        post_commit.moved(StateName::Queued, StateName::Running, count(queued.rows));
        post_commit.moved(StateName::AwaitingCallback, StateName::Running, count(awaiting.rows));
        awaiting.jobs.iter().for_each(|job| post_commit.awaiting(&job.handler, -1));
        post_commit.work_deadline(next);
        Ok(Overdue {
            queued: by_age(queued.jobs, |job| job.waiting_since),
            awaiting: by_age(awaiting.jobs, |job| job.waiting_since),
        })
    }
}

/// Sorts the jobs by age, because RETURNING has no particular order.
pub(crate) fn by_age<J>(mut jobs: Vec<J>, waiting_since: impl Fn(&J) -> Timestamp) -> Vec<J> {
    jobs.sort_by_key(waiting_since);
    jobs
}

pub(crate) fn count(jobs: usize) -> i64 {
    i64::try_from(jobs).unwrap_or(i64::MAX)
}
