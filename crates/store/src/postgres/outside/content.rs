//! What a store contains.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::{Executor, PgConnection, Row};

use model::Timestamp;

use super::sizes::{self, unsigned};
use super::{BEGIN, connect_to_inspect};
use crate::StoreError;
use crate::postgres::connect::url::Target;
use crate::postgres::schema::migrate;
use crate::postgres::schema::partitions::first_id;
use crate::records::{Extent, StoreStats};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the sizes and the content of the store at `url`.
///
/// # Errors
/// The database cannot be reached, or contains no store.
pub(crate) async fn stats(url: &str, now: Timestamp) -> Result<StoreStats, StoreError> {
    let target = Target::parse(url)?;
    let mut connection = connect_to_inspect(&target).await?;
    require_store(&mut connection, &target).await?;
    read(&mut connection, &target, now).await.map_err(|error| error.on(target.name()))
}

/// Refuses a database without a store.
pub(super) async fn require_store(connection: &mut PgConnection, target: &Target) -> Result<(), StoreError> {
    let found = migrate::version(connection).await.map_err(|error| error.on(target.name()))?;
    if found.is_some() {
        return Ok(());
    }
    let why = "it contains no store: start `serve`, which creates it, or correct store.url";
    Err(StoreError::NotAStore { path: target.name().to_owned(), why: why.into() })
}

async fn read(
    connection: &mut PgConnection,
    target: &Target,
    now: Timestamp,
) -> Result<StoreStats, StoreError> {
    connection.execute(BEGIN).await?;
    let mut jobs = BTreeMap::new();
    for row in sqlx::query("SELECT state, jobs FROM job_counts").fetch_all(&mut *connection).await? {
        jobs.insert(row.try_get("state")?, unsigned(row.try_get("jobs")?));
    }
    let bytes: i64 = sqlx::query_scalar("SELECT coalesce(sum(stored), 0)::int8 FROM account_bytes")
        .fetch_one(&mut *connection)
        .await?;
    let oldest: Option<i64> = sqlx::query_scalar("SELECT received_at FROM jobs ORDER BY id LIMIT 1")
        .fetch_optional(&mut *connection)
        .await?;
    // An id begins with the time of receipt.
    let recent: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE id >= $1")
        .bind(first_id(now - DAY))
        .fetch_one(&mut *connection)
        .await?;
    connection.execute("COMMIT").await?;
    Ok(StoreStats {
        extent: Extent::Database(sizes::of(connection, target.name()).await?),
        jobs,
        body_bytes: unsigned(bytes),
        oldest: oldest.map(Timestamp::from_millis),
        received_in_a_day: unsigned(recent),
    })
}
