//! The way of a list through the jobs: from the newest to the oldest, one stretch after another.

use uuid::Uuid;

use model::filter::{Clause, Condition, JobTrait};
use model::{Filter, JobId, OutcomeName, StateName, Timestamp};

use super::page::Filling;
use super::ranges::{conditions, ids, received};
use super::source::{Candidates, Indexes, JUMP_COST, Source, States};
use crate::StoreError;
use crate::jobs::search::lookup::{Found, IdRange, RunBlocks};
use crate::jobs::search::run::{self, Span};
use crate::jobs::terms::{self, Term};

/// The smallest window that ends where a run of the search index begins. It has at least two runs, because the first one
/// may be read in part already.
const MIN_RUNS_WINDOW: i64 = 2_048;
/// How many of the newest jobs a list reads before it reads all entries of indexes.
const NEWEST_JOBS: i64 = 16_384;
/// The maximum number of parts of a stretch.
const MAX_PARTS: usize = 256;

/// What a list reads of a range of ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    /// Everything.
    All,
    /// These ranges, newest first.
    Spans(Vec<Span>),
    /// The jobs with these ids.
    Ids(Vec<Uuid>),
}

/// A range of ids that a list reads with one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// All ids are smaller; `None` from the newest job on.
    pub(crate) before: Option<JobId>,
    /// The smallest id; `None` down to the oldest job.
    pub(crate) oldest: Option<JobId>,
    /// The parts of the range to read.
    pub(crate) parts: Parts,
    /// About how many jobs it contains.
    pub(crate) jobs: i64,
    /// Whether the list ends with it.
    pub(crate) is_last: bool,
}

impl Stretch {
    /// How many adjacent jobs could be read in the same time.
    pub(crate) const fn cost(&self) -> i64 {
        match self.parts {
            Parts::All | Parts::Spans(_) => self.jobs,
            Parts::Ids(_) => self.jobs * JUMP_COST,
        }
    }
}

/// The jobs that a statement of a list selects.
#[derive(Clone, Copy)]
pub(crate) struct Selected<'a> {
    pub(crate) source: &'a Source,
    pub(crate) filter: &'a Filter,
    /// A moment of the steady clock.
    pub(crate) now: Timestamp,
    /// The maximum number of jobs.
    pub(crate) limit: u32,
    pub(crate) stretch: &'a Stretch,
}

/// What a list reads from an engine.
pub(crate) trait ListReads: Send {
    /// The partial indexes of the engine.
    const INDEXES: Indexes;

    /// Returns the number of jobs in each state.
    fn counts(&mut self) -> impl Future<Output = Result<Vec<(StateName, i64)>, StoreError>> + Send;

