//! Reads single facts.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row};

use model::Timestamp;
use model::clock::Clock;

use crate::StoreError;
use crate::postgres::outside::sizes::unsigned;
use crate::records::{Connections, Durability, Rights, ServerFacts, Standbys, TableRows, Vacuum};

const SERVER: &str = "SELECT current_setting('server_version_num')::int4 / 10000 AS major, \
     current_setting('server_version') AS version, pg_is_in_recovery() AS is_replica, \
     current_setting('server_encoding') AS encoding";

/// Connections for reading do not set `synchronous_commit`, so this is the default of the server, the database or the user.
const DURABILITY: &str = "SELECT current_setting('synchronous_commit') AS synchronous_commit, \
     current_setting('fsync') = 'on' AS fsync, current_setting('full_page_writes') = 'on' AS full_page_writes";

/// The server hides the state from a user without the role pg_monitor.
const STANDBYS: &str = "SELECT coalesce(sync_state, 'hidden') AS state, count(*) AS standbys FROM pg_stat_replication GROUP BY 1";

const RIGHTS: &str = "SELECT current_user::text AS user_name, current_schema()::text AS schema, \
     coalesce(has_schema_privilege(current_schema()::text, 'CREATE'), false) AS may_create, \
     (SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(current_schema()::text)) \
      AND relkind IN ('r', 'p') AND NOT pg_has_role(relowner, 'USAGE') AND NOT EXISTS (SELECT FROM pg_depend \
      WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e') \
      ORDER BY relname LIMIT 1) AS foreign_table";

const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8";

const TABLES: &str = "SELECT relname::text AS name, n_live_tup, n_dead_tup, \
     (extract(epoch FROM greatest(last_vacuum, last_autovacuum)) * 1000)::int8 AS vacuumed_at \
     FROM pg_stat_user_tables WHERE schemaname = current_schema() ORDER BY n_dead_tup DESC, relname LIMIT 5";

const TLS: &str = "SELECT CASE WHEN ssl THEN version END FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// The limits of the server, of the database and of the user; the one with the fewest free connections counts. Sessions of
/// the server itself have no database.
const CONNECTIONS: &str = "SELECT open, max FROM ( \
     SELECT (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL) AS open, \
         current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')::int8 \
         - coalesce(current_setting('reserved_connections', true)::int8, 0) AS max \
     UNION ALL SELECT (SELECT count(*) FROM pg_stat_activity WHERE datid = pg_database.oid), datconnlimit::int8 \
         FROM pg_database WHERE datname = current_database() AND datconnlimit >= 0 \
     UNION ALL SELECT (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid = pg_roles.oid), \
         rolconnlimit::int8 FROM pg_roles WHERE rolname = current_user AND rolconnlimit >= 0 \
     ) AS limits ORDER BY max - open LIMIT 1";

pub(super) async fn server(connection: &mut PgConnection) -> Result<ServerFacts, StoreError> {
    let row = sqlx::query(SERVER).fetch_one(connection).await?;
    Ok(ServerFacts {
        major: row.try_get("major")?,
        version: row.try_get("version")?,
        is_replica: row.try_get("is_replica")?,
        encoding: row.try_get("encoding")?,
    })
}

pub(super) async fn durability(connection: &mut PgConnection) -> Result<Durability, StoreError> {
    let row = sqlx::query(DURABILITY).fetch_one(connection).await?;
    Ok(Durability {
        synchronous_commit: row.try_get("synchronous_commit")?,
        fsync: row.try_get("fsync")?,
        full_page_writes: row.try_get("full_page_writes")?,
    })
}

pub(super) async fn standbys(connection: &mut PgConnection) -> Result<Standbys, StoreError> {
    let mut by_state = BTreeMap::new();
    for row in sqlx::query(STANDBYS).fetch_all(connection).await? {
        by_state.insert(row.try_get::<String, _>("state")?, unsigned(row.try_get("standbys")?));
    }
    let count = |state: &str| by_state.get(state).copied().unwrap_or(0);
    Ok(Standbys {
        synchronous: count("sync") + count("quorum"),
        // `potential` becomes synchronous when another one fails.
        asynchronous: count("async") + count("potential"),
        hidden: count("hidden"),
    })
}

pub(super) async fn rights(connection: &mut PgConnection) -> Result<Rights, StoreError> {
    let row = sqlx::query(RIGHTS).fetch_one(connection).await?;
    Ok(Rights {
        user: row.try_get("user_name")?,
        schema: row.try_get("schema")?,
        may_create: row.try_get("may_create")?,
        foreign_table: row.try_get("foreign_table")?,
    })
}

/// Compares the server's time with the middle of the call.
pub(super) async fn clock_ahead_ms(connection: &mut PgConnection, clock: &Clock) -> Result<i64, StoreError> {
    let before = clock.now();
    let theirs: i64 = sqlx::query_scalar(NOW).fetch_one(connection).await?;
    let after = clock.now();
    Ok(theirs - i64::midpoint(before.as_millis(), after.as_millis()))
}

pub(super) async fn vacuum(connection: &mut PgConnection) -> Result<Vacuum, StoreError> {
    let is_on: bool = sqlx::query_scalar(
        "SELECT current_setting('autovacuum') = 'on' AND current_setting('track_counts') = 'on'",
    )
    .fetch_one(&mut *connection)
    .await?;
    let mut tables = Vec::new();
    for row in sqlx::query(TABLES).fetch_all(connection).await? {
        let vacuumed_at: Option<i64> = row.try_get("vacuumed_at")?;
        tables.push(TableRows {
            table: row.try_get("name")?,
            live: unsigned(row.try_get("n_live_tup")?),
            dead: unsigned(row.try_get("n_dead_tup")?),
            vacuumed_at: vacuumed_at.map(Timestamp::from_millis),
        });
    }
    Ok(Vacuum { is_on, tables })
}

pub(super) async fn tls(connection: &mut PgConnection) -> Result<Option<String>, StoreError> {
    let version: Option<Option<String>> = sqlx::query_scalar(TLS).fetch_optional(connection).await?;
    Ok(version.flatten())
}

pub(super) async fn connections(connection: &mut PgConnection) -> Result<Connections, StoreError> {
    let row = sqlx::query(CONNECTIONS).fetch_one(connection).await?;
    Ok(Connections { open: unsigned(row.try_get("open")?), max: unsigned(row.try_get("max")?) })
}
