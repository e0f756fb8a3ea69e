//! Brings the tables up to date. The owner migrates them; an observer requires the current version.

use sqlx::migrate::MigrateError;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use super::migrations::{MIGRATIONS, VERSION};
use crate::{Cause, Role, StoreError};

/// How long a migration waits for a lock, such as that of another process that migrates the same database.
const LOCK_TIMEOUT_SECONDS: u32 = 10;

/// What a store says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// Its newest migration.
    pub(crate) version: i64,
    /// The oldest program that may open it, by the newest migration that it knows.
    pub(crate) compatible_from: i64,
}

/// Migrates the database as an owner, or checks its version as an observer. `server` names the database in errors.
///
/// # Errors
/// A newer program has changed the tables in a way that this one does not understand; the tables belong to another program;
/// or a statement fails. Drop the connection after an error: it may hold the migrations' lock.
pub(crate) async fn migrate(
    connection: &mut PgConnection,
    role: Role,
    server: &str,
) -> Result<(), StoreError> {
    let found = version(connection).await?;
    match (found, role) {
        (Some(found), _) => refuse_newer(found, server)?,
        (None, Role::Observer) => {
            return Err(not_a_store(
                server,
                "it contains no store: start `serve`, which creates it, or correct store.url",
            ));
        }
        (None, Role::Owner) => refuse_foreign(connection, server).await?,
    }
    match (role, found) {
        (Role::Owner, _) => run(connection, server).await?,
        (Role::Observer, Some(found)) if found.version < VERSION => {
            let why = "its tables are older than this program: start `serve`, which migrates them";
            return Err(StoreError::Open { path: server.to_owned(), why: why.into() });
        }
        (Role::Observer, _) => {}
    }
    // Another process may have migrated the database in the meantime.
    let now = version(connection).await?.ok_or_else(|| not_a_store(server, "its table `store` is empty"))?;
    refuse_newer(now, server)
}

/// Returns what the store says about itself; `None` if the database contains no store.
pub(crate) async fn version(connection: &mut PgConnection) -> Result<Option<Version>, StoreError> {
    let there: bool = sqlx::query_scalar(
        "SELECT to_regclass('store') IS NOT NULL AND to_regclass('_sqlx_migrations') IS NOT NULL",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !there {
        return Ok(None);
    }
    let row = sqlx::query("SELECT version, compatible_from FROM store").fetch_optional(connection).await?;
    let read = |row: sqlx::postgres::PgRow| {
        Ok(Version { version: row.try_get("version")?, compatible_from: row.try_get("compatible_from")? })
    };
    row.map(read).transpose()
}

/// Returns the random number of the store. After a reconnect, another one means that the address leads to another store.
pub(crate) async fn nonce(connection: &mut PgConnection) -> Result<Uuid, StoreError> {
    Ok(sqlx::query_scalar("SELECT nonce FROM store").fetch_one(connection).await?)
}

async fn run(connection: &mut PgConnection, server: &str) -> Result<(), StoreError> {
    let wait = format!("SET lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'");
    sqlx::query(AssertSqlSafe(wait)).execute(&mut *connection).await?;
    // This takes an advisory lock first, so only one process migrates at a time.
    MIGRATIONS.run_direct(None, &mut *connection, false).await.map_err(|error| match error {
        MigrateError::VersionMismatch(version) => not_a_store(
            server,
            format!(
                "its migration {version} differs from that of this program, so another version from before the first release \
                 made it: set store.url to a new database"
            ),
        ),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => StoreError::from(error),
        other => StoreError::Open {
            path: server.to_owned(),
            why: Cause::with(format!("its tables were not migrated: {other}"), other),
        },
    })?;
    sqlx::query("RESET lock_timeout").execute(connection).await?;
    Ok(())
}

fn refuse_newer(found: Version, server: &str) -> Result<(), StoreError> {
    if found.compatible_from > VERSION {
        return Err(StoreError::Newer { path: server.to_owned(), version: found.version });
    }
    Ok(())
}

/// Refuses a database in which another program has tables, because their names could be the same.
async fn refuse_foreign(connection: &mut PgConnection, server: &str) -> Result<(), StoreError> {
    // Tables of extensions do not count. A first start that was killed early leaves only the table of migrations.
    let tables = "SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace \
         AND relkind IN ('r', 'p') AND relname <> '_sqlx_migrations' AND NOT EXISTS (SELECT FROM pg_depend \
         WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e') ORDER BY relname LIMIT 1";
    let foreign: Option<String> = sqlx::query_scalar(tables).fetch_optional(connection).await?;
    match foreign {
        None => Ok(()),
        Some(table) => Err(not_a_store(
            server,
            format!(
                "it contains tables of another program (`{table}`): set store.url to a database of its own, for example one \
                 made with `createdb salesbot_bridge`"
            ),
        )),
    }
}

fn not_a_store(server: &str, why: impl Into<Cause>) -> StoreError {
    StoreError::NotAStore { path: server.to_owned(), why: why.into() }
}
