//! Cancels unfinished jobs, for an operator.

use rusqlite::OptionalExtension;
use sqlx::{Row, SqlitePool};

use model::AccountId;
use model::{JobId, StateName};

use crate::jobs::actions::NewAction;
use crate::sqlite::actions;
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::turns;
use crate::sqlite::write::account_bytes::body_bytes;
use crate::sqlite::write::bind::query;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::time::Moment;
use crate::{ActionKind, Actor, Cause, StoreError};

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

pub(crate) const CANCEL: &str = concat!(
    "UPDATE jobs SET state = 'cancelled', finished_at = :now, finished_service_at = :service_now, due_at = NULL, \
     lease_until = NULL, turn = NULL, coalesce_ms = NULL, last_error = coalesce(:why, last_error), fence = fence + 1 \
     WHERE id = :id AND state = :state RETURNING account_id, handler, ",
    body_bytes!()
);

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

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Self::Answer, StoreError> {
        let Some(state) = state_of(transaction, self.id)? else {
            return Ok(Err(StoreError::NoJob(self.id)));
        };
        if state.is_finished() {
            let allowed = "only an unfinished job can be cancelled";
            return Ok(Err(StoreError::WrongState { id: self.id, state, allowed }));
        }
        let line = turns::of(transaction, self.id)?;
        let values = query!(transaction, CANCEL, {
            "now" => self.now.calendar.as_millis(),
            "service_now" => self.now.service.as_millis(),
            "why" => self.why,
            "id" => self.id.as_uuid(),
            "state" => state.as_str(),
        }, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let post_commit = &mut transaction.post_commit;
        let values: Vec<(i64, String, i64)> = values;
        for (account, handler, bytes) in values {
            post_commit.bytes.finished(account, bytes);
            if state == StateName::AwaitingCallback
                && let Ok(handler) = handler.parse()
            {
                post_commit.awaiting(&handler, -1);
            }
        }
        post_commit.moved(state, StateName::Cancelled, 1);
        if let Some(conversation) = &line {
            turns::give(transaction, conversation)?;
        }
        if let Some(by) = &self.by {
            actions::record(transaction, &NewAction::on_job(by, ActionKind::JobsCancel, self.id))?;
        }
        Ok(Ok(()))
    }
}

/// Returns the state of a job; `None` if there is no such job.
pub(crate) fn state_of(transaction: &Transaction<'_>, id: JobId) -> Result<Option<StateName>, StoreError> {
    let mut statement = transaction.prepare_cached("SELECT state FROM jobs WHERE id = ?")?;
    let name: Option<String> = statement.query_one([id.as_uuid()], |row| row.get(0)).optional()?;
    let corrupt = |error: model::UnknownState| StoreError::Corrupt {
        table: "jobs",
        column: "state",
        id: id.to_string(),
        why: Cause::of(error),
    };
    name.map(|name| name.parse().map_err(corrupt)).transpose()
}

/// The number of jobs to cancel at the same time. They share transactions, with room left for other operations.
const CANCELLED_AT_ONCE: usize = 128;

/// Selects the unfinished jobs of the accounts in `?1`, a JSON array. It reads all unfinished jobs, because an account is
/// revoked far less often than an index by account would have to be changed.
pub(crate) const UNFINISHED: &str = "SELECT id FROM jobs INDEXED BY jobs_overdue \
     WHERE state = 'queued' AND account_id IN (SELECT value FROM json_each(?1)) \
     UNION ALL SELECT id FROM jobs INDEXED BY jobs_awaiting \
     WHERE state = 'awaiting_callback' AND account_id IN (SELECT value FROM json_each(?1)) \
     UNION ALL SELECT id FROM jobs INDEXED BY jobs_undelivered \
     WHERE state = 'delivering' AND lease_until IS NULL AND account_id IN (SELECT value FROM json_each(?1)) \
     UNION ALL SELECT id FROM jobs INDEXED BY jobs_leased \
     WHERE lease_until IS NOT NULL AND account_id IN (SELECT value FROM json_each(?1))";

async fn unfinished(pool: &SqlitePool, account_ids: &[AccountId]) -> Result<Vec<JobId>, StoreError> {
    let numbers: Vec<i64> = account_ids.iter().map(|account_id| account_id.0).collect();
    let rows =
        sqlx::query(UNFINISHED).bind(serde_json::Value::from(numbers).to_string()).fetch_all(pool).await?;
    rows.iter().map(|row| Ok(JobId::from_uuid(row.try_get(0)?))).collect()
}
