//! Creates the partitions of the coming days, and drops those of past days that have become empty: the retention deletes their
//! rows, and only the drop gives the disk space back.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use model::Timestamp;

use crate::StoreError;
use crate::postgres::schema::partition_changes::{DAYS_AHEAD, ensure, existing};
use crate::postgres::schema::partitions::{Day, Partition, Table};

/// Dropping a partition locks its whole table for a moment. While the drop waits for the lock, all who need the table wait
/// behind it, so it gives up soon; a later one succeeds.
const LIMITS: &str = "SET LOCAL lock_timeout = '300ms'; SET LOCAL statement_timeout = '1s'";

/// Creates missing partitions, and drops empty ones. Returns how many it created and dropped.
///
/// # Errors
/// `Contended` or `Timeout`: another session uses a table for too long. Call it again later.
pub(crate) async fn keep(
    connection: &mut PgConnection,
    now: Timestamp,
) -> Result<(usize, usize), StoreError> {
    let today = Day::of(now);
    let created = ensure(connection, today, DAYS_AHEAD).await?;
    let mut dropped = 0;
    for table in Table::ALL {
        for day in existing(connection, table).await?.into_iter().filter(|day| is_past(*day, today)) {
            dropped += usize::from(drop_if_empty(connection, Partition { table, day }).await?);
        }
    }
    if created + dropped > 0 {
        tracing::debug!(created, dropped, "partitions of the store were created and dropped");
    }
    Ok((created, dropped))
}

/// Whether no new rows belong to the partition of `day`. Yesterday's partition always exists.
fn is_past(day: Day, today: Day) -> bool {
    day < today.plus(-1)
}

/// Drops a partition if it has no rows. Returns whether it did.
async fn drop_if_empty(connection: &mut PgConnection, partition: Partition) -> Result<bool, StoreError> {
    // The first look needs no lock.
    if !is_empty(connection, partition).await? {
        return Ok(false);
    }
    let mut transaction = connection.begin().await?;
    transaction.execute(LIMITS).await?;
    // A job may have arrived since, with the id of a past day: someone has set the clock back.
    let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", partition.name());
    transaction.execute(AssertSqlSafe(lock)).await?;
    if !is_empty(&mut transaction, partition).await? {
        transaction.rollback().await?;
        return Ok(false);
    }
    let drop = format!("DROP TABLE {}", partition.name());
    transaction.execute(AssertSqlSafe(drop)).await?;
    transaction.commit().await?;
    Ok(true)
}

async fn is_empty(connection: &mut PgConnection, partition: Partition) -> Result<bool, StoreError> {
    let sql = format!("SELECT NOT EXISTS (SELECT FROM {})", partition.name());
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await?)
}
