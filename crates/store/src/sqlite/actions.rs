//! The log of actions. A command that changes the store for an operator records it in its own transaction.

use rusqlite::Connection;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use model::{JobId, Timestamp};

use crate::sqlite::engine::Engine;
use crate::sqlite::write::bind::execute;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::{Action, ActionFilter, ActionKind, ActionPage, ActionResult, ActionSource, Actor, StoreError};

/// The maximum number of actions in the log. Older ones are deleted, except for those that continue.
pub(crate) const MAX_ACTIONS: i64 = 10_000;
/// The maximum number of characters of a target.
const MAX_TARGET: usize = 1_000;

/// An action to record.
#[derive(Clone, Debug)]
pub(crate) struct NewAction {
    pub(crate) by: Actor,
    pub(crate) kind: ActionKind,
    pub(crate) job_id: Option<JobId>,
    pub(crate) target: Option<String>,
    /// The number of changed or restored jobs.
    pub(crate) jobs: u64,
    pub(crate) result: ActionResult,
}

impl NewAction {
    /// Creates an action that is done and concerns no job.
    pub(crate) fn on(by: &Actor, kind: ActionKind, target: impl Into<String>) -> Self {
        let target = Some(target.into()).filter(|target| !target.is_empty());
        Self { by: by.clone(), kind, job_id: None, target, jobs: 0, result: ActionResult::Done }
    }

    /// Creates an action that has changed one job.
    pub(crate) fn on_job(by: &Actor, kind: ActionKind, id: JobId) -> Self {
        Self { by: by.clone(), kind, job_id: Some(id), target: None, jobs: 1, result: ActionResult::Done }
    }
}

const INSERT: &str = "INSERT INTO actions (at, source, who, what, job_id, target, jobs, result) \
     VALUES (:at, :source, :who, :what, :job_id, :target, :jobs, :result)";
const TRIM: &str = "DELETE FROM actions WHERE id <= :id AND result <> 'running'";
const CHANGE: &str = "UPDATE actions SET jobs = :jobs, result = :result WHERE id = :id";
const CHANGE_TARGET: &str = "UPDATE actions SET target = :target WHERE id = :id";
const ADD_JOBS: &str = "UPDATE actions SET jobs = jobs + :jobs WHERE id = :id";
/// Reads the whole log in the worst case, which has at most [`MAX_ACTIONS`] rows.
pub(crate) const PAGE: &str = "SELECT id, at, source, who, what, job_id, target, jobs, result FROM actions \
     WHERE id < ?1 AND (?3 IS NULL OR job_id = ?3) AND (?4 IS NULL OR what = ?4) AND (?5 IS NULL OR source = ?5) \
     AND (?6 IS NULL OR who = ?6) ORDER BY id DESC LIMIT ?2";

/// Records an action. Returns its number.
pub(crate) fn record(transaction: &Transaction<'_>, action: &NewAction) -> Result<i64, StoreError> {
    insert(transaction, action, transaction.moment.calendar)
}

/// Records an action in a store that no writer has open. Returns its number; `None` if the store is of a version from
/// before the log of actions.
pub(crate) fn record_in(
    connection: &Connection,
    action: &NewAction,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    if !connection.table_exists(None, "actions")? {
        return Ok(None);
    }
    insert(connection, action, now).map(Some)
}

/// Changes the target of an action.
pub(crate) fn change_target(connection: &Connection, id: i64, target: &str) -> Result<(), StoreError> {
    execute!(connection, CHANGE_TARGET, { "target" => target, "id" => id });
    Ok(())
}

fn insert(connection: &Connection, action: &NewAction, now: Timestamp) -> Result<i64, StoreError> {
    let target: Option<String> = action.target.as_ref().map(|text| text.chars().take(MAX_TARGET).collect());
    execute!(connection, INSERT, {
        "at" => now.as_millis(),
        "source" => action.by.source().as_str(),
        "who" => action.by.name(),
        "what" => action.kind.as_str(),
        "job_id" => action.job_id.map(JobId::as_uuid),
        "target" => target,
        "jobs" => stored(action.jobs),
        "result" => action.result.as_str(),
    });
    let id = connection.last_insert_rowid();
    execute!(connection, TRIM, { "id" => id - MAX_ACTIONS });
    Ok(id)
}

