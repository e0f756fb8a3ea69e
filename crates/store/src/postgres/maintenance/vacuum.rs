//! Vacuums the tables that every transaction changes. They have few rows and many versions of them, and the server's own
//! vacuum looks at a table once a minute at best.

use sqlx::{Executor, PgConnection};

use crate::StoreError;

/// A table that another session locks is left out. The tables keep their size, because shortening one needs its lock.
pub(crate) const VACUUM: &str =
    "VACUUM (SKIP_LOCKED, TRUNCATE false) job_counts, account_bytes, outside_changes, owner";

/// Vacuums the hot tables.
pub(super) async fn vacuum(connection: &mut PgConnection) -> Result<(), StoreError> {
    connection.execute(VACUUM).await?;
    Ok(())
}
