//! Cancels unfinished jobs, for an operator.

use sqlx::{PgPool, Row};

use model::maps::HashSet;
use model::{AccountId, JobId, StateName};

use crate::jobs::actions::NewAction;
use crate::postgres::actions;
use crate::postgres::engine::Engine;
use crate::postgres::jobs::locked::{LockedJob, ids, lock_one};
use crate::postgres::jobs::turns;
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;
use crate::time::Moment;
use crate::{ActionKind, Actor, StoreError};

impl Engine {
    pub(crate) async fn cancel(&self, id: JobId, by: &Actor) -> Result<(), StoreError> {
        self.execute(Cancel { id, now: self.moment(), why: None, by: Some(by.clone()) }).await?
    }

    pub(crate) async fn cancel_accounts(
        &self,
        account_ids: &[AccountId],
        why: &'static str,
    ) -> Result<u64, StoreError> {
        if account_ids.is_empty() {
            return Ok(0);
        }
        let mut cancelled = 0;
        for some in unfinished(&self.reading, account_ids).await?.chunks(CANCELLED_AT_ONCE) {
            let now = self.moment();
            let asked = some.iter().map(|&id| self.execute(Cancel { id, now, why: Some(why), by: None }));
            for answer in futures_util::future::join_all(asked).await {
                // A job that has finished in the meantime needs no cancelling.
                cancelled += u64::from(answer?.is_ok());
            }
        }
        Ok(cancelled)
    }
}

/// The jobs are locked and unfinished.
pub(crate) const CANCEL: &str = "UPDATE jobs SET state = 'cancelled', finished_at = $2, finished_service_at = $3, \
     due_at = NULL, lease_until = NULL, turn = NULL, coalesce_ms = NULL, last_error = coalesce($4, last_error), \
     fence = fence + 1 FROM unnest($1::uuid[]) AS asked (id) WHERE jobs.id = asked.id";

/// Moves an unfinished job to `cancelled`. Raising its fencing number voids any claim.
pub(crate) struct Cancel {
    pub(crate) id: JobId,
    pub(crate) now: Moment,
    /// The reason, stored as the job's last error; `None` keeps the previous error.
    pub(crate) why: Option<&'static str>,
    /// The operator, for the log of actions; `None` if this is part of another action.
    pub(crate) by: Option<Actor>,
}

impl Command for Cancel {
    type Answer = Result<(), StoreError>;

    async fn apply(&self, transaction: &mut Transaction) -> Result<Self::Answer, StoreError> {
        let Some(job) = lock_one(transaction, self.id).await? else {
            return Ok(Err(StoreError::NoJob(self.id)));
        };
        let state = job.state();
        if state.is_finished() {
            let allowed = "only an unfinished job can be cancelled";
            return Ok(Err(StoreError::WrongState { id: self.id, state, allowed }));
        }
        cancel(transaction, &[job], self.now, self.why).await?;
        if let Some(by) = &self.by {
            actions::record(transaction, &NewAction::on_job(by, ActionKind::JobsCancel, self.id)).await?;
        }
        Ok(Ok(()))
    }
}

/// Cancels jobs that are locked and unfinished.
pub(crate) async fn cancel(
    transaction: &mut Transaction,
    jobs: &[LockedJob],
    now: Moment,
    why: Option<&'static str>,
) -> Result<(), StoreError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let update = sqlx::query(CANCEL)
        .bind(ids(jobs))
        .bind(now.calendar.as_millis())
        .bind(now.service.as_millis())
        .bind(why);
    transaction.execute(update).await?;
    for job in jobs {
        transaction.plan(job.id, None);
        let post_commit = &mut transaction.post_commit;
        post_commit.bytes.finished(job.account_id, job.bytes);
        if job.state() == StateName::AwaitingCallback {
            post_commit.awaiting(&job.handler, -1);
        }
        post_commit.moved(job.state(), StateName::Cancelled, 1);
    }
    let lines: HashSet<_> = jobs.iter().filter_map(|job| job.line.as_ref()).collect();
    for conversation in lines {
        turns::give(transaction, conversation).await?;
    }
    Ok(())
}

/// The number of jobs to cancel at the same time. They share transactions, with room left for other operations.
const CANCELLED_AT_ONCE: usize = 128;

/// Selects the unfinished jobs of some accounts. It reads all unfinished jobs, because an account is revoked far less often
/// than an index by account would have to be changed.
pub(crate) const UNFINISHED: &str = "SELECT id FROM jobs WHERE ended IS NULL AND account_id = ANY ($1)";

async fn unfinished(pool: &PgPool, account_ids: &[AccountId]) -> Result<Vec<JobId>, StoreError> {
    let numbers: Vec<i64> = account_ids.iter().map(|account_id| account_id.0).collect();
    let rows = sqlx::query(UNFINISHED).bind(numbers).fetch_all(pool).await?;
    rows.iter().map(|row| Ok(JobId::from_uuid(row.try_get(0)?))).collect()
}
