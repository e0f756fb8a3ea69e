//! Answers that come later: a completion from a callback or from an operator, and the claim of a job whose handler calls
//! back to report a failure.

use std::collections::BTreeMap;
use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

use rusqlite::OptionalExtension;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use model::maps::HashMap;
use model::{CheckedCompletion, HandlerName, JobId, OutcomeName, RunningJob, StateName, Timestamp};

use crate::budget::signed;
use crate::jobs::actions::NewAction;
use crate::jobs::callbacks::{decide, note, runs};
use crate::jobs::row::columns;
use crate::jobs::rows;
use crate::records::By;
use crate::sqlite::actions;
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::row::claimed;
use crate::sqlite::jobs::{notes, turns};
use crate::sqlite::write::bind::{bind, execute, read_all};
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::{ActionKind, AwaitingClaim, Cause, Completed, StoreError};

pub(crate) const FIND: &str =
    "SELECT state, outcome, handler, origin, account_id, answer_by, handler_attempts FROM jobs WHERE id = ?";

pub(crate) const COMPLETE: &str = "UPDATE jobs SET state = 'delivering', due_at = :now, lease_until = NULL, \
     fence = fence + 1, turn = NULL, coalesce_ms = NULL, crashes = 0, completion = :completion, outcome = 'handler' \
     WHERE id = :id AND (state = 'queued' OR state = 'running' OR state = 'awaiting_callback')";

pub(crate) const CLAIM: &str = concat!(
    "UPDATE jobs SET state = 'running', lease_until = :lease_until, fence = fence + 1 \
     WHERE id = :id AND state = 'awaiting_callback' AND answer_by > :now \
     AND (:attempt IS NULL OR handler_attempts = :attempt) RETURNING ",
    columns!()
);

/// Selects how many jobs of each handler await a callback.
pub(crate) const AWAITING: &str =
    "SELECT handler, count(*) FROM jobs WHERE state = 'awaiting_callback' GROUP BY handler";

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
        let jobs = |row: &SqliteRow| {
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

/// What decides about a callback.
struct Found {
    state: StateName,
    outcome: Option<OutcomeName>,
    handler: HandlerName,
    origin: String,
    account_id: i64,
    answer_by: Timestamp,
    attempts: u32,
}

fn find(transaction: &Transaction<'_>, id: JobId) -> Result<Option<Found>, StoreError> {
    let mut statement = transaction.prepare_cached(FIND)?;
    let columns = |row: &rusqlite::Row<'_>| {
        let texts: (String, Option<String>, String, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok((texts, row.get(4)?, row.get(5)?, row.get(6)?))
    };
    let Some((texts, account_id, answer_by, attempts)) =
        statement.query_one([id.as_uuid()], columns).optional()?
    else {
        return Ok(None);
    };
    let (state, outcome, handler, origin) = texts;
    let outcome = outcome.map(|name| parsed(id, "outcome", &name)).transpose()?;
    Ok(Some(Found {
        state: parsed(id, "state", &state)?,
        outcome,
        handler: parsed(id, "handler", &handler)?,
        origin,
        account_id,
        answer_by: Timestamp::from_millis(answer_by),
        attempts,
    }))
}

fn parsed<T: FromStr<Err: Error + Send + Sync + 'static>>(
    id: JobId,
    column: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    text.parse().map_err(|error| StoreError::Corrupt {
        table: "jobs",
        column,
        id: id.to_string(),
        why: Cause::of(error),
    })
}

/// Gives a job the completion of its handler.
struct Complete {
    id: JobId,
    completion: CheckedCompletion,
    by: By,
}

impl Command for Complete {
    type Answer = Result<Completed, StoreError>;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Self::Answer, StoreError> {
        let Some(found) = find(transaction, self.id)? else {
            return Ok(Err(StoreError::NoJob(self.id)));
        };
        let now = transaction.moment.steady;
        let completed =
            decide(found.state, found.outcome, matches!(self.by, By::Operator(_)) || now < found.answer_by);
        let Some(note) = note(completed, &self.by) else { return Ok(Ok(completed)) };
        notes::add_if_room(transaction, self.id, note)?;
        if completed == Completed::Accepted {
            let json = self.completion.as_json();
            let line = turns::of(transaction, self.id)?;
            execute!(transaction, COMPLETE, {
                "id" => self.id.as_uuid(),
                "now" => now.as_millis(),
                "completion" => json,
            });
            let post_commit = &mut transaction.post_commit;
            post_commit.moved(found.state, StateName::Delivering, 1);
            if found.state == StateName::AwaitingCallback {
                post_commit.awaiting(&found.handler, -1);
            }
            post_commit.bytes.grew(found.account_id, signed(json.len()));
            post_commit.undelivered(&found.origin, now);
            if let Some(conversation) = &line {
                turns::give(transaction, conversation)?;
            }
            if let By::Operator(by) = &self.by {
                actions::record(transaction, &NewAction::on_job(by, ActionKind::JobsComplete, self.id))?;
            }
        }
        Ok(Ok(completed))
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

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Self::Answer, StoreError> {
        let claimed: Vec<RunningJob> = {
            let mut statement = transaction.prepare_cached(CLAIM)?;
            bind!(statement, CLAIM, {
                "id" => self.id.as_uuid(),
                "attempt" => self.attempt,
                "now" => transaction.moment.steady.as_millis(),
                "lease_until" => self.lease_until.as_millis(),
            });
            claimed(statement.raw_query(), rows::running)?.jobs
        };
        let Some(job) = claimed.into_iter().next() else {
            let Some(found) = find(transaction, self.id)? else {
                return Ok(Err(StoreError::NoJob(self.id)));
            };
            return Ok(Ok(if runs(found.state, found.attempts, self.attempt) {
                AwaitingClaim::NotYet
            } else {
                AwaitingClaim::NotAwaiting(found.state)
            }));
        };
        let post_commit = &mut transaction.post_commit;
        post_commit.moved(StateName::AwaitingCallback, StateName::Running, 1);
        post_commit.awaiting(&job.handler, -1);
        Ok(Ok(AwaitingClaim::Claimed(Box::new(job))))
    }
}

/// Reads how many jobs of each handler await a callback.
pub(crate) fn awaiting(transaction: &Transaction<'_>) -> Result<HashMap<HandlerName, i64>, StoreError> {
    let mut statement = transaction.prepare_cached(AWAITING)?;
    let rows: Vec<(String, i64)> = read_all(statement.raw_query(), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.into_iter().filter_map(|(handler, jobs)| Some((handler.parse().ok()?, jobs))).collect())
}
