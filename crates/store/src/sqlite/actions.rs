//! The log of actions. A command that changes the store for an operator records it in its own transaction.

use rusqlite::Connection;

use model::{JobId, Timestamp};

use crate::jobs::actions::{self, MAX_ACTIONS, NewAction, stored};
use crate::jobs::row::Columns;
use crate::sqlite::engine::Engine;
use crate::sqlite::write::bind::execute;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::{ActionFilter, ActionKind, ActionPage, ActionResult, ActionSource, Actor, StoreError};

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
    execute!(connection, INSERT, {
        "at" => now.as_millis(),
        "source" => action.by.source().as_str(),
        "who" => action.by.name(),
        "what" => action.kind.as_str(),
        "job_id" => action.job_id.map(JobId::as_uuid),
        "target" => action.short_target(),
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
        actions::page(rows.iter().map(|row| row as &dyn Columns), limit)
    }
}
