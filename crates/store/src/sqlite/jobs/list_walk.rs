//! The way of a list through the jobs: from the newest to the oldest, one stretch after another.

use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};
use uuid::Uuid;

use model::filter::{Clause, Condition};
use model::{Filter, JobId, OutcomeName, StateName};

use crate::StoreError;
use crate::sqlite::jobs::list::id_of;
use crate::sqlite::jobs::list_source::{Candidates, Source, States};
use crate::sqlite::jobs::search::lookup::{self, Found, IdRange, Next};
use crate::sqlite::jobs::search::run::{self, Span};
use crate::sqlite::jobs::search::terms;

/// The smallest window that ends where a run of the search index begins. It has at least two runs, because the first one
/// may be read in part already.
const MIN_RUNS_WINDOW: i64 = 2_048;
/// How many of the newest jobs a list reads before it reads all entries of indexes.
const NEWEST_JOBS: i64 = 16_384;
/// The smallest window of a search for a text in indexes of which each window reads all entries.
const MIN_TEXTS_WINDOW: i64 = 4_096;

/// A range of ids that a list reads with one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// All ids are smaller; `None` from the newest job on.
    pub(crate) before: Option<JobId>,
    /// The smallest id; `None` down to the oldest job.
    pub(crate) oldest: Option<JobId>,
    /// About how many jobs it contains.
    pub(crate) jobs: i64,
    /// Whether the list ends with it.
    pub(crate) is_last: bool,
}

/// The position of a list.
pub(crate) struct Walk {
    source: Source,
    /// The source behind the newest jobs; `None` if there is only one.
    rest: Option<Source>,
    /// How many of the newest jobs to read before that.
    newest: i64,
    /// Whether the filter contains a text.
    reads_bodies: bool,
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
            reads_bodies: conditions(filter).any(|condition| matches!(condition, Condition::Text(_))),
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
            // Each statement reads all entries, so one is enough. Only bodies can take long to read.
            Source::Union(_) if !self.reads_bodies => Ok(Some(self.stretch(self.floor, size, true))),
            source => {
                let size = if matches!(source, Source::Union(_)) { size.max(MIN_TEXTS_WINDOW) } else { size };
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
        let stretch = Stretch { before: self.before, oldest, jobs, is_last };
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
        loop {
            let span = match found.next(pool).await? {
                Next::Span(span) => span,
                Next::End => return Ok(None),
                Next::Changed => {
                    self.is_void = true;
                    let oldest = self.before;
                    return Ok(Some(Stretch { before: oldest, oldest, jobs: 0, is_last: false }));
                }
            };
            let below = JobId::from_uuid(span.below);
            let before = self.before.map_or(below, |before| before.min(below));
            let from = self.floor.unwrap_or(JobId::from_uuid(span.from)).max(JobId::from_uuid(span.from));
            if from >= before {
                continue;
            }
            self.before = Some(from);
            return Ok(Some(Stretch {
                before: Some(before),
                oldest: Some(from),
                jobs: span.jobs,
                is_last: false,
            }));
        }
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
