//! The commands of bulk changes.

use sqlx::Row;

use model::JobId;

use crate::jobs::actions::{NewAction, stored};
use crate::jobs::bulk::{Batch, Candidate, after};
use crate::postgres::actions;
use crate::postgres::jobs::erase::{Erased, erase};
use crate::postgres::jobs::locked::{LockedJob, lock};
use crate::postgres::jobs::operator::cancel::cancel;
use crate::postgres::jobs::operator::retry::retry;
use crate::postgres::write::command::Command;
use crate::postgres::write::text::storable;
use crate::postgres::write::transaction::Transaction;
use crate::records::NewBulk;
use crate::retry::decide;
use crate::time::Moment;
use crate::{ActionKind, ActionResult, Actor, BulkAction, RetryOptions, StoreError};

pub(crate) const NEWEST: &str = "SELECT id FROM jobs ORDER BY id DESC LIMIT 1";
pub(crate) const INSERT: &str = "INSERT INTO bulk_changes (id, action, filter, at, force, before_id, max_jobs, state) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, 'running')";

/// Begins a bulk change. Answers with its number.
pub(super) struct Start(pub(super) NewBulk);

impl Command for Start {
    type Answer = u64;

    async fn apply(&self, transaction: &mut Transaction) -> Result<u64, StoreError> {
        let NewBulk { by, action, filter, force, newest, max_jobs } = &self.0;
        let newest = match newest {
            Some(newest) => Some(newest.as_uuid()),
            None => {
                let rows = transaction.read(sqlx::query(NEWEST)).await?;
                rows.first().map(|row| row.try_get(0)).transpose()?
            }
        };
        let running = NewAction { result: ActionResult::Running, ..NewAction::on(by, action.kind(), filter) };
        let id = actions::record(transaction, &running).await?;
        let insert = sqlx::query(INSERT)
            .bind(id)
            .bind(action.as_str())
            .bind(storable(filter))
            .bind(transaction.moment.calendar.as_millis())
            .bind(force)
            .bind(after(newest))
            .bind(max_jobs.map(stored));
        transaction.execute(insert).await?;
        Ok(id.unsigned_abs())
    }
}

/// Locks the change, so that two processes do not do the same batch.
pub(crate) const FIND: &str = "SELECT action, force, max_jobs, changed, skipped FROM bulk_changes \
     WHERE id = $1 AND state = 'running' AND before_id = $2 FOR NO KEY UPDATE";
pub(crate) const ADVANCE: &str =
    "UPDATE bulk_changes SET before_id = $2, changed = $3, skipped = $4, state = $5 WHERE id = $1";

/// Changes the jobs of one batch. Does nothing if the change has ended, or if another process has done this batch.
pub(super) struct ApplyBatch {
    pub(super) id: u64,
    /// Where the batch begins.
    pub(super) from: JobId,
    pub(super) batch: Batch,
    pub(super) now: Moment,
}

struct Found {
    action: BulkAction,
    force: bool,
    max_jobs: u64,
    changed: u64,
    skipped: u64,
}

impl Found {
    /// How many jobs the change may still change.
    fn left(&self) -> usize {
        usize::try_from(self.max_jobs.saturating_sub(self.changed)).unwrap_or(usize::MAX)
    }
}

impl Command for ApplyBatch {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let Some(mut found) = self.find(transaction).await? else { return Ok(()) };
        let mut jobs = self.batch.jobs.as_slice();
        // Jobs that do not change do not count, so others take their places.
        while !jobs.is_empty() && found.left() > 0 {
            let (some, rest) = jobs.split_at(found.left().min(jobs.len()));
            self.change(transaction, some, &mut found).await?;
            jobs = rest;
        }
        let next = self.batch.next.filter(|_| found.left() > 0);
        let state = if next.is_some() { ActionResult::Running } else { ActionResult::Done };
        let advance = sqlx::query(ADVANCE)
            .bind(stored(self.id))
            .bind(next.unwrap_or(self.from).as_uuid())
            .bind(stored(found.changed))
            .bind(stored(found.skipped))
            .bind(state.as_str());
        transaction.execute(advance).await?;
        actions::change(transaction, stored(self.id), found.changed, state).await
    }
}

impl ApplyBatch {
    async fn find(&self, transaction: &mut Transaction) -> Result<Option<Found>, StoreError> {
        let find = sqlx::query(FIND).bind(stored(self.id)).bind(self.from.as_uuid());
        let rows = transaction.read(find).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let action = BulkAction::from_name(row.try_get(0)?);
        let max_jobs: Option<i64> = row.try_get(2)?;
        let number = |column: usize| row.try_get(column).map(i64::unsigned_abs);
        Ok(Some(Found {
            action: action.ok_or_else(|| StoreError::Corrupt {
                table: "bulk_changes",
                column: "action",
                id: self.id.to_string(),
                why: "unknown".into(),
            })?,
            force: row.try_get(1)?,
            max_jobs: max_jobs.map_or(u64::MAX, i64::unsigned_abs),
            changed: number(3)?,
            skipped: number(4)?,
        }))
    }

    /// Changes `jobs`, as many as allow it.
    async fn change(
        &self,
        transaction: &mut Transaction,
        jobs: &[Candidate],
        found: &mut Found,
    ) -> Result<(), StoreError> {
        if found.action == BulkAction::Erase {
            let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
            for erased in erase(transaction, &ids, found.force, self.now).await? {
                match erased {
                    Erased::Done => found.changed += 1,
                    Erased::Unfinished => found.skipped += 1,
                    Erased::Nothing => {}
                }
            }
            return Ok(());
        }
        let mut allowed = lock(transaction, jobs.iter().map(|job| job.id)).await?;
        allowed.retain(|job| is_allowed(job, jobs, found));
        if found.action == BulkAction::Retry {
            retry(transaction, &allowed, found.force, self.now.steady).await?;
        } else {
            cancel(transaction, &allowed, self.now, None).await?;
        }
        found.changed += allowed.len() as u64;
        found.skipped += (jobs.len() - allowed.len()) as u64;
        Ok(())
    }
}

/// Whether a job still has the state in which it matched the filter, and this state allows the change.
fn is_allowed(job: &LockedJob, candidates: &[Candidate], found: &Found) -> bool {
    let state = job.state();
    let has_matched = candidates.iter().any(|candidate| candidate.id == job.id && candidate.state == state);
    let options = RetryOptions { force: found.force, ..RetryOptions::default() };
    has_matched
        && match found.action {
            BulkAction::Retry => decide(job.id, &job.found, &options).is_ok(),
            BulkAction::Cancel | BulkAction::Erase => !state.is_finished(),
        }
}

pub(crate) const END: &str =
    "UPDATE bulk_changes SET state = $2 WHERE id = $1 AND state = 'running' RETURNING changed";

/// Ends a change before it is complete. Answers whether it was running.
pub(super) struct End {
    pub(super) id: u64,
    pub(super) result: ActionResult,
    /// The operator who stops it.
    pub(super) by: Option<Actor>,
}

impl Command for End {
    type Answer = bool;

    async fn apply(&self, transaction: &mut Transaction) -> Result<bool, StoreError> {
        let id = stored(self.id);
        let end = sqlx::query(END).bind(id).bind(self.result.as_str());
        let rows = transaction.change(end).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        let changed: i64 = row.try_get(0)?;
        actions::change(transaction, id, changed.unsigned_abs(), self.result).await?;
        if let Some(by) = &self.by {
            let stop = NewAction::on(by, ActionKind::JobsStop, format!("action {}", self.id));
            actions::record(transaction, &stop).await?;
        }
        Ok(true)
    }
}
