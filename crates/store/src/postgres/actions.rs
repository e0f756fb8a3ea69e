//! The log of actions. A command that changes the store for an operator records it in its own transaction.

use sqlx::Row;

use model::JobId;

use crate::jobs::actions::{self, MAX_ACTIONS, NewAction, stored};
use crate::jobs::row::Columns;
use crate::postgres::engine::Engine;
use crate::postgres::write::command::Command;
use crate::postgres::write::text::storable;
use crate::postgres::write::transaction::Transaction;
use crate::{ActionFilter, ActionKind, ActionPage, ActionResult, ActionSource, Actor, StoreError};

pub(crate) const INSERT: &str = "INSERT INTO actions (at, source, who, what, job_id, target, jobs, result) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";
pub(crate) const TRIM: &str = "DELETE FROM actions WHERE id <= $1 AND result <> 'running'";
pub(crate) const CHANGE: &str = "UPDATE actions SET jobs = $1, result = $2 WHERE id = $3";
pub(crate) const ADD_JOBS: &str = "UPDATE actions SET jobs = jobs + $1 WHERE id = $2";
/// Reads the whole log in the worst case, which has at most [`MAX_ACTIONS`] rows.
pub(crate) const PAGE: &str = "SELECT id, at, source, who, what, job_id, target, jobs, result FROM actions \
     WHERE id < $1 AND ($3::uuid IS NULL OR job_id = $3) AND ($4::text IS NULL OR what = $4) \
     AND ($5::text IS NULL OR source = $5) AND ($6::text IS NULL OR who = $6) ORDER BY id DESC LIMIT $2";

/// Records an action. Returns its number.
pub(crate) async fn record(transaction: &mut Transaction, action: &NewAction) -> Result<i64, StoreError> {
    let target = action.short_target();
    let insert = sqlx::query(INSERT)
        .bind(transaction.moment.calendar.as_millis())
        .bind(action.by.source().as_str())
        .bind(action.by.name())
        .bind(action.kind.as_str())
        .bind(action.job_id.map(JobId::as_uuid))
        .bind(target.as_deref().map(storable))
        .bind(stored(action.jobs))
        .bind(action.result.as_str());
    let id: i64 = match transaction.change(insert).await?.first() {
        Some(row) => row.try_get(0)?,
        None => return Err(StoreError::Database("an INSERT returned no row".into())),
    };
    transaction.execute(sqlx::query(TRIM).bind(id - MAX_ACTIONS)).await?;
    Ok(id)
}

/// Sets the number of changed jobs and the result of an action.
pub(crate) async fn change(
    transaction: &mut Transaction,
    id: i64,
    jobs: u64,
    result: ActionResult,
) -> Result<(), StoreError> {
    transaction.execute(sqlx::query(CHANGE).bind(stored(jobs)).bind(result.as_str()).bind(id)).await?;
    Ok(())
}

/// Adds to the number of changed jobs of an action.
pub(crate) async fn add_jobs(transaction: &mut Transaction, id: i64, jobs: u64) -> Result<(), StoreError> {
    transaction.execute(sqlx::query(ADD_JOBS).bind(stored(jobs)).bind(id)).await?;
    Ok(())
}

/// Records an action that changes nothing in the store.
struct Record(NewAction);

impl Command for Record {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        record(transaction, &self.0).await.map(|_id| ())
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
        let query = query.bind(filter.source.map(ActionSource::as_str));
        let query = query.bind(filter.who.as_deref().map(storable));
        let rows = query.fetch_all(&self.reading).await?;
        actions::page(rows.iter().map(|row| row as &dyn Columns), limit)
    }
}
