//! Answers that come later: a completion from a callback or from an operator, and the claim of a job whose handler calls
//! back to report a failure.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::PgRow;

use model::{CheckedCompletion, JobId, RunningJob, StateName, Timestamp};

use crate::budget::signed;
use crate::jobs::actions::NewAction;
use crate::jobs::callbacks::{decide, note, runs};
use crate::jobs::rows;
use crate::postgres::actions;
use crate::postgres::engine::Engine;
use crate::postgres::jobs::locked::{LockedJob, lock_one};
use crate::postgres::jobs::row::{claimed, columns};
use crate::postgres::jobs::{completions, notes, turns};
use crate::postgres::schedule::{Planned, Waits};
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;
use crate::records::By;
use crate::{ActionKind, AwaitingClaim, Completed, StoreError};

pub(crate) const COMPLETE: &str = "UPDATE jobs SET state = 'delivering', due_at = $3, lease_until = NULL, \
     fence = fence + 1, turn = NULL, coalesce_ms = NULL, crashes = 0, outcome = 'handler', body_bytes = body_bytes + $4 \
     WHERE id = $1 AND fence = $2";

pub(crate) const CLAIM: &str = concat!(
    "UPDATE jobs SET state = 'running', lease_until = $4, fence = fence + 1 \
     WHERE id = $1 AND state = 'awaiting_callback' AND answer_by > $2 \
     AND ($3::bigint IS NULL OR handler_attempts = $3) RETURNING ",
    columns!()
);

/// Selects how many jobs of each handler await a callback. It reads all unfinished jobs: the owner has these numbers in
/// memory, and only commands ask.
pub(crate) const AWAITING: &str = "SELECT handler, count(*) FROM jobs \
     WHERE ended IS NULL AND state = 'awaiting_callback' GROUP BY handler";

impl Engine {
    pub(crate) async fn complete(
        &self,
        id: JobId,
        completion: CheckedCompletion,
        by: By,
    ) -> Result<Completed, StoreError> {
        self.execute(Complete { id, completion, by }).await?
    }

    pub(crate) async fn awaiting_by_handler(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let rows = sqlx::query(AWAITING).fetch_all(&self.reading).await?;
        let jobs = |row: &PgRow| {
            let jobs: i64 = row.try_get(1)?;
            Ok((row.try_get(0)?, u64::try_from(jobs).unwrap_or(0)))
        };
        rows.iter().map(jobs).collect()
    }

    pub(crate) async fn claim_awaiting(
        &self,
        id: JobId,
        attempt: Option<u32>,
        lease: Duration,
    ) -> Result<AwaitingClaim, StoreError> {
        let lease_until = self.lease(lease);
        self.execute(ClaimAwaiting { id, attempt, lease_until }).await?
    }
}

/// Gives a job the completion of its handler.
struct Complete {
    id: JobId,
    completion: CheckedCompletion,
    by: By,
}

impl Command for Complete {
    type Answer = Result<Completed, StoreError>;

    async fn apply(&self, transaction: &mut Transaction) -> Result<Self::Answer, StoreError> {
        let Some(job) = lock_one(transaction, self.id).await? else {
            return Ok(Err(StoreError::NoJob(self.id)));
        };
        let now = transaction.moment.steady;
        let is_in_time = matches!(self.by, By::Operator(_)) || now < job.answer_by;
        let completed = decide(job.state(), job.outcome, is_in_time);
        let Some(note) = note(completed, &self.by) else { return Ok(Ok(completed)) };
        notes::add_if_room(transaction, self.id, note).await?;
        if completed == Completed::Accepted {
            self.write(transaction, &job, now).await?;
            if let By::Operator(by) = &self.by {
                let action = NewAction::on_job(by, ActionKind::JobsComplete, self.id);
                actions::record(transaction, &action).await?;
            }
        }
        Ok(Ok(completed))
    }
}

impl Complete {
    async fn write(
        &self,
        transaction: &mut Transaction,
        job: &LockedJob,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let json = self.completion.as_json();
        completions::set(transaction, self.id, json).await?;
        let update = sqlx::query(COMPLETE)
            .bind(self.id.as_uuid())
            .bind(job.fence)
            .bind(now.as_millis())
            .bind(signed(json.len()));
        transaction.execute(update).await?;
        let post_commit = &mut transaction.post_commit;
        post_commit.moved(job.state(), StateName::Delivering, 1);
        if job.state() == StateName::AwaitingCallback {
            post_commit.awaiting(&job.handler, -1);
        }
        post_commit.bytes.grew(job.account_id, signed(json.len()));
        post_commit.undelivered(&job.origin, now);
        let waits = Waits::Delivering {
            origin: job.origin.as_str().into(),
            rank: 0,
            due_at: now,
            waiting_since: job.waiting_since,
            lease_until: None,
        };
        transaction.plan(self.id, Some(Planned { fence: job.fence + 1, waits }));
        if let Some(conversation) = &job.line {
            turns::give(transaction, conversation).await?;
        }
        Ok(())
    }
}

/// Claims a job that awaits a callback.
struct ClaimAwaiting {
    id: JobId,
    attempt: Option<u32>,
    lease_until: Timestamp,
}

impl Command for ClaimAwaiting {
    type Answer = Result<AwaitingClaim, StoreError>;

    async fn apply(&self, transaction: &mut Transaction) -> Result<Self::Answer, StoreError> {
        let claim = sqlx::query(CLAIM)
            .bind(self.id.as_uuid())
            .bind(transaction.moment.steady.as_millis())
            .bind(self.attempt.map(i64::from))
            .bind(self.lease_until.as_millis());
        let rows = transaction.change(claim).await?;
        let claimed = claimed(&rows, rows::running);
        let Some(job) = claimed.jobs.into_iter().next() else {
            let Some(job) = lock_one(transaction, self.id).await? else {
                return Ok(Err(StoreError::NoJob(self.id)));
            };
            return Ok(Ok(if runs(job.state(), job.attempts, self.attempt) {
                AwaitingClaim::NotYet
            } else {
                AwaitingClaim::NotAwaiting(job.state())
            }));
        };
        self.record(transaction, &job);
        Ok(Ok(AwaitingClaim::Claimed(Box::new(job))))
    }
}

impl ClaimAwaiting {
    fn record(&self, transaction: &mut Transaction, job: &RunningJob) {
        let waits = Waits::Running {
            handler: job.handler.as_str().into(),
            lease_until: self.lease_until,
            answer_by: job.answer_by,
        };
        transaction.plan(job.id, Some(Planned { fence: job.fence.0, waits }));
        let post_commit = &mut transaction.post_commit;
        post_commit.moved(StateName::AwaitingCallback, StateName::Running, 1);
        post_commit.awaiting(&job.handler, -1);
    }
}
