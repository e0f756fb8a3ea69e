//! Claims work: one statement finds the jobs, marks them and raises their fencing numbers.
//!
//! In the same transaction, each claim also finds when the next job of its lane is due. So
//! [`Lanes`](crate::lanes::Lanes) always includes the effect of the claim.

use std::sync::Arc;
use std::time::Duration;

use model::{RunningJob, StateName, Timestamp};

use crate::StoreError;
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::row::columns;
use crate::sqlite::jobs::rows;
use crate::sqlite::write::bind::bind;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;

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
pub(crate) const NEXT_OVERDUE: &str = "SELECT min(answer_by) FROM jobs WHERE state = 'queued'";

impl Engine {
    pub(crate) async fn claim_work(
        &self,
        handler: Arc<str>,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<RunningJob>, StoreError> {
        let (now, lease_until) = (self.moment().steady, self.lease(lease));
        self.execute(ClaimWork { which: Claimable::Due(handler), limit, now, lease_until }).await
    }

    pub(crate) async fn claim_overdue(
        &self,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<RunningJob>, StoreError> {
        let (now, lease_until) = (self.moment().steady, self.lease(lease));
        self.execute(ClaimWork { which: Claimable::Overdue, limit, now, lease_until }).await
    }
}

/// Claims queued jobs.
pub(crate) struct ClaimWork {
    pub(crate) which: Claimable,
    pub(crate) limit: usize,
    pub(crate) now: Timestamp,
    pub(crate) lease_until: Timestamp,
}

/// Which queued jobs a claim may take.
pub(crate) enum Claimable {
    /// Due jobs of one handler that still have time to answer.
    Due(Arc<str>),
    /// Jobs of any handler that have run out of time to answer.
    Overdue,
}

impl Command for ClaimWork {
    type Answer = Vec<RunningJob>;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Self::Answer, StoreError> {
        let (now, lease_until) = (self.now.as_millis(), self.lease_until.as_millis());
        let limit = count(self.limit);
        let (claimed, next): (_, Option<i64>) = match &self.which {
            Claimable::Due(handler) => {
                let mut statement = transaction.prepare_cached(DUE)?;
                bind!(statement, DUE, {
                    "lease_until" => lease_until,
                    "handler" => &**handler,
                    "now" => now,
                    "limit" => limit,
                });
                let claimed = rows::claimed(statement.raw_query(), rows::running)?;
                let mut next = transaction.prepare_cached(NEXT_DUE)?;
                (claimed, next.query_one([&**handler], |row| row.get(0))?)
            }
            Claimable::Overdue => {
                let mut statement = transaction.prepare_cached(OVERDUE)?;
                bind!(statement, OVERDUE, { "lease_until" => lease_until, "now" => now, "limit" => limit });
                let claimed = rows::claimed(statement.raw_query(), rows::running)?;
                let mut next = transaction.prepare_cached(NEXT_OVERDUE)?;
                (claimed, next.query_one((), |row| row.get(0))?)
            }
        };
        let (post_commit, next) = (&mut transaction.post_commit, next.map(Timestamp::from_millis));
        post_commit.moved(StateName::Queued, StateName::Running, count(claimed.rows));
        match &self.which {
            Claimable::Due(handler) => post_commit.work_lane(handler, next),
            Claimable::Overdue => post_commit.work_deadline(next),
        }
        Ok(by_age(claimed.jobs, |job| job.waiting_since))
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
