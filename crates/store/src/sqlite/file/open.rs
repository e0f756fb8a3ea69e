//! Opens a store: its file, its owner lock, its schema.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::OpenFlags;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};

use super::identity::FileIdentity;
use super::path::{file_of, not_a_store, refuse_folder};
use super::verify::FOREIGN;
use super::{create, owner_lock, schema};
use crate::sqlite::error::{cannot_open, with_owner};
use crate::{Role, StoreError};

/// The size of the writer's page cache. It holds the pages that most transactions touch. The others, such as those of
/// idempotency keys, come from the system's cache. That costs less than a larger cache here, because COMMIT looks at every
/// slot of this one if a page was split. Negative, because SQLite then counts in KiB. Memory is allocated only as needed.
const CACHE_KIB: i64 = -4_096;
/// The size of the page cache of each other connection. Their pages are also in the cache of the system.
const READER_CACHE_KIB: i64 = -512;
/// How long a statement waits for another process's lock.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// After a burst, the log file is truncated to this length in bytes.
const LOG_SIZE_LIMIT: i64 = 64 << 20;
const MAX_READERS: u32 = 4;
/// The writer has about fifty different statements.
const MAX_PREPARED_STATEMENTS: usize = 128;

/// The connections of an open store.
pub(crate) struct Opened {
    pub(crate) writing: Writing,
    pub(crate) checkpoints: SqliteConnection,
    pub(crate) reading: SqlitePool,
}

/// The connection that writes, and the resources that it needs for as long as it is open.
pub(crate) struct Writing {
    pub(crate) connection: rusqlite::Connection,
    /// Set only for the owner, which must notice if someone deletes or moves the file.
    pub(crate) file: Option<Arc<FileIdentity>>,
    /// The owner's lock. It is held until after the last write, so that no other process becomes the owner earlier.
    lock: Option<File>,
}

impl Writing {
    /// Closes the connection. It must be the last open one. It may wait for the disk.
    pub(crate) fn close(self) {
        let Self { connection, file, lock } = self;
        if let Some(file) = file {
            file.write_back(&connection);
        }
        // The last connection to close checkpoints the log, and only this connection may write.
        if let Err((_, error)) = connection.close() {
            tracing::warn!(%error, "the store was not closed cleanly; it recovers at the next start");
        }
        drop(lock);
    }
}

/// Opens the connection that writes. The file exists and has the schema.
fn open_writing(path: &Path) -> Result<rusqlite::Connection, rusqlite::Error> {
    // Only the writer's thread uses the connection, so SQLite needs no lock for it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // The store acknowledges after COMMIT, so COMMIT must mean "on the disk".
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // Checkpoints run on a separate connection, beside the commits and not inside them.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_SIZE_LIMIT, |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(MAX_PREPARED_STATEMENTS);
    Ok(connection)
}

/// Opens the store at `url`, which is `sqlite:PATH`.
pub(crate) async fn open(url: &str, role: Role) -> Result<Opened, StoreError> {
    let path = file_of(url)?;
    let shown = path.display().to_string();
    let failed = |error: sqlx::Error| StoreError::from(error).at(&path);
    if path.is_symlink() {
        return Err(not_a_store(&path, "it is a dangling link: set store.url to the file itself"));
    }
    refuse_folder(&path)?;
    let lock = match role {
        Role::Owner => {
            let folder = create::folder_of(&path);
            create::make_folder(folder).map_err(|error| {
                cannot_open(&path, format!("its folder cannot be created: {error}"), error)
            })?;
            let lock = owner_lock::own(&path)?;
            create::make(&path)
                .map_err(|error| cannot_open(&path, format!("it cannot be created: {error}"), error))?;
            // An interrupted start may have created the file and the folder without syncing their names.
            create::sync_names(create::folder_of(folder));
            create::sync_names(folder);
            Some(lock)
        }
        Role::Observer if !path.exists() => {
            let text = "file not found: start `serve`, which creates it, or correct store.url";
            return Err(StoreError::Open { path: shown, why: with_owner(&path, text).into() });
        }
        Role::Observer => None,
    };
    let mut options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(role == Role::Owner)
        // The store acknowledges after COMMIT, so COMMIT must mean "on the disk".
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        // Checkpoints run on a separate connection, beside the commits and not inside them.
        .pragma("wal_autocheckpoint", "0")
        .pragma("journal_size_limit", LOG_SIZE_LIMIT.to_string())
        .pragma("temp_store", "memory")
        .pragma("cache_size", READER_CACHE_KIB.to_string())
        .statement_cache_capacity(256)
        .disable_statement_logging();
    if role == Role::Owner {
        if path.exists() && schema::is_foreign(&options).await.map_err(failed)? {
            return Err(not_a_store(&path, FOREIGN));
        }
        // The file stores this mode. Only the owner sets it: an observer must not change a file that may not be a store.
        options = options.journal_mode(SqliteJournalMode::Wal);
    }
    schema::migrate(&options, role, &path).await?;
    let connection = open_writing(&path).map_err(|error| StoreError::from(error).at(&path))?;
    let checkpoints = options.connect().await.map_err(failed)?;
    let reading = SqlitePoolOptions::new()
        .max_connections(MAX_READERS)
        .min_connections(0)
        .acquire_timeout(BUSY_TIMEOUT)
        // The pool also tests each connection when it is released, and a file does not hang up.
        .test_before_acquire(false)
        .connect_with(options.read_only(true).statement_cache_capacity(32))
        .await
        .map_err(|error| cannot_open(&path, error.to_string(), error))?;
    let file = match role {
        Role::Owner => Some(Arc::new(
            FileIdentity::new(&path).map_err(|error| cannot_open(&path, error.to_string(), error))?,
        )),
        Role::Observer => None,
    };
    Ok(Opened { writing: Writing { connection, file, lock }, checkpoints, reading })
}
