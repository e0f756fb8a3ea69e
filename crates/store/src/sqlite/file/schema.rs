//! The schema: the owner migrates it, and an observer requires the current version.

use std::path::Path;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions, Connection, SqlitePool};

use super::copy;
use super::migrations::MIGRATIONS;
use super::path::with;
use crate::sqlite::error::cannot_open;
use crate::{Cause, Role, StoreError};

/// The application id that the first migration writes into the file's header.
pub(super) const APPLICATION_ID: i64 = 1_396_851_271;

pub(crate) async fn migrate(
    options: &SqliteConnectOptions,
    role: Role,
    path: &Path,
) -> Result<(), StoreError> {
    let shown = path.display().to_string();
    let connected = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await;
    let pool = connected.map_err(|error| StoreError::from(error).at(path))?;
    if role == Role::Owner
        && let Err(error) = back_up_first(&pool, path).await
    {
        pool.close().await;
        return Err(error);
    }
    let result = match role {
        Role::Owner => MIGRATIONS.run(&pool).await.map_err(|error| match error {
            MigrateError::VersionMissing(version) => StoreError::Newer { path: shown.clone(), version },
            MigrateError::VersionMismatch(_) => StoreError::Unreleased { path: shown.clone() },
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                StoreError::from(error).at(path)
            }
            other => cannot_open(path, other.to_string(), other),
        }),
        Role::Observer => up_to_date(&pool, &shown).await,
    };
    pool.close().await;
    result
}

/// Writes a verified backup beside a store whose schema is about to change, so that the version before can still open it. A
/// new store has nothing to back up.
async fn back_up_first(pool: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    // The table does not exist yet in a new store. A damaged one is reported by the migration.
    let applied = "SELECT version FROM _sqlx_migrations WHERE success";
    let Ok(applied) = sqlx::query_scalar::<_, i64>(applied).fetch_all(pool).await else { return Ok(()) };
    let pending = MIGRATIONS.iter().map(|migration| migration.version).find(|known| !applied.contains(known));
    let Some(version) = pending.filter(|_| !applied.is_empty()) else { return Ok(()) };
    let target = with(path, &format!(".before-migration-{version}"));
    let (source, to) = (path.to_owned(), target.clone());
    let copied = tokio::task::spawn_blocking(move || copy::copy(&source, &to, || false)).await;
    let copied = copied.map_err(|error| StoreError::Database(Cause::of(error)))??;
    tracing::info!(
        backup = %target.display(),
        jobs = copied.jobs,
        version,
        "the schema of the store is about to change; a backup was written"
    );
    Ok(())
}

/// Whether the file is the database of another program.
pub(crate) async fn is_foreign(options: &SqliteConnectOptions) -> Result<bool, sqlx::Error> {
    let mut connection = options.connect().await?;
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut connection).await?;
    // A first start that was killed early leaves only the table of migrations. Such a file is ours.
    let objects = "SELECT count(*) FROM sqlite_schema WHERE tbl_name <> '_sqlx_migrations'";
    let objects: i64 = sqlx::query_scalar(objects).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(objects > 0 && id != APPLICATION_ID)
}

/// Checks that the schema is the current one, because an observer does not migrate.
async fn up_to_date(pool: &SqlitePool, shown: &str) -> Result<(), StoreError> {
    let path = || shown.to_owned();
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(pool)
            .await
            .map_err(|error| {
                let error = StoreError::from(error);
                let text =
                    format!("it is not a store of this program, so set store.url to another file ({error})");
                StoreError::NotAStore { path: path(), why: Cause::with(text, error) }
            })?;
    for (version, checksum) in &applied {
        match MIGRATIONS.iter().find(|migration| migration.version == *version) {
            None => return Err(StoreError::Newer { path: path(), version: *version }),
            Some(known) if *known.checksum != **checksum => {
                return Err(StoreError::Unreleased { path: path() });
            }
            Some(_) => {}
        }
    }
    if applied.len() < MIGRATIONS.iter().count() {
        let why = "its schema is older than this program: start `serve`, which migrates it";
        return Err(StoreError::Open { path: path(), why: why.into() });
    }
    Ok(())
}
