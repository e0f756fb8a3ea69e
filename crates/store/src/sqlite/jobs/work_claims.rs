//! Claims work: one statement finds the jobs, marks them and raises their fencing numbers.
//!
//! In the same transaction, each claim also finds when the next job of its lane is due. So
//! [`Lanes`](crate::lanes::Lanes) always includes the effect of the claim.

use std::sync::Arc;
use std::time::Duration;

use sqlx::SqliteConnection;

use model::{RunningJob, StateName, Timestamp};

use crate::StoreError;
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::rows::{self, COLUMNS};
use crate::sqlite::write::command::Command;
use crate::sqlite::write::named::Named;
use crate::sqlite::write::post_commit::PostCommit;

// `LIMIT 0 + :limit`: binding a bare parameter of a LIMIT makes SQLite plan the statement again, which takes as long as the
// claim itself.
//
// `DUE` leaves jobs that have run out of time to answer to `OVERDUE`. Otherwise a backlog of them would hold up fresh
// jobs.
const DUE: &str = "SELECT id FROM jobs \
     WHERE state = 'queued' AND handler = :handler AND due_at <= :now AND answer_by > :now ORDER BY due_at LIMIT 0 + :limit";
pub(crate) const NEXT_DUE: &str = "SELECT min(due_at) FROM jobs WHERE state = 'queued' AND handler = ?";
const OVERDUE: &str = "SELECT id FROM jobs \
     WHERE state = 'queued' AND answer_by <= :now ORDER BY answer_by LIMIT 0 + :limit";
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

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        post_commit: &mut PostCommit,
    ) -> Result<Self::Answer, StoreError> {
        let sql = self.which.claim();
        let mut statement = Named::new(&sql)
            .value("lease_until", self.lease_until.as_millis())
            .value("now", self.now.as_millis())
            .value("limit", count(self.limit));
        if let Claimable::Due(handler) = &self.which {
            statement = statement.value("handler", &**handler);
        }
        let rows = statement.query()?.fetch_all(&mut *connection).await?;
        post_commit.moved(StateName::Queued, StateName::Running, count(rows.len()));
        let next = match &self.which {
            Claimable::Due(handler) => sqlx::query_scalar(NEXT_DUE).bind(&**handler),
            Claimable::Overdue => sqlx::query_scalar(NEXT_OVERDUE),
        };
        let next = next.fetch_one(connection).await?;
        let next = Option::<i64>::map(next, Timestamp::from_millis);
        match &self.which {
            Claimable::Due(handler) => post_commit.work_lane(handler, next),
            Claimable::Overdue => post_commit.work_deadline(next),
        }
        Ok(by_age(rows::readable(&rows, rows::running), |job| job.waiting_since))
    }
}

impl Claimable {
    /// Returns the SQL that claims these jobs.
    pub(crate) fn claim(&self) -> String {
        let select = match self {
            Self::Due(_) => DUE,
            Self::Overdue => OVERDUE,
        };
        format!(
            "UPDATE jobs SET state = 'running', due_at = NULL, lease_until = :lease_until, fence = fence + 1 \
             WHERE id IN ({select}) RETURNING {COLUMNS}"
        )
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
