//! Claims work: one statement finds the jobs, marks them and raises their fencing numbers.
//!
//! In the same transaction, each claim also finds when the next job of its lane is due. So
//! [`Lanes`](crate::lanes::Lanes) always includes the effect of the claim.

use std::sync::Arc;
use std::time::Duration;

use model::{RunningJob, StateName, Timestamp};

use crate::jobs::row::columns;
use crate::jobs::rows;
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::coalesce;
use crate::sqlite::jobs::row::claimed;
use crate::sqlite::write::bind::bind;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::{Overdue, StoreError};

/// Expands to the SQL that claims the jobs whose ids `$select` selects.
macro_rules! claim {
    ($select:literal) => {
        concat!(
            "UPDATE jobs SET state = 'running', due_at = NULL, lease_until = :lease_until, fence = fence + 1 \
             WHERE id IN (",
            $select,
            ") RETURNING ",
            columns!()
        )
    };
}

// `LIMIT 0 + :limit`: binding a bare parameter of a LIMIT makes SQLite plan the statement again, which takes as long as the
// claim itself.

/// Claims due jobs, and leaves those that have run out of time to answer to [`OVERDUE`]. Otherwise a backlog of them
/// would hold up fresh jobs.
pub(crate) const DUE: &str = claim!(
    "SELECT id FROM jobs WHERE state = 'queued' AND handler = :handler AND due_at <= :now AND answer_by > :now \
     ORDER BY due_at LIMIT 0 + :limit"
);
pub(crate) const NEXT_DUE: &str =
    "SELECT min(due_at) FROM jobs WHERE state = 'queued' AND handler = :handler";
pub(crate) const OVERDUE: &str = claim!(
    "SELECT id FROM jobs WHERE state = 'queued' AND answer_by <= :now ORDER BY answer_by LIMIT 0 + :limit"
);
/// Claims jobs whose handler has not called back in time.
pub(crate) const NOT_CALLED_BACK: &str = claim!(
    "SELECT id FROM jobs WHERE state = 'awaiting_callback' AND answer_by <= :now ORDER BY answer_by LIMIT 0 + :limit"
);
pub(crate) const NEXT_OVERDUE: &str = "SELECT min(answer_by) FROM ( \
     SELECT min(answer_by) AS answer_by FROM jobs WHERE state = 'queued' \
     UNION ALL SELECT min(answer_by) FROM jobs WHERE state = 'awaiting_callback')";

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

/// Claims due jobs of one handler that still have time to answer.
pub(crate) struct ClaimWork {
    pub(crate) handler: Arc<str>,
    pub(crate) limit: usize,
    pub(crate) now: Timestamp,
    pub(crate) lease_until: Timestamp,
}

impl Command for ClaimWork {
    type Answer = Vec<RunningJob>;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Self::Answer, StoreError> {
        let mut statement = transaction.prepare_cached(DUE)?;
        bind!(statement, DUE, {
            "lease_until" => self.lease_until.as_millis(),
            "handler" => &*self.handler,
            "now" => self.now.as_millis(),
            "limit" => count(self.limit),
        });
        let found = claimed(statement.raw_query(), |row| Ok((rows::running(row)?, rows::gathers(row)?)))?;
        transaction.post_commit.moved(StateName::Queued, StateName::Running, count(found.rows));
        let mut jobs = Vec::with_capacity(found.jobs.len());
        for (job, gathers) in found.jobs {
            jobs.extend(if gathers {
                coalesce::join(transaction, job, self.lease_until)?
            } else {
                Some(job)
            });
        }
        let mut next = transaction.prepare_cached(NEXT_DUE)?;
        let next: Option<i64> = next.query_one([&*self.handler], |row| row.get(0))?;
        let post_commit = &mut transaction.post_commit;
        post_commit.work_lane(&self.handler, next.map(Timestamp::from_millis));
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

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Self::Answer, StoreError> {
        let (now, lease_until, limit) =
            (self.now.as_millis(), self.lease_until.as_millis(), count(self.limit));
        let mut statement = transaction.prepare_cached(OVERDUE)?;
        bind!(statement, OVERDUE, { "lease_until" => lease_until, "now" => now, "limit" => limit });
        let queued = claimed(statement.raw_query(), rows::running)?;
        let mut statement = transaction.prepare_cached(NOT_CALLED_BACK)?;
        bind!(statement, NOT_CALLED_BACK, { "lease_until" => lease_until, "now" => now, "limit" => limit });
        let awaiting = claimed(statement.raw_query(), rows::running)?;
        let mut next = transaction.prepare_cached(NEXT_OVERDUE)?;
        let next: Option<i64> = next.query_one((), |row| row.get(0))?;
        let post_commit = &mut transaction.post_commit;
        post_commit.moved(StateName::Queued, StateName::Running, count(queued.rows));
        post_commit.moved(StateName::AwaitingCallback, StateName::Running, count(awaiting.rows));
        awaiting.jobs.iter().for_each(|job| post_commit.awaiting(&job.handler, -1));
        post_commit.work_deadline(next.map(Timestamp::from_millis));
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

pub(crate) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
