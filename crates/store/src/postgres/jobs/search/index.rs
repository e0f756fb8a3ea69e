//! Adds runs to the search index, and removes them.

use std::sync::Arc;

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use model::{JobId, Timestamp};

use crate::StoreError;
use crate::commit::message::Accept;
use crate::jobs::accept::Stored;
use crate::jobs::search::progress::SearchProgress;
use crate::jobs::search::run::{RunBuilder, RunSize};
use crate::jobs::search::watch::Indexed;
use crate::jobs::terms::{BUCKETS, SearchedColumns, Term};
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;

pub(crate) const INDEXED_UNTIL: &str = "SELECT indexed_until FROM search_progress WHERE id = 1";
/// Selects the next jobs to index, oldest first.
pub(crate) const NEXT: &str = "SELECT id, handler, account_id, origin, entity_id, return_url FROM jobs \
     WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3";
pub(crate) const INSERT_RUN: &str = "INSERT INTO search_runs (run, first_id, last_id, blocks) \
     VALUES ((SELECT coalesce(max(run), 0) + 1 FROM search_runs), $1, $2, $3) RETURNING run";
pub(crate) const INSERT_TERMS: &str = "INSERT INTO search_terms (bucket, run, entries) \
     SELECT bucket, $1, entries FROM unnest($2::bigint[], $3::bytea[]) AS found (bucket, entries)";
pub(crate) const ADVANCE: &str = "UPDATE search_progress SET indexed_until = $1 WHERE id = 1";
/// Makes the runs void that contain the id `$2` or later ones.
pub(crate) const MAKE_VOID: &str =
    "UPDATE search_progress SET indexed_until = $1 WHERE id = 1 AND indexed_until >= $2";
/// Selects the newest run, if it is void.
pub(crate) const VOID: &str = "SELECT run FROM search_runs WHERE run = (SELECT max(run) FROM search_runs) \
     AND last_id > (SELECT indexed_until FROM search_progress WHERE id = 1)";
/// Ends the index with the newest run that is left.
pub(crate) const RETREAT: &str = "UPDATE search_progress SET indexed_until = least(indexed_until, coalesce( \
     (SELECT last_id FROM search_runs ORDER BY run DESC LIMIT 1), '00000000-0000-0000-0000-000000000000')) \
     WHERE id = 1";
/// Selects runs whose jobs are all deleted. OFFSET keeps PostgreSQL from reading all jobs at once.
pub(crate) const EMPTY: &str = "SELECT run FROM search_runs AS r WHERE NOT EXISTS ( \
     SELECT 1 FROM jobs WHERE id BETWEEN r.first_id AND r.last_id OFFSET 0) ORDER BY run LIMIT $1";
pub(crate) const DELETE_RUN: &str = "DELETE FROM search_runs WHERE run = $1";
pub(crate) const DELETE_TERMS: &str = "DELETE FROM search_terms WHERE run = $1 AND bucket = ANY($2)";

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

    async fn apply(&self, transaction: &mut Transaction) -> Result<Indexed, StoreError> {
        let void = transaction.read(sqlx::query(VOID)).await?;
        if let Some(row) = void.first() {
            delete(transaction, row.try_get(0)?).await?;
            transaction.execute(sqlx::query(RETREAT)).await?;
            return Ok(Indexed::Removed);
        }
        let run = self.next(transaction).await?;
        let Some((first, last)) = run.ids.filter(|_| run.jobs >= self.size.run) else {
            return Ok(Indexed::TooFew(run.jobs));
        };
        self.progress.reached(last);
        let insert = sqlx::query(INSERT_RUN).bind(first).bind(last).bind(&run.blocks);
        let inserted = transaction.change(insert).await?;
        let number: i64 = inserted.first().ok_or(StoreError::Closed)?.try_get(0)?;
        let (buckets, entries): (Vec<i64>, Vec<Vec<u8>>) =
            run.buckets().into_iter().map(|(bucket, entries)| (i64::from(bucket), entries)).unzip();
        transaction.execute(sqlx::query(INSERT_TERMS).bind(number).bind(buckets).bind(entries)).await?;
        transaction.execute(sqlx::query(ADVANCE).bind(last)).await?;
        Ok(Indexed::Run)
    }
}

impl IndexRun {
    /// Builds the next run in memory.
    async fn next(&self, transaction: &mut Transaction) -> Result<RunBuilder, StoreError> {
        let after = transaction.read(sqlx::query(INDEXED_UNTIL)).await?;
        let after: Uuid = after.first().map_or(Ok(Uuid::nil()), |row| row.try_get(0))?;
        let below = JobId::new(self.before, 0).as_uuid();
        let jobs = i64::try_from(self.size.run).unwrap_or(i64::MAX);
        let rows = transaction.read(sqlx::query(NEXT).bind(after).bind(below).bind(jobs)).await?;
        let mut run = RunBuilder::default();
        for row in &rows {
            run.add(row.try_get(0)?, searched(row)?.terms().map(Term::hash), self.size);
        }
        Ok(run)
    }
}

fn searched(row: &PgRow) -> Result<SearchedColumns<'_>, StoreError> {
    Ok(SearchedColumns {
        handler: row.try_get(1)?,
        account_id: row.try_get(2)?,
        origin: row.try_get(3)?,
        entity_id: row.try_get(4)?,
        return_url: row.try_get(5)?,
    })
}

/// Deletes a run.
async fn delete(transaction: &mut Transaction, run: i64) -> Result<(), StoreError> {
    transaction.execute(sqlx::query(DELETE_RUN).bind(run)).await?;
    let buckets: Vec<i64> = (0..i64::from(BUCKETS)).collect();
    transaction.execute(sqlx::query(DELETE_TERMS).bind(run).bind(buckets)).await?;
    Ok(())
}

/// Deletes these runs.
pub(crate) struct DeleteRuns(pub(crate) Vec<i64>);

impl Command for DeleteRuns {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        for run in &self.0 {
            delete(transaction, *run).await?;
        }
        Ok(())
    }
}

/// Counts the new jobs among `accepts` for the search index. Makes the runs void that contain ids of new jobs: that happens
/// only after someone set the clock back.
pub(crate) async fn note_accepted(
    transaction: &mut Transaction,
    progress: &SearchProgress,
    accepts: &[Box<Accept>],
    stored: &[Stored],
) -> Result<(), StoreError> {
    let new = accepts.iter().zip(stored).filter(|(_, stored)| matches!(stored, Stored::New(_)));
    let ids: Vec<Uuid> = new.map(|(accept, _)| accept.job.id.as_uuid()).collect();
    progress.accepted(ids.len());
    let Some(late) = ids.into_iter().min().filter(|first| progress.may_contain(*first)) else {
        return Ok(());
    };
    let before = Uuid::from_u128(late.as_u128().saturating_sub(1));
    transaction.execute(sqlx::query(MAKE_VOID).bind(before).bind(late)).await?;
    Ok(())
}

/// Loads how far the index reaches, at the start.
pub(crate) struct LoadProgress(pub(crate) Arc<SearchProgress>);

impl Command for LoadProgress {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        for row in transaction.read(sqlx::query(INDEXED_UNTIL)).await? {
            self.0.reached(row.try_get(0)?);
        }
        Ok(())
    }
}
