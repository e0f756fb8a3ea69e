//! Claims work: one statement finds the jobs, marks them and raises their fencing numbers.
//!
//! In the same transaction, each claim also finds when the next job of its lane is due. So
//! [`Lanes`](crate::lanes::Lanes) always includes the effect of the claim.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, SqliteConnection};

use model::{RunningJob, StateName, Timestamp};

use crate::StoreError;
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::rows::{self, COLUMNS};
use crate::sqlite::write::command::Command;
use crate::sqlite::write::post_commit::PostCommit;

// `LIMIT 0 + ?`: binding a bare parameter of a LIMIT makes SQLite plan the statement again, which takes as long as the
// claim itself.
//
// `DUE` leaves jobs that have run out of time to answer to `OVERDUE`. Otherwise a backlog of them would hold up fresh
// jobs.
pub(crate) const DUE: &str = "SELECT id FROM jobs \
     WHERE state = 'queued' AND handler = ?2 AND due_at <= ?3 AND answer_by > ?3 ORDER BY due_at LIMIT 0 + ?4";
pub(crate) const NEXT_DUE: &str = "SELECT min(due_at) FROM jobs WHERE state = 'queued' AND handler = ?";
pub(crate) const OVERDUE: &str = "SELECT id FROM jobs \
     WHERE state = 'queued' AND answer_by <= ?2 ORDER BY answer_by LIMIT 0 + ?3";
pub(crate) const NEXT_OVERDUE: &str = "SELECT min(answer_by) FROM jobs WHERE state = 'queued'";

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

    pub(crate) async fn claim_overdue(
        &self,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<RunningJob>, StoreError> {
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

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        post_commit: &mut PostCommit,
    ) -> Result<Self::Answer, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(run(DUE)))
            .bind(self.lease_until.as_millis())
            .bind(&*self.handler)
            .bind(self.now.as_millis())
            .bind(count(self.limit))
            .fetch_all(&mut *connection)
            .await?;
        started(connection, post_commit, &self.handler, rows.len()).await?;
        Ok(by_age(rows::readable(&rows, rows::running), |job| job.waiting_since))
    }
}

/// Claims jobs of any handler that have run out of time to answer.
pub(crate) struct ClaimOverdue {
    pub(crate) limit: usize,
    pub(crate) now: Timestamp,
    pub(crate) lease_until: Timestamp,
}

impl Command for ClaimOverdue {
    type Answer = Vec<RunningJob>;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        post_commit: &mut PostCommit,
    ) -> Result<Self::Answer, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(run(OVERDUE)))
            .bind(self.lease_until.as_millis())
            .bind(self.now.as_millis())
            .bind(count(self.limit))
            .fetch_all(&mut *connection)
            .await?;
        post_commit.moved(StateName::Queued, StateName::Running, signed(rows.len()));
        let next: Option<i64> = sqlx::query_scalar(NEXT_OVERDUE).fetch_one(connection).await?;
        post_commit.work_deadline(next.map(Timestamp::from_millis));
        Ok(by_age(rows::readable(&rows, rows::running), |job| job.waiting_since))
    }
}

pub(crate) fn run(select: &str) -> String {
    format!(
        "UPDATE jobs SET state = 'running', due_at = NULL, lease_until = ?1, fence = fence + 1 \
         WHERE id IN ({select}) RETURNING {COLUMNS}"
    )
}

async fn started(
    connection: &mut SqliteConnection,
    post_commit: &mut PostCommit,
    handler: &str,
    jobs: usize,
) -> Result<(), StoreError> {
    post_commit.moved(StateName::Queued, StateName::Running, signed(jobs));
    let next: Option<i64> = sqlx::query_scalar(NEXT_DUE).bind(handler).fetch_one(connection).await?;
    post_commit.work_lane(handler, next.map(Timestamp::from_millis));
    Ok(())
}

/// Sorts the jobs by age, because RETURNING has no particular order.
pub(crate) fn by_age<J>(mut jobs: Vec<J>, waiting_since: impl Fn(&J) -> Timestamp) -> Vec<J> {
    jobs.sort_by_key(waiting_since);
    jobs
}

pub(crate) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn signed(jobs: usize) -> i64 {
    count(jobs)
}
