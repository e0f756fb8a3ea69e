//! Transactions for reading: all statements of one see the same state of the database.
//!
//! The planner chooses by its statistics, which are missing or old for a new day's partition. A list must not sort all
//! jobs because of that, so these transactions allow a sort or a bitmap only where no index has the order.

use sqlx::{PgPool, Postgres};

use crate::StoreError;

/// Begins a transaction for reading.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL enable_sort = off; \
     SET LOCAL enable_bitmapscan = off";

/// Begins to read. The transaction ends when it is dropped.
pub(crate) async fn snapshot(pool: &PgPool) -> Result<sqlx::Transaction<'static, Postgres>, StoreError> {
    let pool = pool.clone();
    // A task of its own, because the caller may be cancelled: a BEGIN that no one waits for would leave its connection in
    // an old transaction.
    let begun = tokio::spawn(async move { pool.begin_with(BEGIN).await }).await;
    Ok(begun.map_err(|_| StoreError::Closed)??)
}
