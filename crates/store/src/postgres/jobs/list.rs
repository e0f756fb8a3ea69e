//! Lists jobs, newest first. Only a few lists run at a time, so that connections remain for reading single jobs and
//! statistics.

use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Postgres, Row};
use tokio::sync::SemaphorePermit;
use uuid::Uuid;

use model::{Filter, JobId, StateName, Timestamp};

use crate::jobs::listing::count::count;

pub(crate) use crate::jobs::listing::page::{Bounds, MAX_CONCURRENT_LISTS};
use crate::jobs::listing::page::{Filling, LIST_PERMIT_TIMEOUT, page as read_page};
use crate::jobs::listing::source::{Indexes, Source};
use crate::jobs::listing::walk::{CountedJobs, ListReads, Selected};
use crate::jobs::rows;
use crate::jobs::search::lookup::{self as neutral, Found, IdRange, RunBlocks};
use crate::jobs::terms::Term;
use crate::postgres::engine::Engine;
use crate::postgres::jobs::row;
use crate::postgres::jobs::search::lookup;
use crate::postgres::jobs::snapshot::snapshot;
use crate::postgres::jobs::{list_source, list_sql, read};
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
    pool: &PgPool,
    asked: &JobFilter,
    now: Timestamp,
    bounds: &Bounds<'_>,
) -> Result<Page, StoreError> {
    let mut snapshot = Snapshot(snapshot(pool).await?);
    read_page(&mut snapshot, asked, now, bounds).await
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
    let mut snapshot = Snapshot(snapshot(&engine.reading).await?);
    count(&mut snapshot, wanted, action, now, within, &passed).await
}

/// Reads all statements of a page in one transaction.
struct Snapshot(sqlx::Transaction<'static, Postgres>);

impl ListReads for Snapshot {
    const INDEXES: Indexes = list_source::INDEXES;

    async fn counts(&mut self) -> Result<Vec<(StateName, i64)>, StoreError> {
        read::counts_of_states(&mut self.0).await
    }

    async fn search(&mut self, clauses: &[Vec<Vec<Term<'_>>>], range: IdRange) -> Result<Found, StoreError> {
        neutral::find(&mut lookup::Reads(&mut self.0), clauses, range).await
    }

    async fn blocks(&mut self, runs: &[i64]) -> Result<Vec<RunBlocks>, StoreError> {
        lookup::blocks(&mut self.0, runs).await
    }

    async fn begin_before(&mut self, before: JobId, jobs: i64) -> Result<Option<JobId>, StoreError> {
        Ok(lookup::begin_before(&mut self.0, before.as_uuid(), jobs).await?.map(JobId::from_uuid))
    }

    async fn window_end(
        &mut self,
        source: &Source,
        before: Option<JobId>,
        floor: Option<JobId>,
        size: i64,
    ) -> Result<Option<JobId>, StoreError> {
        let mut query = list_sql::window(source, before, floor, size);
        query.build().fetch_optional(&mut *self.0).await?.as_ref().map(id_of).transpose()
    }

    async fn all_ids(
        &mut self,
        source: &Source,
        before: Option<JobId>,
        floor: Option<JobId>,
    ) -> Result<Vec<Uuid>, StoreError> {
        let mut query = list_sql::all_ids(source, before, floor);
        Ok(query.build_query_scalar().fetch_all(&mut *self.0).await?)
    }

    async fn count(
        &mut self,
        selected: Selected<'_>,
        have_bodies: bool,
    ) -> Result<Vec<CountedJobs>, StoreError> {
        let mut query = list_sql::count(selected, have_bodies);
        let rows = query.build().fetch_all(&mut *self.0).await?;
        let counted = |row: &PgRow| {
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
        let mut query = list_sql::select(selected);
        // Read rows one by one, so that only the jobs of the page are in memory.
        let mut found = query.build().fetch(&mut *self.0);
        while let Some(row) = found.try_next().await? {
            let job = row::readable(std::slice::from_ref(&row), rows::summary).pop();
            if filling.add(job) {
                return id_of(&row).map(Some);
            }
        }
        Ok(None)
    }
}

fn id_of(row: &PgRow) -> Result<JobId, StoreError> {
    Ok(JobId::from_uuid(row.try_get("id")?))
}
