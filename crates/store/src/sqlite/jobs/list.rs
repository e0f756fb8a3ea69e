//! Lists jobs, newest first. Only two lists run at a time, so that connections remain for reading single jobs and
//! statistics.

use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};
use tokio::sync::SemaphorePermit;
use uuid::Uuid;
use uuid::fmt::Simple;

use model::{Filter, JobId, StateName, Timestamp};

use crate::jobs::listing::count::count as count_all;
pub(crate) use crate::jobs::listing::page::{Bounds, MAX_CONCURRENT_LISTS};
use crate::jobs::listing::page::{Filling, LIST_PERMIT_TIMEOUT, page as read_page};
use crate::jobs::listing::source::{Indexes, Source};
use crate::jobs::listing::walk::{CountedJobs, ListReads, Parts, Selected, Stretch};
use crate::jobs::rows::{self, SUMMARY};
use crate::jobs::search::lookup::{Found, IdRange, RunBlocks};
use crate::jobs::terms::Term;
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::search::lookup;
use crate::sqlite::jobs::{filter_sql, list_source, row};
use crate::{BulkAction, BulkPlan, JobFilter, Page, StoreError};

impl Engine {
    pub(crate) async fn list_jobs(&self, filter: &JobFilter) -> Result<Page, StoreError> {
        let _permit = self.list_permit().await?;
        let elapsed = || self.clock().elapsed();
        let now = self.moment();
        let mut page = page(&self.reading, filter, now.steady, &Bounds::of_list(&elapsed)).await?;
        page.jobs = page.jobs.into_iter().map(|job| now.show_summary(job)).collect();
        Ok(page)
    }

    pub(crate) async fn list_permit(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        tokio::select! {
            biased;
            permit = self.lists.acquire() => permit.map_err(|_| StoreError::Closed),
            () = self.clock().sleep(LIST_PERMIT_TIMEOUT) => Err(StoreError::TooManyLists),
        }
    }
}

/// Lists jobs within `bounds`. `now` is a moment of the steady clock.
pub(crate) async fn page(
    pool: &SqlitePool,
    asked: &JobFilter,
    now: Timestamp,
    bounds: &Bounds<'_>,
) -> Result<Page, StoreError> {
    read_page(&mut Pool(pool), asked, now, bounds).await
}

/// Counts the jobs that `wanted` matches and that `action` may change. Takes at most `within`.
pub(crate) async fn plan(
    engine: &Engine,
    wanted: &Filter,
    action: BulkAction,
    within: Duration,
) -> Result<BulkPlan, StoreError> {
    let (began, now) = (engine.clock().elapsed(), engine.moment().steady);
    let passed = || engine.clock().elapsed().saturating_sub(began);
    count_all(&mut Pool(&engine.reading), wanted, action, now, within, &passed).await
}

/// Reads each statement on any connection.
struct Pool<'p>(&'p SqlitePool);

impl ListReads for Pool<'_> {
    const INDEXES: Indexes = list_source::INDEXES;

    async fn counts(&mut self) -> Result<Vec<(StateName, i64)>, StoreError> {
        let rows = sqlx::query("SELECT state, jobs FROM job_counts").fetch_all(self.0).await?;
        let count = |row: &SqliteRow| {
            let state: &str = row.try_get(0)?;
            Ok(state.parse().ok().zip(Some(row.try_get(1)?)))
        };
        rows.iter().filter_map(|row| count(row).transpose()).collect()
    }

    async fn search(&mut self, clauses: &[Vec<Vec<Term<'_>>>], range: IdRange) -> Result<Found, StoreError> {
        lookup::find(self.0, clauses, range).await
    }

    async fn blocks(&mut self, runs: &[i64]) -> Result<Vec<RunBlocks>, StoreError> {
        lookup::blocks(self.0, runs).await
    }

    async fn begin_before(&mut self, before: JobId, jobs: i64) -> Result<Option<JobId>, StoreError> {
        Ok(lookup::begin_before(self.0, before.as_uuid(), jobs).await?.map(JobId::from_uuid))
    }

    async fn window_end(
        &mut self,
        source: &Source,
        before: Option<JobId>,
        floor: Option<JobId>,
        size: i64,
    ) -> Result<Option<JobId>, StoreError> {
        let mut query = window(source, before, floor, size);
        query.build().fetch_optional(self.0).await?.as_ref().map(id_of).transpose()
    }

    async fn all_ids(
        &mut self,
        source: &Source,
        before: Option<JobId>,
        floor: Option<JobId>,
    ) -> Result<Vec<Uuid>, StoreError> {
        let mut query = all_ids(source, before, floor);
        let digits: Option<String> = query.build().fetch_one(self.0).await?.try_get(0)?;
        let digits = digits.unwrap_or_default();
        let ids = digits.as_bytes().chunks(Simple::LENGTH).filter_map(|id| Uuid::try_parse_ascii(id).ok());
        let mut ids: Vec<Uuid> = ids.collect();
        ids.sort_unstable();
        Ok(ids)
    }

    async fn count(
        &mut self,
        selected: Selected<'_>,
        have_bodies: bool,
    ) -> Result<Vec<CountedJobs>, StoreError> {
        let mut query = count(selected, have_bodies);
        let rows = query.build().fetch_all(self.0).await?;
        let counted = |row: &SqliteRow| {
            Ok(CountedJobs {
                account_id: row.try_get(0)?,
                jobs: row.try_get::<i64, _>(1)?.unsigned_abs(),
                oldest: JobId::from_uuid(row.try_get(2)?),
                newest: JobId::from_uuid(row.try_get(3)?),
            })
        };
        rows.iter().map(counted).collect()
    }

    async fn fill(
        &mut self,
        selected: Selected<'_>,
        filling: &mut Filling,
    ) -> Result<Option<JobId>, StoreError> {
        let mut query = select(selected);
        // Read rows one by one, so that only the jobs of the page are in memory.
        let mut found = query.build().fetch(self.0);
        while let Some(row) = found.try_next().await? {
            let job = row::readable(std::slice::from_ref(&row), rows::summary).pop();
            if filling.add(job) {
                return id_of(&row).map(Some);
            }
        }
        Ok(None)
    }
}

