//! The sizes of a database, and what keeps a vacuum from removing dead rows.

use std::time::Duration;

use sqlx::{PgConnection, Row};

use super::{SIZES_TIMEOUT, within};
use crate::StoreError;
use crate::postgres::connect::open::connect;
use crate::postgres::connect::session::Session;
use crate::postgres::connect::url::Target;
use crate::postgres::engine::Engine;
use crate::records::{DatabaseSizes, OldestSnapshot};

const SIZES: &str = "SELECT pg_database_size(current_database()) AS bytes, \
     (SELECT coalesce(sum(n_dead_tup), 0)::int8 FROM pg_stat_user_tables WHERE schemaname = current_schema()) AS dead";

/// A session of another database and a vacuum hold nothing back. The server does not tell every user how long another
/// user's transaction has run, but it tells its age in transactions.
const OLDEST: &str = "SELECT holder, held_ms, transactions FROM ( \
     SELECT 'session ' || pid || coalesce(' (' || nullif(application_name, '') || ')', '') AS holder, \
         (extract(epoch FROM clock_timestamp() - xact_start) * 1000)::int8 AS held_ms, \
         age(backend_xmin)::int8 AS transactions FROM pg_stat_activity \
     WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND (datname = current_database() OR datname IS NULL) \
         AND backend_type IS DISTINCT FROM 'autovacuum worker' \
     UNION ALL \
     SELECT 'prepared transaction ' || gid, (extract(epoch FROM clock_timestamp() - prepared) * 1000)::int8, \
         age(transaction)::int8 FROM pg_prepared_xacts WHERE database = current_database() \
     UNION ALL \
     SELECT 'replication slot ' || slot_name, NULL, age(xmin)::int8 FROM pg_replication_slots WHERE xmin IS NOT NULL \
     ) AS held ORDER BY transactions DESC, held_ms DESC NULLS LAST LIMIT 1";

impl Engine {
    /// Returns the sizes of the database.
    pub(crate) async fn database_sizes(&self) -> Result<DatabaseSizes, StoreError> {
        let read = async {
            let mut connection = self.reading.acquire().await?;
            of(&mut connection, self.target.name()).await
        };
        within(SIZES_TIMEOUT, read).await.map_err(|error| error.on(self.target.name()))
    }
}

/// Returns the sizes of the store at `url`.
///
/// # Errors
/// The database cannot be reached.
pub(crate) async fn sizes(url: &str) -> Result<DatabaseSizes, StoreError> {
    let target = Target::parse(url)?;
    let mut connection = connect(&target, Session::Reader).await?;
    within(SIZES_TIMEOUT, of(&mut connection, target.name())).await.map_err(|error| error.on(target.name()))
}

pub(crate) async fn of(connection: &mut PgConnection, address: &str) -> Result<DatabaseSizes, StoreError> {
    let sizes = sqlx::query(SIZES).fetch_one(&mut *connection).await?;
    Ok(DatabaseSizes {
        address: address.to_owned(),
        database_bytes: unsigned(sizes.try_get("bytes")?),
        dead_rows: unsigned(sizes.try_get("dead")?),
        oldest_snapshot: oldest_snapshot(connection).await?,
    })
}

/// Returns the oldest snapshot of another session; `None` if there is none.
pub(crate) async fn oldest_snapshot(
    connection: &mut PgConnection,
) -> Result<Option<OldestSnapshot>, StoreError> {
    let Some(row) = sqlx::query(OLDEST).fetch_optional(connection).await? else { return Ok(None) };
    let held: Option<i64> = row.try_get("held_ms")?;
    Ok(Some(OldestSnapshot {
        holder: row.try_get("holder")?,
        held: held.map(|millis| Duration::from_millis(unsigned(millis))),
        transactions: unsigned(row.try_get("transactions")?),
    }))
}

pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
