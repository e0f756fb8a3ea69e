//! Looks terms up in the search index.

use std::collections::BTreeMap;

use sqlx::{Row, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::run::{self, BlockMask, RunSize, Span};
use super::terms::{Term, TermHash};
use crate::StoreError;

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

/// If more jobs are behind the index, a search counts as one that reads all jobs.
const MAX_BEHIND: i64 = 10_000;
/// The maximum number of runs whose blocks are read at once.
const MAX_RUNS_READ: usize = 64;

/// The part of the index in which a search is interested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdRange {
    pub(crate) from: Option<Uuid>,
    pub(crate) below: Option<Uuid>,
}

/// Where the jobs of a search can be: a part of the index, and everything behind it.
#[derive(Debug)]
pub(crate) struct Found {
    /// The last id of the index; later jobs are not indexed. `None` if no job is.
    pub(crate) indexed: Option<Uuid>,
    /// The runs with their blocks, oldest first.
    runs: Vec<(i64, BlockMask)>,
    /// How many jobs of the range are behind the index.
    behind: i64,
    /// Parts of runs that have been taken from `runs`, newest first.
    spans: std::collections::VecDeque<Span>,
}

/// The next part of the index.
pub(crate) enum Next {
    Span(Span),
    End,
    /// The index has changed in the meantime, and the rest is void.
    Changed,
}

/// Finds the blocks of jobs in `range` that have, for each clause, the terms of one of its alternatives.
pub(crate) async fn find(
    pool: &SqlitePool,
    clauses: &[Vec<Vec<Term<'_>>>],
    range: IdRange,
) -> Result<Found, StoreError> {
    // One snapshot, so that the progress and the runs match.
    let mut snapshot = pool.begin().await?;
    let indexed = sqlx::query(NEWEST).fetch_optional(&mut *snapshot).await?;
    let indexed: Option<Uuid> = indexed.map(|row| row.try_get(0)).transpose()?;
    let behind = sqlx::query(BEHIND)
        .bind(indexed.unwrap_or_default())
        .bind(range.from.unwrap_or_default())
        .bind(range.below.unwrap_or(Uuid::max()))
        .bind(MAX_BEHIND)
        .fetch_one(&mut *snapshot)
        .await?
        .try_get(0)?;
    let Some(last) = indexed else {
        return Ok(Found { indexed: None, behind, runs: Vec::new(), spans: [].into() });
    };
    let newest = run_of(&mut snapshot, range.below.map_or(last, |below| below.min(last))).await?;
    let oldest = match range.from {
        Some(from) => run_of(&mut snapshot, from).await?,
        None => 0,
    };
    let mut found: Option<BTreeMap<i64, BlockMask>> = None;
    for alternatives in clauses {
        let mut clause = BTreeMap::<i64, BlockMask>::new();
        for terms in alternatives {
            let mut all: Option<BTreeMap<i64, BlockMask>> = None;
            for term in terms {
                let one = occurrences(&mut snapshot, term.hash(), oldest, newest).await?;
                all = Some(all.map_or_else(|| one.clone(), |all| both(&all, &one)));
            }
            for (run, mask) in all.unwrap_or_default() {
                *clause.entry(run).or_default() |= mask;
            }
        }
        found = Some(found.map_or_else(|| clause.clone(), |found| both(&found, &clause)));
    }
    Ok(Found { indexed, behind, runs: found.unwrap_or_default().into_iter().collect(), spans: [].into() })
}

/// Adds blocks that lie alone between others: to read them costs less than another statement.
const fn without_gaps(mask: BlockMask) -> BlockMask {
    mask | ((mask << 1) & (mask >> 1))
}

/// The blocks that both contain.
fn both(one: &BTreeMap<i64, BlockMask>, other: &BTreeMap<i64, BlockMask>) -> BTreeMap<i64, BlockMask> {
    let common = one.iter().filter_map(|(run, mask)| {
        let mask = mask & other.get(run)?;
        (mask != 0).then_some((*run, mask))
    });
    common.collect()
}

/// Returns the first id of a run, so that this run and later ones have about `jobs` jobs before the id `before`; `None` if
/// the index cannot tell. It costs less than to count the jobs.
pub(crate) async fn begin_before(
    pool: &SqlitePool,
    before: Uuid,
    jobs: i64,
) -> Result<Option<Uuid>, StoreError> {
    let run = i64::try_from(RunSize::STANDARD.run).unwrap_or(i64::MAX);
    let query = sqlx::query(RUN_BEFORE).bind(before).bind((jobs / run - 1).max(0));
    let row = query.fetch_optional(pool).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

async fn run_of(connection: &mut SqliteConnection, id: Uuid) -> Result<i64, StoreError> {
    let row = sqlx::query(RUN_OF).bind(id).fetch_optional(connection).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0))
}

