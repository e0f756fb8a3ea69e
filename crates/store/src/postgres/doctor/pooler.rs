//! Detects a pooler that gives each transaction another session of the server, like PgBouncer with `pool_mode = transaction`.
//!
//! The settings of a session and the owner's lock do not survive there. While one client is inside a transaction, such a
//! pooler has to give another session to the other client, or has given it the same one.

use sqlx::{Executor, PgConnection, Row};

use crate::StoreError;

/// Not a prepared statement: a pooler may lose that too.
const PID: &str = "SELECT pg_backend_pid()::int8 AS pid";

/// Whether two connections of one client get sessions of the server in turns.
pub(super) async fn shares_sessions(
    one: &mut PgConnection,
    other: &mut PgConnection,
) -> Result<bool, StoreError> {
    let before = pid(one).await?;
    other.execute("BEGIN").await?;
    let inside = pid(other).await?;
    let after = pid(one).await?;
    other.execute("ROLLBACK").await?;
    let later = pid(other).await?;
    Ok(before == inside || before != after || inside != later)
}

async fn pid(connection: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(connection.fetch_one(PID).await?.try_get("pid")?)
}