    /// Looks up in the search index where the jobs in `range` are that have, for each clause, the terms of one of its
    /// alternatives.
    fn search(
        &mut self,
        clauses: &[Vec<Vec<Term<'_>>>],
        range: IdRange,
    ) -> impl Future<Output = Result<Found, StoreError>> + Send;

    /// Returns the blocks of these runs of the search index, newest first.
    fn blocks(&mut self, runs: &[i64]) -> impl Future<Output = Result<Vec<RunBlocks>, StoreError>> + Send;

    /// Returns the first id of a run, so that this run and later ones have about `jobs` jobs before the id `before`; `None`
    /// if the index cannot tell. It costs less than to count the jobs.
    fn begin_before(
        &mut self,
        before: JobId,
        jobs: i64,
    ) -> impl Future<Output = Result<Option<JobId>, StoreError>> + Send;

    /// Returns the oldest job of a window of `size` + 1 jobs; `None` if fewer remain.
    fn window_end(
        &mut self,
        source: &Source,
        before: Option<JobId>,
        floor: Option<JobId>,
        size: i64,
    ) -> impl Future<Output = Result<Option<JobId>, StoreError>> + Send;

    /// Reads the ids of all entries of `source`, oldest first. A row for each of them would take longer than reading them.
    fn all_ids(
        &mut self,
        source: &Source,
        before: Option<JobId>,
        floor: Option<JobId>,
    ) -> impl Future<Output = Result<Vec<Uuid>, StoreError>> + Send;

    /// Adds the selected jobs to a page, newest first. Returns the last job once the page is full.
    fn fill(
        &mut self,
        selected: Selected<'_>,
        filling: &mut Filling,
    ) -> impl Future<Output = Result<Option<JobId>, StoreError>> + Send;

    /// Counts the selected jobs for each account; without those that have no bodies, if `have_bodies`. The limit does not
    /// matter.
    fn count(
        &mut self,
        selected: Selected<'_>,
        have_bodies: bool,
    ) -> impl Future<Output = Result<Vec<CountedJobs>, StoreError>> + Send;
}

/// The selected jobs of an account.
pub(crate) struct CountedJobs {
    pub(crate) account_id: i64,
    pub(crate) jobs: u64,
    pub(crate) oldest: JobId,
    pub(crate) newest: JobId,
}

/// The position of a list.
pub(crate) struct Walk {
    source: Source,
    /// The source behind the newest jobs; `None` if there is only one.
    rest: Option<Source>,
    /// How many of the newest jobs to read before that.
    newest: i64,
    /// Whether the entries of an index do not suffice to decide whether a job matches.
    reads_rows: bool,
    /// The ids of the entries of the indexes that are left, oldest first; `None` if they have not been read.
    listed: Option<Vec<Uuid>>,
    /// Whether no job of the source is skipped, so that one stretch fills the page.
    is_exact: bool,
    /// The list continues before this job.
    before: Option<JobId>,
    /// The smallest id that the filter allows.
    floor: Option<JobId>,
    /// What the search index has found.
    found: Option<Found>,
    is_void: bool,
}

impl Walk {
    /// Chooses the source for `filter`, and begins before the job `before`.
    pub(crate) async fn begin<R: ListReads>(
        reads: &mut R,
        filter: &Filter,
        before: Option<JobId>,
    ) -> Result<Self, StoreError> {
        let (floor, below) = received(filter);
        let before = before.into_iter().chain(below).min();
        let range = IdRange { from: floor.map(JobId::as_uuid), below: before.map(JobId::as_uuid) };
        let walk = |source, found| Self {
            source,
            rest: None,
            newest: NEWEST_JOBS,
            reads_rows: conditions(filter).any(needs_row),
            listed: None,
            is_exact: false,
            before,
            floor,
            found,
            is_void: false,
        };
        if let Some(spans) = ids(filter) {
            // No job is behind the spans.
            let before = before.or(Some(JobId::from_uuid(Uuid::max())));
            return Ok(Self { before, ..walk(Source::Search, Some(Found::exactly(spans))) });
        }
        let clauses = terms::of_filter(filter);
        let found = if clauses.is_empty() { None } else { Some(reads.search(&clauses, range).await?) };
        let counts = reads.counts().await?;
        let candidates = Candidates {
            states: States::of_filter(filter),
            counts: &counts,
            is_fallback: filter.clauses().iter().any(is_of_fallbacks),
            searched: found.as_ref().map(Found::jobs),
        };
        let source = Source::choose(&candidates, &R::INDEXES);
        if source.begins_with_newest(&candidates, &R::INDEXES) {
            return Ok(Self { rest: Some(source), ..walk(Source::All, None) });
        }
        Ok(Self { is_exact: source.is_exact(filter, &R::INDEXES), ..walk(source, found) })
    }