/// Selects the oldest job of a window of `size` + 1 jobs; nothing if fewer remain.
pub(crate) fn window(
    source: &Source,
    before: Option<JobId>,
    floor: Option<JobId>,
    size: i64,
) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::<Sqlite>::new("");
    list_source::push(&mut query, source, before, floor, |_| ());
    query.push(" ORDER BY id DESC LIMIT 1 OFFSET ").push_bind(size);
    query
}

/// Selects the ids of all entries of `source` as digits in one text.
pub(crate) fn all_ids(source: &Source, before: Option<JobId>, floor: Option<JobId>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT group_concat(hex(id), '') FROM (");
    list_source::push(&mut query, source, before, floor, |_| ());
    query.push(")");
    query
}

/// Selects the jobs of a stretch that match a filter.
pub(crate) fn select(selected: Selected<'_>) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(format!("SELECT {SUMMARY}"));
    push_from(&mut sql, selected, true);
    sql.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(selected.limit));
    sql
}

/// Counts the jobs of a stretch that match a filter for each account, and selects the oldest and the newest of them.
pub(crate) fn count(selected: Selected<'_>, have_bodies: bool) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new("SELECT account_id, count(*), min(id), max(id)");
    push_from(&mut sql, selected, false);
    sql.push(if have_bodies { " AND data IS NOT NULL" } else { "" }).push(" GROUP BY account_id");
    sql
}

/// Adds the rest of a SELECT of the jobs of a stretch that match a filter: of all of them, or at least of the newest ones
/// up to the limit.
fn push_from(sql: &mut QueryBuilder<Sqlite>, selected: Selected<'_>, is_limited: bool) {
    let Selected { source, filter, now, limit, stretch } = selected;
    let Stretch { before, oldest, .. } = *stretch;
    let json = |ids: Vec<String>| serde_json::Value::from(ids).to_string();
    match &stretch.parts {
        Parts::Ids(ids) => {
            let ids = ids.iter().map(|id| id.simple().to_string()).collect();
            sql.push(" FROM jobs WHERE id IN (SELECT unhex(value) FROM json_each(")
                .push_bind(json(ids))
                .push("))");
            filter_sql::push(sql, filter, now);
            return;
        }
        // A single one is the range itself.
        Parts::Spans(spans) if spans.len() > 1 => {
            let ids =
                spans.iter().map(|span| format!("{}{}", span.from.simple(), span.below.simple())).collect();
            sql.push(
                " FROM (SELECT unhex(substr(value, 1, 32)) AS span_from, unhex(substr(value, 33)) AS span_below FROM json_each(",
            );
            sql.push_bind(json(ids)).push(")) CROSS JOIN jobs WHERE id >= span_from AND id < span_below");
            filter_sql::push(sql, filter, now);
            return;
        }
        Parts::All | Parts::Spans(_) => {}
    }
    match source {
        Source::Union(_) => {
            // The filter is inside, so that the rest reads only the jobs of the page.
            sql.push(" FROM jobs WHERE id IN (");
            list_source::push(sql, source, before, oldest, |sql| filter_sql::push(sql, filter, now));
            if is_limited {
                sql.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
            }
            sql.push(")");
        }
        _ => {
            let (index, condition) = match source {
                Source::Ordered(part) => *part,
                _ => ("", "true"),
            };
            sql.push(format!(" FROM jobs {} WHERE {condition}", list_source::by(index)));
            list_source::push_range(sql, before, oldest);
            filter_sql::push(sql, filter, now);
        }
    }
}

pub(crate) fn id_of(row: &SqliteRow) -> Result<JobId, StoreError> {
    Ok(JobId::from_uuid(row.try_get("id")?))
}
