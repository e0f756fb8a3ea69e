//! Finds the next jobs of a bulk change, on a read-only connection.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};

use model::{AccountId, Entity, Filter, JobId, StateName};

use crate::jobs::bulk::{
    Batch, Candidate, MATCHING_JOBS, MAX_SCANNED_JOBS, MAX_SEARCH_TIME, NEWEST, NotFound, OLDEST,
    WINDOW_JOBS, add_to_erasable, erasure, filter,
};
use crate::postgres::engine::Engine;
pub(super) use crate::postgres::jobs::list::plan;
use crate::postgres::jobs::list::{Bounds, page};
use crate::postgres::jobs::snapshot::snapshot;
use crate::{Bulk, BulkAction, Erasable, Erasure, JobFilter, Page, StoreError};

/// Finds the next jobs of a bulk change.
pub(super) async fn batch(engine: &Engine, bulk: &Bulk) -> Result<Batch, NotFound> {
    match bulk.action {
        BulkAction::Erase => Ok(of(&engine.reading, erasure(bulk)?, bulk.before).await?),
        BulkAction::Retry | BulkAction::Cancel => {
            Ok(Batch::of_page(&matching(engine, filter(bulk)?, bulk.before).await?))
        }
    }
}

/// Returns the next jobs before `before` that `filter` matches.
async fn matching(engine: &Engine, filter: Filter, before: JobId) -> Result<Page, StoreError> {
    let elapsed = || engine.clock().elapsed();
    let bounds =
        Bounds { scan: MAX_SCANNED_JOBS, bytes: usize::MAX, time: MAX_SEARCH_TIME, elapsed: &elapsed };
    let asked = JobFilter { filter, before: Some(before), limit: MATCHING_JOBS };
    page(&engine.reading, &asked, engine.moment().steady, &bounds).await
}

pub(crate) const WINDOW_END: &str = "SELECT id FROM jobs WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2";

/// Expands to the rest of a SELECT of the jobs of an erasure in one window.
macro_rules! of_erasure {
    () => {
        " FROM jobs WHERE id < $1 AND id >= $2 AND ($3::bigint IS NULL OR (entity_type = $3 AND entity_id = $4)) \
         AND ($5::bigint IS NULL OR account_id = $5) "
    };
}

pub(crate) const OF: &str = concat!("SELECT id, state, body_bytes", of_erasure!(), "ORDER BY id DESC");
pub(crate) const ERASABLE: &str =
    concat!("SELECT account_id, finished_at IS NOT NULL, count(*)", of_erasure!(), "GROUP BY 1, 2");

/// Returns the oldest job of the window before `before`; `None` if the window reaches the oldest job of all.
async fn window_end(reading: &mut PgConnection, before: JobId) -> Result<Option<JobId>, StoreError> {
    let query = sqlx::query(WINDOW_END).bind(before.as_uuid()).bind(WINDOW_JOBS);
    query.fetch_optional(reading).await?.as_ref().map(id_of).transpose()
}

fn id_of(row: &PgRow) -> Result<JobId, StoreError> {
    Ok(JobId::from_uuid(row.try_get(0)?))
}

async fn in_window(
    reading: &mut PgConnection,
    sql: &'static str,
    erasure: Erasure,
    (before, oldest): (JobId, Option<JobId>),
) -> Result<Vec<PgRow>, StoreError> {
    let query = sqlx::query(sql)
        .bind(before.as_uuid())
        .bind(oldest.unwrap_or(OLDEST).as_uuid())
        .bind(erasure.entity().map(|Entity { kind, .. }| kind.code()))
        .bind(erasure.entity().map(|Entity { id, .. }| id))
        .bind(erasure.account_id().map(|AccountId(number)| number));
    Ok(query.fetch_all(reading).await?)
}

/// Finds the next jobs of an erasure.
async fn of(pool: &PgPool, erasure: Erasure, before: JobId) -> Result<Batch, StoreError> {
    let mut reading = snapshot(pool).await?;
    let oldest = window_end(&mut reading, before).await?;
    let rows = in_window(&mut reading, OF, erasure, (before, oldest)).await?;
    let mut jobs = Vec::with_capacity(rows.len());
    for row in &rows {
        // A damaged state is found again, and reported, when the job is erased.
        let state = row.try_get::<&str, _>(1)?.parse().unwrap_or(StateName::Dead);
        jobs.push(Candidate { id: id_of(row)?, state, bytes: row.try_get(2)? });
    }
    Ok(Batch { jobs, next: oldest })
}

/// Counts the jobs of an erasure.
pub(super) async fn erasable(pool: &PgPool, erasure: Erasure) -> Result<Erasable, StoreError> {
    let mut found = Erasable::default();
    let mut before = NEWEST;
    loop {
        // Each window has a transaction of its own, so that none is old.
        let mut reading = snapshot(pool).await?;
        let oldest = window_end(&mut reading, before).await?;
        for row in in_window(&mut reading, ERASABLE, erasure, (before, oldest)).await? {
            add_to_erasable(&mut found, row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        }
        let Some(next) = oldest else { return Ok(found) };
        before = next;
    }
}
