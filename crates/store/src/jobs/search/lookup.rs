//! Looks terms up in the search index.

use std::collections::{BTreeMap, VecDeque};

use uuid::Uuid;

use super::run::{self, BlockMask, RunSize, Span};
use crate::StoreError;
use crate::jobs::terms::{Term, TermHash};

/// If more jobs are behind the index, a search counts as one that reads all jobs.
pub(crate) const MAX_BEHIND: i64 = 10_000;
/// The maximum number of runs whose blocks are read at once.
const MAX_RUNS_READ: usize = 64;

/// The runs in which a term occurs, with the blocks.
pub(crate) type Occurrences = BTreeMap<i64, BlockMask>;

/// What a search reads of the index. All reads see the same state of it.
pub(crate) trait SearchReads: Send {
    /// Returns the last id of the index.
    fn newest(&mut self) -> impl Future<Output = Result<Option<Uuid>, StoreError>> + Send;

    /// Counts the jobs with an id after `after`, not before `from`, and before `below`: up to [`MAX_BEHIND`].
    fn behind(
        &mut self,
        after: Uuid,
        from: Uuid,
        below: Uuid,
    ) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Returns the run in which an id belongs, or the one before.
    fn run_of(&mut self, id: Uuid) -> impl Future<Output = Result<Option<i64>, StoreError>> + Send;

    /// Returns the runs from `oldest` to `newest` in which a term occurs.
    fn occurrences(
        &mut self,
        term: TermHash,
        oldest: i64,
        newest: i64,
    ) -> impl Future<Output = Result<Occurrences, StoreError>> + Send;
}

/// The blocks of a run.
pub(crate) struct RunBlocks {
    pub(crate) run: i64,
    /// The id of the last job.
    pub(crate) last: Uuid,
    /// The id of the first job of each block, 16 bytes each.
    pub(crate) blocks: Vec<u8>,
}

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
    spans: VecDeque<Span>,
}

/// Finds the blocks of jobs in `range` that have, for each clause, the terms of one of its alternatives.
pub(crate) async fn find(
    reads: &mut impl SearchReads,
    clauses: &[Vec<Vec<Term<'_>>>],
    range: IdRange,
) -> Result<Found, StoreError> {
    let indexed = reads.newest().await?;
    let (after, from) = (indexed.unwrap_or_default(), range.from.unwrap_or_default());
    let behind = reads.behind(after, from, range.below.unwrap_or(Uuid::max())).await?;
    let Some(last) = indexed else {
        return Ok(Found { indexed: None, behind, runs: Vec::new(), spans: [].into() });
    };
    let newest = reads.run_of(range.below.map_or(last, |below| below.min(last))).await?.unwrap_or(0);
    let oldest = match range.from {
        Some(from) => reads.run_of(from).await?.unwrap_or(0),
        None => 0,
    };
    let mut found: Option<Occurrences> = None;
    for alternatives in clauses {
        let mut clause = Occurrences::new();
        for terms in alternatives {
            let mut all: Option<Occurrences> = None;
            for term in terms {
                let one = reads.occurrences(term.hash(), oldest, newest).await?;
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
fn both(one: &Occurrences, other: &Occurrences) -> Occurrences {
    let common = one.iter().filter_map(|(run, mask)| {
        let mask = mask & other.get(run)?;
        (mask != 0).then_some((*run, mask))
    });
    common.collect()
}

/// The runs to read at once.
pub(crate) struct Chunk(Vec<(i64, BlockMask)>);

impl Chunk {
    /// Returns these runs, oldest first.
    pub(crate) fn runs(&self) -> Vec<i64> {
        self.0.iter().map(|(run, _)| *run).collect()
    }
}

/// The number of runs to skip from an id on, so that about `jobs` jobs are before it.
pub(crate) fn runs_before(jobs: i64) -> i64 {
    let run = i64::try_from(RunSize::STANDARD.run).unwrap_or(i64::MAX);
    (jobs / run - 1).max(0)
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

    /// Takes the newest runs that are left, once their blocks must be read before [`next`](Self::next) can continue.
    pub(crate) fn chunk(&mut self) -> Option<Chunk> {
        if !self.spans.is_empty() || self.runs.is_empty() {
            return None;
        }
        Some(Chunk(self.runs.split_off(self.runs.len().saturating_sub(MAX_RUNS_READ))))
    }

    /// Adds the blocks of a chunk, newest first. Returns whether all its runs still exist; otherwise the index has changed,
    /// and the rest is void.
    pub(crate) fn add(&mut self, chunk: &Chunk, rows: &[RunBlocks]) -> bool {
        let masks: Occurrences = chunk.0.iter().copied().collect();
        let mut read = 0;
        for row in rows {
            if let Some(mask) = masks.get(&row.run) {
                read += 1;
                let mask = without_gaps(*mask);
                self.spans.extend(run::spans(&row.blocks, row.last, mask, RunSize::STANDARD.block));
            }
        }
        read == chunk.0.len()
    }

    /// Returns the next part, from the newest to the oldest one; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Span> {
        self.spans.pop_front()
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
