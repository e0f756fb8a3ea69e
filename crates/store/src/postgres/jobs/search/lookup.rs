//! Looks terms up in the search index.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::StoreError;
use crate::jobs::search::lookup::{self, MAX_BEHIND, Occurrences, RunBlocks, SearchReads};
use crate::jobs::search::run;
use crate::jobs::terms::TermHash;

/// Selects the last id of the index.
pub(crate) const NEWEST: &str = "SELECT last_id FROM search_runs \
     WHERE last_id <= (SELECT indexed_until FROM search_progress WHERE id = 1) ORDER BY run DESC LIMIT 1";
/// Selects the run in which an id belongs, or the one before.
pub(crate) const RUN_OF: &str =
    "SELECT run FROM search_runs WHERE first_id <= $1 ORDER BY first_id DESC LIMIT 1";
/// Selects the runs in which a term may occur.
pub(crate) const OCCURRENCES: &str = "SELECT run, entries FROM search_terms \
     WHERE bucket = $1 AND run BETWEEN $2 AND $3 AND position($4 IN entries) > 0";
/// Selects the blocks of these runs.
pub(crate) const BLOCKS: &str =
    "SELECT run, last_id, blocks FROM search_runs WHERE run = ANY($1) ORDER BY run DESC";
/// Selects the first id of a run: of the `$2` + 1st one that begins before the id `$1`. Selects nothing if there are fewer
/// runs, or if jobs before this id are not indexed.
pub(crate) const RUN_BEFORE: &str = "SELECT first_id FROM search_runs WHERE first_id < $1 AND $1 <= \
     (SELECT last_id FROM search_runs WHERE last_id <= \
     (SELECT indexed_until FROM search_progress WHERE id = 1) ORDER BY run DESC LIMIT 1) \
     ORDER BY first_id DESC LIMIT 1 OFFSET $2";
/// Counts the jobs behind the index that a search may have to read, up to a limit.
pub(crate) const BEHIND: &str = "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE id > $1 AND id >= $2 AND id < $3 \
     ORDER BY id DESC LIMIT $4) AS behind";

/// Reads the index in a transaction that always shows the same state.
pub(crate) struct Reads<'c>(pub(crate) &'c mut PgConnection);

impl SearchReads for Reads<'_> {
    async fn newest(&mut self) -> Result<Option<Uuid>, StoreError> {
        Ok(sqlx::query_scalar(NEWEST).fetch_optional(&mut *self.0).await?)
    }

    async fn behind(&mut self, after: Uuid, from: Uuid, below: Uuid) -> Result<i64, StoreError> {
        let query = sqlx::query_scalar(BEHIND).bind(after).bind(from).bind(below).bind(MAX_BEHIND);
        Ok(query.fetch_one(&mut *self.0).await?)
    }

    async fn run_of(&mut self, id: Uuid) -> Result<Option<i64>, StoreError> {
        Ok(sqlx::query_scalar(RUN_OF).bind(id).fetch_optional(&mut *self.0).await?)
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
/// the index cannot tell.
pub(crate) async fn begin_before(
    connection: &mut PgConnection,
    before: Uuid,
    jobs: i64,
) -> Result<Option<Uuid>, StoreError> {
    let query = sqlx::query_scalar(RUN_BEFORE).bind(before).bind(lookup::runs_before(jobs));
    Ok(query.fetch_optional(connection).await?)
}

/// Reads the blocks of these runs, newest first.
pub(crate) async fn blocks(
    connection: &mut PgConnection,
    runs: &[i64],
) -> Result<Vec<RunBlocks>, StoreError> {
    let rows = sqlx::query(BLOCKS).bind(runs).fetch_all(connection).await?;
    let run =
        |row: &PgRow| Ok(RunBlocks { run: row.try_get(0)?, last: row.try_get(1)?, blocks: row.try_get(2)? });
    rows.iter().map(run).collect()
}
