//! Reads bulk changes.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqlitePool};

use model::{JobId, Timestamp};

use crate::sqlite::actions::actor;
use crate::{ActionResult, Bulk, BulkAction, StoreError};

macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT bulk_changes.id, source, who, bulk_changes.at AS at, action, filter, force, before_id, max_jobs, \
             changed, skipped, state FROM bulk_changes JOIN actions USING (id) WHERE ",
            $which
        )
    };
}

pub(crate) const ONE: &str = select!("bulk_changes.id = ?");
pub(crate) const RUNNING: &str = select!("state = 'running' ORDER BY bulk_changes.id");

pub(super) async fn one(pool: &SqlitePool, id: u64) -> Result<Option<Bulk>, StoreError> {
    let Ok(id) = i64::try_from(id) else { return Ok(None) };
    let row = sqlx::query(ONE).bind(id).fetch_optional(pool).await?;
    row.as_ref().map(bulk).transpose()
}

pub(super) async fn running(pool: &SqlitePool) -> Result<Vec<Bulk>, StoreError> {
    let rows = sqlx::query(RUNNING).fetch_all(pool).await?;
    rows.iter().map(bulk).collect()
}

fn bulk(row: &SqliteRow) -> Result<Bulk, StoreError> {
    let id: i64 = row.try_get("id")?;
    let corrupt = |column: &'static str| StoreError::Corrupt {
        table: "bulk_changes",
        column,
        id: id.to_string(),
        why: "unknown".into(),
    };
    let number = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    let max_jobs: Option<i64> = row.try_get("max_jobs")?;
    Ok(Bulk {
        id: id.unsigned_abs(),
        by: actor(row)?.ok_or_else(|| corrupt("source"))?,
        at: Timestamp::from_millis(row.try_get("at")?),
        action: BulkAction::from_name(row.try_get("action")?).ok_or_else(|| corrupt("action"))?,
        filter: row.try_get("filter")?,
        force: row.try_get("force")?,
        before: JobId::from_uuid(row.try_get("before_id")?),
        max_jobs: max_jobs.map(i64::unsigned_abs),
        changed: number("changed")?,
        skipped: number("skipped")?,
        state: ActionResult::from_name(row.try_get("state")?).ok_or_else(|| corrupt("state"))?,
    })
}
