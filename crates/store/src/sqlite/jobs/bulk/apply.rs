//! The commands of bulk changes.

use rusqlite::OptionalExtension;

use model::JobId;

use crate::jobs::actions::NewAction;
use crate::jobs::bulk::{Batch, Candidate, after};
use crate::records::NewBulk;
use crate::sqlite::actions;
use crate::sqlite::jobs::erase::{Erased, erase, overwriting};
use crate::sqlite::jobs::operator::cancel::{Cancel, state_of};
use crate::sqlite::jobs::operator::retry::Retry;
use crate::sqlite::write::bind::{bind, execute};
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::time::Moment;
use crate::{ActionKind, ActionResult, Actor, BulkAction, RetryOptions, StoreError};

const INSERT: &str = "INSERT INTO bulk_changes (id, action, filter, at, force, before_id, max_jobs, state) \
     VALUES (:id, :action, :filter, :at, :force, :before_id, :max_jobs, 'running')";

/// Begins a bulk change. Answers with its number.
pub(super) struct Start(pub(super) NewBulk);

impl Command for Start {
    type Answer = u64;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<u64, StoreError> {
        let NewBulk { by, action, filter, force, newest, max_jobs } = &self.0;
        let newest = match newest {
            Some(newest) => Some(newest.as_uuid()),
            None => transaction.query_one("SELECT max(id) FROM jobs", (), |row| row.get(0))?,
        };
        let result = ActionResult::Running;
        let id = actions::record(
            transaction,
            &NewAction { jobs: 0, result, ..NewAction::on(by, action.kind(), filter) },
        )?;
        execute!(transaction, INSERT, {
            "id" => id,
            "action" => action.as_str(),
            "filter" => filter,
            "at" => transaction.moment.calendar.as_millis(),
            "force" => force,
            "before_id" => after(newest),
            "max_jobs" => max_jobs.map(|jobs| i64::try_from(jobs).unwrap_or(i64::MAX)),
        });
        Ok(id.unsigned_abs())
    }
}

const FIND: &str = "SELECT action, force, max_jobs, changed, skipped FROM bulk_changes \
     WHERE id = :id AND state = 'running' AND before_id = :before_id";
const ADVANCE: &str = "UPDATE bulk_changes SET before_id = :before_id, changed = :changed, skipped = :skipped, \
     state = :state WHERE id = :id";

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

impl Command for ApplyBatch {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let Some(mut found) = self.find(transaction)? else { return Ok(()) };
        if found.action == BulkAction::Erase {
            overwriting(transaction, |transaction| self.each(transaction, &mut found))?;
        } else {
            self.each(transaction, &mut found)?;
        }
        let next = self.batch.next.filter(|_| found.changed < found.max_jobs);
        let state = if next.is_some() { ActionResult::Running } else { ActionResult::Done };
        execute!(transaction, ADVANCE, {
            "before_id" => next.unwrap_or(self.from).as_uuid(),
            "changed" => signed(found.changed),
            "skipped" => signed(found.skipped),
            "state" => state.as_str(),
            "id" => signed(self.id),
        });
        actions::change(transaction, signed(self.id), found.changed, state)
    }
}

impl ApplyBatch {
    fn find(&self, transaction: &Transaction<'_>) -> Result<Option<Found>, StoreError> {
        let mut statement = transaction.prepare_cached(FIND)?;
        bind!(statement, FIND, { "id" => signed(self.id), "before_id" => self.from.as_uuid() });
        let mut rows = statement.raw_query();
        let Some(row) = rows.next()? else { return Ok(None) };
        let action = BulkAction::from_name(&row.get::<_, String>(0)?);
        let max_jobs: Option<i64> = row.get(2)?;
        let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
        Ok(Some(Found {
            action: action.ok_or_else(|| StoreError::Corrupt {
                table: "bulk_changes",
                column: "action",
                id: self.id.to_string(),
                why: "unknown".into(),
            })?,
            force: row.get(1)?,
            max_jobs: max_jobs.map_or(u64::MAX, i64::unsigned_abs),
            changed: number(3)?,
            skipped: number(4)?,
        }))
    }

    fn each(&self, transaction: &mut Transaction<'_>, found: &mut Found) -> Result<(), StoreError> {
        for job in &self.batch.jobs {
            if found.changed >= found.max_jobs {
                break;
            }
            match self.change(transaction, *job, found)? {
                Each::Changed => found.changed += 1,
                Each::Skipped => found.skipped += 1,
                Each::Nothing => {}
            }
        }
        Ok(())
    }

    fn change(
        &self,
        transaction: &mut Transaction<'_>,
        Candidate { id, state, .. }: Candidate,
        found: &Found,
    ) -> Result<Each, StoreError> {
        if found.action == BulkAction::Erase {
            return Ok(match erase(transaction, id, found.force, self.now)? {
                Erased::Done => Each::Changed,
                Erased::Nothing => Each::Nothing,
                Erased::Unfinished => Each::Skipped,
            });
        }
        // It matched the filter in that state.
        if state_of(transaction, id)? != Some(state) {
            return Ok(Each::Skipped);
        }
        let changed = if found.action == BulkAction::Retry {
            let options = RetryOptions { force: found.force, ..RetryOptions::default() };
            Retry { id, options, now: self.now.steady, by: None }.apply(transaction)?
        } else {
            Cancel { id, now: self.now, why: None, by: None }.apply(transaction)?
        };
        Ok(if changed.is_ok() { Each::Changed } else { Each::Skipped })
    }
}

/// What became of one job.
enum Each {
    Changed,
    /// Its state does not allow the change, or has changed since the search.
    Skipped,
    Nothing,
}

const END: &str = "UPDATE bulk_changes SET state = :state WHERE id = :id AND state = 'running'";

/// Ends a change before it is complete. Answers whether it was running.
pub(super) struct End {
    pub(super) id: u64,
    pub(super) result: ActionResult,
    /// The operator who stops it.
    pub(super) by: Option<Actor>,
}

impl Command for End {
    type Answer = bool;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let id = signed(self.id);
        if execute!(transaction, END, { "state" => self.result.as_str(), "id" => id }) == 0 {
            return Ok(false);
        }
        let mut statement = transaction.prepare_cached("SELECT changed FROM bulk_changes WHERE id = ?")?;
        let changed: Option<i64> = statement.query_one([id], |row| row.get(0)).optional()?;
        actions::change(transaction, id, changed.unwrap_or(0).unsigned_abs(), self.result)?;
        if let Some(by) = &self.by {
            actions::record(
                transaction,
                &NewAction::on(by, ActionKind::JobsStop, format!("action {}", self.id)),
            )?;
        }
        Ok(true)
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
