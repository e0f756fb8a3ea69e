//! Adds runs to the search index, and removes them.

use std::sync::Arc;

use uuid::Uuid;

use model::{JobId, Timestamp};

use crate::StoreError;
use crate::jobs::search::progress::SearchProgress;
use crate::jobs::search::run::{RunBuilder, RunSize};
use crate::jobs::search::watch::Indexed;
use crate::jobs::terms::{SearchedColumns, Term};
use crate::sqlite::write::bind::{bind, execute};
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;

pub(crate) const INDEXED_UNTIL: &str = "SELECT indexed_until FROM search_progress";
/// Selects the next jobs to index, oldest first.
pub(crate) const NEXT: &str = "SELECT id, handler, account_id, origin, entity_id, return_url FROM jobs \
     WHERE id > :after AND id < :below ORDER BY id LIMIT 0 + :jobs";
const INSERT_RUN: &str = "INSERT INTO search_runs (run, first_id, last_id, blocks) \
     VALUES ((SELECT coalesce(max(run), 0) + 1 FROM search_runs), :first, :last, :blocks)";
const INSERT_TERMS: &str = "INSERT INTO search_terms (bucket, run, entries) VALUES (:bucket, (SELECT max(run) FROM search_runs), :entries)";
const ADVANCE: &str = "UPDATE search_progress SET indexed_until = :last";
/// Makes the runs void that contain the id `:late` or later ones.
pub(crate) const MAKE_VOID: &str =
    "UPDATE search_progress SET indexed_until = :before WHERE indexed_until >= :late";
/// Selects the newest run, if it is void.
pub(crate) const VOID: &str = "SELECT max(run) FROM search_runs WHERE run = (SELECT max(run) FROM search_runs) \
     AND last_id > (SELECT indexed_until FROM search_progress)";
/// Ends the index with the newest run that is left.
pub(crate) const RETREAT: &str = "UPDATE search_progress SET indexed_until = min(indexed_until, coalesce( \
     (SELECT last_id FROM search_runs ORDER BY run DESC LIMIT 1), zeroblob(16)))";
/// Selects runs whose jobs are all deleted.
pub(crate) const EMPTY: &str = "SELECT run FROM search_runs AS r \
     WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE id BETWEEN r.first_id AND r.last_id) ORDER BY run LIMIT 0 + ?";
pub(crate) const DELETE_RUN: &str = "DELETE FROM search_runs WHERE run = :run";
pub(crate) const DELETE_TERMS: &str =
    "DELETE FROM search_terms WHERE run = :run AND bucket IN (SELECT value FROM json_each(:buckets))";

/// The maximum number of runs that one transaction deletes. It bounds the time for which requests wait.
pub(crate) const MAX_DELETED_RUNS: i64 = 8;

/// Adds the next run, from jobs that were received before `before`. Younger jobs may still be overtaken by jobs with
/// smaller ids.
pub(crate) struct IndexRun {
    pub(crate) progress: Arc<SearchProgress>,
    pub(crate) size: RunSize,
    pub(crate) before: Timestamp,
}

impl Command for IndexRun {
    type Answer = Indexed;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Indexed, StoreError> {
        let void: Option<i64> = transaction.prepare_cached(VOID)?.query_one((), |row| row.get(0))?;
        if let Some(run) = void {
            delete(transaction, run)?;
            execute!(transaction, RETREAT, {});
            return Ok(Indexed::Removed);
        }
        let after: Uuid = transaction.prepare_cached(INDEXED_UNTIL)?.query_one((), |row| row.get(0))?;
        let mut run = RunBuilder::default();
        let mut next = transaction.prepare_cached(NEXT)?;
        bind!(next, NEXT, {
            "after" => after,
            "below" => JobId::new(self.before, 0).as_uuid(),
            "jobs" => i64::try_from(self.size.run).unwrap_or(i64::MAX),
        });
        let mut rows = next.raw_query();
        while let Some(row) = rows.next()? {
            let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
            let job = SearchedColumns {
                handler: text(1)?,
                account_id: row.get(2)?,
                origin: text(3)?,
                entity_id: row.get(4)?,
                return_url: text(5)?,
            };
            run.add(row.get(0)?, job.terms().map(Term::hash), self.size);
        }
        drop(rows);
        let Some((first, last)) = run.ids.filter(|_| run.jobs >= self.size.run) else {
            return Ok(Indexed::TooFew(run.jobs));
        };
        self.progress.reached(last);
        execute!(transaction, INSERT_RUN, { "first" => first, "last" => last, "blocks" => run.blocks.as_slice() });
        let mut insert = transaction.prepare_cached(INSERT_TERMS)?;
        for (bucket, entries) in run.buckets() {
            bind!(insert, INSERT_TERMS, { "bucket" => bucket, "entries" => entries.as_slice() });
            insert.raw_execute()?;
        }
        execute!(transaction, ADVANCE, { "last" => last });
        Ok(Indexed::Run)
    }
}

/// Deletes a run.
fn delete(transaction: &Transaction<'_>, run: i64) -> Result<(), StoreError> {
    execute!(transaction, DELETE_RUN, { "run" => run });
    let buckets: Vec<u8> = (0..crate::jobs::terms::BUCKETS).collect();
    let buckets = serde_json::Value::from(buckets).to_string();
    execute!(transaction, DELETE_TERMS, { "run" => run, "buckets" => buckets.as_str() });
    Ok(())
}

/// Deletes these runs.
pub(crate) struct DeleteRuns(pub(crate) Vec<i64>);

impl Command for DeleteRuns {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        self.0.iter().try_for_each(|run| delete(transaction, *run))
    }
}

/// Makes runs void that contain ids of new jobs. That happens only after someone set the clock back.
pub(crate) fn make_void(
    transaction: &Transaction<'_>,
    progress: &SearchProgress,
    new: impl Iterator<Item = JobId>,
) -> Result<(), StoreError> {
    let Some(late) = new.map(JobId::as_uuid).min().filter(|first| progress.may_contain(*first)) else {
        return Ok(());
    };
    let before = Uuid::from_u128(late.as_u128().saturating_sub(1));
    execute!(transaction, MAKE_VOID, { "before" => before, "late" => late });
    Ok(())
}

/// Loads how far the index reaches, at the start.
pub(crate) struct LoadProgress(pub(crate) Arc<SearchProgress>);

impl Command for LoadProgress {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let until: Uuid = transaction.prepare_cached(INDEXED_UNTIL)?.query_one((), |row| row.get(0))?;
        self.0.reached(until);
        Ok(())
    }
}
