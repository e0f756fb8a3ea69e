//! Reads bulk changes.

use sqlx::PgPool;

use crate::jobs::bulk::bulk;
use crate::{Bulk, StoreError};

macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT bulk_changes.id, source, who, bulk_changes.at AS at, action, filter, force, before_id, max_jobs, \
             changed, skipped, state FROM bulk_changes JOIN actions USING (id) WHERE ",
            $which
        )
    };
}

pub(crate) const ONE: &str = select!("bulk_changes.id = $1");
pub(crate) const RUNNING: &str = select!("state = 'running' ORDER BY bulk_changes.id");

pub(super) async fn one(pool: &PgPool, id: u64) -> Result<Option<Bulk>, StoreError> {
    let Ok(id) = i64::try_from(id) else { return Ok(None) };
    let row = sqlx::query(ONE).bind(id).fetch_optional(pool).await?;
    row.as_ref().map(|row| bulk(row)).transpose()
}

pub(super) async fn running(pool: &PgPool) -> Result<Vec<Bulk>, StoreError> {
    let rows = sqlx::query(RUNNING).fetch_all(pool).await?;
    rows.iter().map(|row| bulk(row)).collect()
}