/// Sets the number of changed jobs and the result of an action.
pub(crate) fn change(
    transaction: &Transaction<'_>,
    id: i64,
    jobs: u64,
    result: ActionResult,
) -> Result<(), StoreError> {
    execute!(transaction, CHANGE, { "jobs" => stored(jobs), "result" => result.as_str(), "id" => id });
    Ok(())
}

/// Adds to the number of changed jobs of an action.
pub(crate) fn add_jobs(transaction: &Transaction<'_>, id: i64, jobs: u64) -> Result<(), StoreError> {
    execute!(transaction, ADD_JOBS, { "jobs" => stored(jobs), "id" => id });
    Ok(())
}

fn stored(jobs: u64) -> i64 {
    i64::try_from(jobs).unwrap_or(i64::MAX)
}

/// Records an action that changes nothing in the store.
struct Record(NewAction);

impl Command for Record {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        record(transaction, &self.0).map(|_id| ())
    }
}

impl Engine {
    pub(crate) async fn record_action(
        &self,
        by: &Actor,
        kind: ActionKind,
        target: String,
        result: ActionResult,
    ) -> Result<(), StoreError> {
        self.execute(Record(NewAction { result, ..NewAction::on(by, kind, target) })).await
    }

    pub(crate) async fn record_reveal(&self, by: &Actor, id: JobId) -> Result<(), StoreError> {
        self.execute(Record(NewAction { jobs: 0, ..NewAction::on_job(by, ActionKind::JobsReveal, id) })).await
    }

    pub(crate) async fn actions(
        &self,
        filter: &ActionFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<ActionPage, StoreError> {
        let before = before.map_or(i64::MAX, stored);
        let query = sqlx::query(PAGE).bind(before).bind(i64::from(limit) + 1);
        let query = query.bind(filter.job_id.map(JobId::as_uuid)).bind(filter.kind.map(ActionKind::as_str));
        let query = query.bind(filter.source.map(ActionSource::as_str)).bind(filter.who.as_deref());
        let rows = query.fetch_all(&self.reading).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let actions: Vec<Action> = rows.iter().take(limit).map(action).collect::<Result<_, _>>()?;
        let next = actions.last().filter(|_| rows.len() > limit).map(|last| last.id);
        Ok(ActionPage { actions, next })
    }
}

fn action(row: &SqliteRow) -> Result<Action, StoreError> {
    let id: i64 = row.try_get("id")?;
    let corrupt = |column: &'static str| StoreError::Corrupt {
        table: "actions",
        column,
        id: id.to_string(),
        why: "unknown".into(),
    };
    let by = actor(row)?.ok_or_else(|| corrupt("source"))?;
    let job_id: Option<uuid::Uuid> = row.try_get("job_id")?;
    let jobs: i64 = row.try_get("jobs")?;
    Ok(Action {
        id: id.unsigned_abs(),
        at: Timestamp::from_millis(row.try_get("at")?),
        by,
        what: row.try_get("what")?,
        job_id: job_id.map(JobId::from_uuid),
        target: row.try_get("target")?,
        jobs: jobs.unsigned_abs(),
        result: ActionResult::from_name(row.try_get("result")?).ok_or_else(|| corrupt("result"))?,
    })
}

/// Reads `source` and `who`; `None` if the source is unknown.
pub(crate) fn actor(row: &SqliteRow) -> Result<Option<Actor>, StoreError> {
    let source = ActionSource::from_name(row.try_get("source")?);
    let who: &str = row.try_get("who")?;
    Ok(source.map(|source| Actor::new(source, who)))
}