async fn occurrences(
    connection: &mut SqliteConnection,
    term: TermHash,
    oldest: i64,
    newest: i64,
) -> Result<BTreeMap<i64, BlockMask>, StoreError> {
    let query = sqlx::query(OCCURRENCES).bind(i64::from(term.bucket)).bind(oldest).bind(newest);
    let rows = query.bind(term.print.to_vec()).fetch_all(connection).await?;
    let mut found = BTreeMap::new();
    for row in rows {
        let mask = run::mask_in(row.try_get(1)?, term.print);
        if mask != 0 {
            found.insert(row.try_get(0)?, mask);
        }
    }
    Ok(found)
}

impl Found {
    /// These parts alone, newest first, without a search.
    pub(crate) fn exactly(spans: impl IntoIterator<Item = Span>) -> Self {
        Self { indexed: Some(Uuid::max()), behind: 0, runs: Vec::new(), spans: spans.into_iter().collect() }
    }

    /// About how many jobs a search has to read; `i64::MAX` if all.
    pub(crate) fn jobs(&self) -> i64 {
        if self.behind >= MAX_BEHIND {
            return i64::MAX;
        }
        i64::from(self.blocks()) * i64::try_from(RunSize::STANDARD.block).unwrap_or(i64::MAX) + self.behind
    }

    /// The number of blocks that a search has to read.
    pub(crate) fn blocks(&self) -> u32 {
        self.runs.iter().map(|(_, mask)| mask.count_ones()).sum()
    }

    /// Returns the next part, from the newest to the oldest one.
    pub(crate) async fn next(&mut self, pool: &SqlitePool) -> Result<Next, StoreError> {
        if self.spans.is_empty() && !self.runs.is_empty() && !self.read_blocks(pool).await? {
            return Ok(Next::Changed);
        }
        Ok(self.spans.pop_front().map_or(Next::End, Next::Span))
    }

    /// Reads the blocks of the newest runs that are left. Returns whether these runs still exist.
    async fn read_blocks(&mut self, pool: &SqlitePool) -> Result<bool, StoreError> {
        let chunk = self.runs.split_off(self.runs.len().saturating_sub(MAX_RUNS_READ));
        let runs: Vec<i64> = chunk.iter().map(|(run, _)| *run).collect();
        let runs = serde_json::Value::from(runs).to_string();
        let rows = sqlx::query(BLOCKS).bind(runs).fetch_all(pool).await?;
        let masks: BTreeMap<i64, BlockMask> = chunk.iter().copied().collect();
        let mut read = 0;
        for row in rows {
            if let Some(mask) = masks.get(&row.try_get::<i64, _>(0)?) {
                read += 1;
                let mask = without_gaps(*mask);
                let spans = run::spans(row.try_get(2)?, row.try_get(1)?, mask, RunSize::STANDARD.block);
                self.spans.extend(spans);
            }
        }
        Ok(read == chunk.len())
    }
}

#[cfg(test)]
mod tests {
    use super::without_gaps;

    #[test]
    fn single_blocks_between_others_are_read_too() {
        for (mask, expected) in [
            (0b0, 0b0),
            (0b101, 0b111),
            (0b1001, 0b1001),
            (0b1011_0101, 0b1111_1111),
            (0x8001, 0x8001),
            (0xbfff, 0xffff),
        ] {
            assert_eq!(without_gaps(mask), expected, "{mask:b}");
        }
    }
}
