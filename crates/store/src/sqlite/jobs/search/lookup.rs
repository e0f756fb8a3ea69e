//! Looks terms up in the search index.

use sqlx::{Row, SqliteConnection, SqlitePool};
use uuid::Uuid;

use crate::StoreError;
use crate::jobs::search::lookup::{self, Found, IdRange, MAX_BEHIND, Occurrences, RunBlocks, SearchReads};
use crate::jobs::search::run;
use crate::jobs::terms::{Term, TermHash};

/// Selects the last id of the index.
pub(crate) const NEWEST: &str = "SELECT last_id FROM search_runs \
     WHERE last_id <= (SELECT indexed_until FROM search_progress) ORDER BY run DESC LIMIT 1";
/// Selects the run in which an id belongs, or the one before.
pub(crate) const RUN_OF: &str =
    "SELECT run FROM search_runs WHERE first_id <= ? ORDER BY first_id DESC LIMIT 1";
/// Selects the runs in which a term may occur.
pub(crate) const OCCURRENCES: &str = "SELECT run, entries FROM search_terms \
     WHERE bucket = ? AND run BETWEEN ? AND ? AND instr(entries, ?) > 0";
/// Selects the blocks of the runs in a JSON list.
pub(crate) const BLOCKS: &str = "SELECT run, last_id, blocks FROM search_runs \
     WHERE run IN (SELECT value FROM json_each(?)) ORDER BY run DESC";

/// Selects the first id of a run: of the `?2` + 1st one that begins before the id `?1`. Selects nothing if there are fewer
/// runs, or if jobs before this id are not indexed.
pub(crate) const RUN_BEFORE: &str = "SELECT first_id FROM search_runs WHERE first_id < ?1 AND ?1 <= \
     (SELECT last_id FROM search_runs WHERE last_id <= (SELECT indexed_until FROM search_progress) ORDER BY run DESC LIMIT 1) \
     ORDER BY first_id DESC LIMIT 1 OFFSET ?2";

/// Counts the jobs behind the index that a search may have to read, up to a limit.
pub(crate) const BEHIND: &str =
    "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE id > ? AND id >= ? AND id < ? LIMIT ?)";

/// Finds the blocks of jobs in `range` that have, for each clause, the terms of one of its alternatives.
pub(crate) async fn find(
    pool: &SqlitePool,
    clauses: &[Vec<Vec<Term<'_>>>],
    range: IdRange,
) -> Result<Found, StoreError> {
    // One snapshot, so that the progress and the runs match.
    let mut snapshot = pool.begin().await?;
    lookup::find(&mut Snapshot(&mut snapshot), clauses, range).await
}

/// Reads the index in one transaction.
struct Snapshot<'c>(&'c mut SqliteConnection);

impl SearchReads for Snapshot<'_> {
    async fn newest(&mut self) -> Result<Option<Uuid>, StoreError> {
        let row = sqlx::query(NEWEST).fetch_optional(&mut *self.0).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    async fn behind(&mut self, after: Uuid, from: Uuid, below: Uuid) -> Result<i64, StoreError> {
        let query = sqlx::query(BEHIND).bind(after).bind(from).bind(below).bind(MAX_BEHIND);
        Ok(query.fetch_one(&mut *self.0).await?.try_get(0)?)
    }

    async fn run_of(&mut self, id: Uuid) -> Result<Option<i64>, StoreError> {
        let row = sqlx::query(RUN_OF).bind(id).fetch_optional(&mut *self.0).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    async fn occurrences(
        &mut self,
        term: TermHash,
        oldest: i64,
        newest: i64,
    ) -> Result<Occurrences, StoreError> {
        let query = sqlx::query(OCCURRENCES).bind(i64::from(term.bucket)).bind(oldest).bind(newest);
        let rows = query.bind(term.print.to_vec()).fetch_all(&mut *self.0).await?;
        let mut found = Occurrences::new();
        for row in rows {
            let mask = run::mask_in(row.try_get(1)?, term.print);
            if mask != 0 {
                found.insert(row.try_get(0)?, mask);
            }
        }
        Ok(found)
    }
}

/// Returns the first id of a run, so that this run and later ones have about `jobs` jobs before the id `before`; `None` if
/// the index cannot tell. It costs less than to count the jobs.
pub(crate) async fn begin_before(
    pool: &SqlitePool,
    before: Uuid,
    jobs: i64,
) -> Result<Option<Uuid>, StoreError> {
    let query = sqlx::query(RUN_BEFORE).bind(before).bind(lookup::runs_before(jobs));
    let row = query.fetch_optional(pool).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Reads the blocks of these runs, newest first.
pub(crate) async fn blocks(pool: &SqlitePool, runs: &[i64]) -> Result<Vec<RunBlocks>, StoreError> {
    let runs = serde_json::Value::from(runs).to_string();
    let rows = sqlx::query(BLOCKS).bind(runs).fetch_all(pool).await?;
    let run = |row: &sqlx::sqlite::SqliteRow| {
        Ok(RunBlocks { run: row.try_get(0)?, last: row.try_get(1)?, blocks: row.try_get(2)? })
    };
    rows.iter().map(run).collect()
}