    /// The same for a count, which needs stretches of limited length even if no job is skipped.
    pub(crate) async fn begin_to_count(
        reads: &mut impl ListReads,
        filter: &Filter,
        before: Option<JobId>,
    ) -> Result<Self, StoreError> {
        Ok(Self { is_exact: false, ..Self::begin(reads, filter, before).await? })
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    /// Whether the search index has changed so that the list has to begin again from here.
    pub(crate) const fn is_void(&self) -> bool {
        self.is_void
    }

    /// Returns the next stretch, of about `size` jobs; `None` at the end.
    pub(crate) async fn next(
        &mut self,
        reads: &mut impl ListReads,
        size: i64,
    ) -> Result<Option<Stretch>, StoreError> {
        if let Some(rest) = self.rest.take_if(|_| self.newest <= 0) {
            self.source = rest;
        }
        match &self.source {
            Source::Nothing => Ok(None),
            Source::Search => self.next_found(reads, size).await,
            // One statement reads all entries. If each needs its row, that may take long.
            Source::Union(_) if !self.reads_rows => Ok(Some(self.stretch(self.floor, size, true))),
            Source::Union(_) => self.next_listed(reads, size).await,
            source => {
                self.newest = self.newest.saturating_sub(size);
                if let Some(begin) = self.begin_of_runs(reads, size).await? {
                    return Ok(Some(self.stretch(Some(begin), size, false)));
                }
                let end = if self.is_exact {
                    None
                } else {
                    reads.window_end(source, self.before, self.floor, size).await?
                };
                Ok(Some(self.stretch(end.or(self.floor), size, end.is_none())))
            }
        }
    }

    /// Returns where a window of about `size` jobs ends, if the search index knows it. Otherwise, the jobs of the window are
    /// counted, which reads each of them once more.
    async fn begin_of_runs(
        &self,
        reads: &mut impl ListReads,
        size: i64,
    ) -> Result<Option<JobId>, StoreError> {
        let (Source::All, false, Some(before)) = (&self.source, self.is_exact, self.before) else {
            return Ok(None);
        };
        if size < MIN_RUNS_WINDOW {
            return Ok(None);
        }
        let begin = reads.begin_before(before, size).await?;
        Ok(begin.filter(|begin| Some(*begin) > self.floor))
    }

    fn stretch(&mut self, oldest: Option<JobId>, jobs: i64, is_last: bool) -> Stretch {
        let stretch = Stretch { before: self.before, oldest, parts: Parts::All, jobs, is_last };
        self.before = oldest.or(self.before);
        stretch
    }

    /// Returns the next jobs that are not indexed yet, or the next blocks of the index.
    async fn next_found(
        &mut self,
        reads: &mut impl ListReads,
        size: i64,
    ) -> Result<Option<Stretch>, StoreError> {
        let Some(found) = &mut self.found else { return Ok(None) };
        let behind = found.indexed.map(|last| JobId::from_uuid(run::after(last)));
        let is_behind = match (behind, self.before) {
            (Some(behind), Some(before)) => before > behind,
            _ => true,
        };
        if is_behind {
            let floor = behind.max(self.floor);
            let end = reads.window_end(&Source::All, self.before, floor, size).await?;
            let is_last = end.is_none() && (behind.is_none() || self.floor >= behind);
            return Ok(Some(self.stretch(end.or(floor), size, is_last)));
        }
        // Many blocks of the index are far apart. One statement reads several of them.
        let (mut parts, mut jobs) = (Vec::<Span>::new(), 0);
        while jobs < size && parts.len() < MAX_PARTS {
            if let Some(chunk) = found.chunk() {
                let blocks = reads.blocks(&chunk.runs()).await?;
                if !found.add(&chunk, &blocks) {
                    self.is_void = true;
                    break;
                }
            }
            let span = match found.next() {
                Some(span) => span,
                None if parts.is_empty() => return Ok(None),
                None => break,
            };
            let below = self.before.map_or(span.below, |before| before.as_uuid().min(span.below));
            let from = self.floor.map_or(span.from, |floor| floor.as_uuid().max(span.from));
            if from >= below {
                continue;
            }
            self.before = Some(JobId::from_uuid(from));
            jobs += span.jobs;
            parts.push(Span { from, below, jobs: span.jobs });
        }
        let before = parts.first().map_or(self.before, |newest| Some(JobId::from_uuid(newest.below)));
        Ok(Some(Stretch { before, oldest: self.before, parts: Parts::Spans(parts), jobs, is_last: false }))
    }

    /// Returns the next jobs of the indexes, whose entries are read once.
    async fn next_listed(
        &mut self,
        reads: &mut impl ListReads,
        size: i64,
    ) -> Result<Option<Stretch>, StoreError> {
        let mut listed = match self.listed.take() {
            Some(listed) => listed,
            None => reads.all_ids(&self.source, self.before, self.floor).await?,
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let ids = listed.split_off(listed.len().saturating_sub(size));
        let Some(oldest) = ids.first().copied().map(JobId::from_uuid) else { return Ok(None) };
        let jobs = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        let stretch =
            Stretch { parts: Parts::Ids(ids), ..self.stretch(Some(oldest), jobs, listed.is_empty()) };
        self.listed = Some(listed);
        Ok(Some(stretch))
    }
}

fn is_of_fallbacks(clause: &Clause) -> bool {
    !clause.negated && clause.any_of == [Condition::Outcome(OutcomeName::Fallback)]
}

/// Whether the entries of indexes do not suffice to decide whether a job meets the condition.
const fn needs_row(condition: &Condition) -> bool {
    !matches!(
        condition,
        Condition::State(_)
            | Condition::Waiting(_)
            | Condition::Since(_)
            | Condition::Until(_)
            | Condition::Is(JobTrait::Late | JobTrait::Unfinished | JobTrait::Finished)
    )
}
