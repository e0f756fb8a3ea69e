//! The way of a list through the jobs: from the newest to the oldest, one stretch after another.

use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};
use uuid::Uuid;
use uuid::fmt::Simple;

use model::filter::{Clause, Condition, JobTrait};
use model::{Filter, JobId, OutcomeName, StateName};

use crate::StoreError;
use crate::sqlite::jobs::list::id_of;
use crate::sqlite::jobs::list_source::{Candidates, JUMP_COST, Source, States};
use crate::sqlite::jobs::search::lookup::{self, Found, IdRange, Next};
use crate::sqlite::jobs::search::run::{self, Span};
use crate::sqlite::jobs::search::terms;

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
    pub(crate) async fn begin(
        pool: &SqlitePool,
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
        let found = if clauses.is_empty() { None } else { Some(lookup::find(pool, &clauses, range).await?) };
        let counts = counts(pool).await?;
        let candidates = Candidates {
            states: States::of_filter(filter),
            counts: &counts,
            is_fallback: filter.clauses().iter().any(is_of_fallbacks),
            searched: found.as_ref().map(Found::jobs),
        };
        let source = Source::choose(&candidates);
        if source.begins_with_newest(&candidates) {
            return Ok(Self { rest: Some(source), ..walk(Source::All, None) });
        }
        Ok(Self { is_exact: source.is_exact(filter), ..walk(source, found) })
    }

    /// The same for a count, which needs stretches of limited length even if no job is skipped.
    pub(crate) async fn begin_to_count(
        pool: &SqlitePool,
        filter: &Filter,
        before: Option<JobId>,
    ) -> Result<Self, StoreError> {
        Ok(Self { is_exact: false, ..Self::begin(pool, filter, before).await? })
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    /// Whether the search index has changed so that the list has to begin again from here.
    pub(crate) const fn is_void(&self) -> bool {
        self.is_void
    }

    /// Returns the next stretch, of about `size` jobs; `None` at the end.
    pub(crate) async fn next(&mut self, pool: &SqlitePool, size: i64) -> Result<Option<Stretch>, StoreError> {
        if let Some(rest) = self.rest.take_if(|_| self.newest <= 0) {
            self.source = rest;
        }
        match &self.source {
            Source::Nothing => Ok(None),
            Source::Search => self.next_found(pool, size).await,
            // One statement reads all entries. If each needs its row, that may take long.
            Source::Union(_) if !self.reads_rows => Ok(Some(self.stretch(self.floor, size, true))),
            Source::Union(_) => self.next_listed(pool, size).await,
            source => {
                self.newest = self.newest.saturating_sub(size);
                if let Some(begin) = self.begin_of_runs(pool, size).await? {
                    return Ok(Some(self.stretch(Some(begin), size, false)));
                }
                let end = if self.is_exact {
                    None
                } else {
                    window_end(pool, source, self.before, self.floor, size).await?
                };
                Ok(Some(self.stretch(end.or(self.floor), size, end.is_none())))
            }
        }
    }

    /// Returns where a window of about `size` jobs ends, if the search index knows it. Otherwise, the jobs of the window are
    /// counted, which reads each of them once more.
    async fn begin_of_runs(&self, pool: &SqlitePool, size: i64) -> Result<Option<JobId>, StoreError> {
        let (Source::All, false, Some(before)) = (&self.source, self.is_exact, self.before) else {
            return Ok(None);
        };
        if size < MIN_RUNS_WINDOW {
            return Ok(None);
        }
        let begin = lookup::begin_before(pool, before.as_uuid(), size).await?.map(JobId::from_uuid);
        Ok(begin.filter(|begin| Some(*begin) > self.floor))
    }

    fn stretch(&mut self, oldest: Option<JobId>, jobs: i64, is_last: bool) -> Stretch {
        let stretch = Stretch { before: self.before, oldest, parts: Parts::All, jobs, is_last };
        self.before = oldest.or(self.before);
        stretch
    }

    /// Returns the next jobs that are not indexed yet, or the next blocks of the index.
    async fn next_found(&mut self, pool: &SqlitePool, size: i64) -> Result<Option<Stretch>, StoreError> {
        let Some(found) = &mut self.found else { return Ok(None) };
        let behind = found.indexed.map(|last| JobId::from_uuid(run::after(last)));
        let is_behind = match (behind, self.before) {
            (Some(behind), Some(before)) => before > behind,
            _ => true,
        };
        if is_behind {
            let floor = behind.max(self.floor);
            let end = window_end(pool, &Source::All, self.before, floor, size).await?;
            let is_last = end.is_none() && (behind.is_none() || self.floor >= behind);
            return Ok(Some(self.stretch(end.or(floor), size, is_last)));
        }
        // Many blocks of the index are far apart. One statement reads several of them.
        let (mut parts, mut jobs) = (Vec::<Span>::new(), 0);
        while jobs < size && parts.len() < MAX_PARTS {
            let span = match found.next(pool).await? {
                Next::Span(span) => span,
                Next::End if parts.is_empty() => return Ok(None),
                Next::End => break,
                Next::Changed => {
                    self.is_void = true;
                    break;
                }
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
    async fn next_listed(&mut self, pool: &SqlitePool, size: i64) -> Result<Option<Stretch>, StoreError> {
        let mut listed = match self.listed.take() {
            Some(listed) => listed,
            None => ids_of(pool, &self.source, self.before, self.floor).await?,
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

/// The number of jobs in each state.
async fn counts(pool: &SqlitePool) -> Result<Vec<(StateName, i64)>, StoreError> {
    let rows = sqlx::query("SELECT state, jobs FROM job_counts").fetch_all(pool).await?;
    let count = |row: &sqlx::sqlite::SqliteRow| {
        let state: &str = row.try_get(0)?;
        Ok(state.parse().ok().zip(Some(row.try_get(1)?)))
    };
    rows.iter().filter_map(|row| count(row).transpose()).collect()
}

/// Reads the ids of all entries of `source`, oldest first. A row for each of them would take longer than reading them.
async fn ids_of(
    pool: &SqlitePool,
    source: &Source,
    before: Option<JobId>,
    floor: Option<JobId>,
) -> Result<Vec<Uuid>, StoreError> {
    let mut query = all_ids(source, before, floor);
    let digits: Option<String> = query.build().fetch_one(pool).await?.try_get(0)?;
    let digits = digits.unwrap_or_default();
    let ids = digits.as_bytes().chunks(Simple::LENGTH).filter_map(|id| Uuid::try_parse_ascii(id).ok());
    let mut ids: Vec<Uuid> = ids.collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Selects the ids of all entries of `source` as digits in one text.
pub(crate) fn all_ids(source: &Source, before: Option<JobId>, floor: Option<JobId>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT group_concat(hex(id), '') FROM (");
    source.push(&mut query, before, floor, |_| ());
    query.push(")");
    query
}

async fn window_end(
    pool: &SqlitePool,
    source: &Source,
    before: Option<JobId>,
    floor: Option<JobId>,
    size: i64,
) -> Result<Option<JobId>, StoreError> {
    window(source, before, floor, size).build().fetch_optional(pool).await?.as_ref().map(id_of).transpose()
}

/// Selects the oldest job of a window of `size` + 1 jobs; nothing if fewer remain.
pub(crate) fn window(
    source: &Source,
    before: Option<JobId>,
    floor: Option<JobId>,
    size: i64,
) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::<Sqlite>::new("");
    source.push(&mut query, before, floor, |_| ());
    query.push(" ORDER BY id DESC LIMIT 1 OFFSET ").push_bind(size);
    query
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

fn conditions(filter: &Filter) -> impl Iterator<Item = &Condition> {
    filter.clauses().iter().flat_map(|clause| &clause.any_of)
}

/// The smallest id that the filter allows, and the first one that it does not: ids begin with the time of receipt.
fn received(filter: &Filter) -> (Option<JobId>, Option<JobId>) {
    let since = conditions(filter).filter_map(|condition| match condition {
        Condition::Since(moment) => Some(JobId::first_at(*moment)),
        _ => None,
    });
    let until = conditions(filter).filter_map(|condition| match condition {
        Condition::Until(moment) => Some(JobId::first_at(*moment)),
        _ => None,
    });
    (since.max(), until.min())
}

/// The ranges of ids that the filter names, newest first; `None` if it names none.
fn ids(filter: &Filter) -> Option<Vec<Span>> {
    let mut clauses = filter.clauses().iter().filter(|clause| !clause.negated);
    let prefixes = clauses.find(|clause| matches!(clause.any_of[..], [Condition::Id(_), ..]))?;
    let span = |condition: &Condition| {
        let Condition::Id(prefix) = condition else { return None };
        let (first, last) = prefix.range();
        Some(Span { from: first.as_uuid(), below: run::after(last.as_uuid()), jobs: 1 })
    };
    let mut spans: Vec<Span> = prefixes.any_of.iter().filter_map(span).collect();
    spans.sort_by_key(|span| std::cmp::Reverse(span.below));
    // Prefixes of the same id overlap.
    let mut newest_first: Vec<Span> = Vec::new();
    for span in spans {
        match newest_first.last_mut() {
            Some(newer) if span.below > newer.from => newer.from = newer.from.min(span.from),
            _ => newest_first.push(span),
        }
    }
    Some(newest_first)
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;

    #[test]
    fn the_ids_of_a_filter_are_ranges_without_overlaps_newest_first() {
        let context = model::filter::FilterContext { now: Timestamp::from_millis(0), account: &|_| None };
        let filter = Filter::parse("id:018b,018c,018bcfe5,01aa state:dead", &context).unwrap();
        let spans = ids(&filter).unwrap();
        let digits: Vec<String> =
            spans.iter().map(|span| span.from.simple().to_string()[..4].to_owned()).collect();
        // A range ends where the next id begins.
        assert_eq!(digits, ["01aa", "018c", "018b"]);
        assert!(spans.windows(2).all(|pair| pair[0].from >= pair[1].below));
        assert_eq!(ids(&Filter::default()), None);
    }

    #[test]
    fn times_of_receipt_are_ranges_of_ids() {
        let at = Timestamp::from_millis;
        let filter = Filter::from(Condition::Since(at(5_000)))
            .and(Condition::Since(at(7_000)))
            .and(Condition::Until(at(9_000)));
        let (floor, below) = received(&filter);
        let inside = |ms| {
            let id = JobId::new(at(ms), 0);
            floor.unwrap() <= id && id < below.unwrap()
        };
        assert_eq!([6_999, 7_000, 8_999, 9_000].map(inside), [false, true, true, false]);
    }
}
