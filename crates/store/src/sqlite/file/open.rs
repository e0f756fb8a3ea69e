//! Opening the store: the file, its owner, its schema.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};

use paths;

use super::migrations::MIGRATIONS;
use super::{create, locks};
use crate::StoreError;
use crate::sqlite::file::identity::Place;

/// What the first migration writes into the file's head.
const APPLICATION_ID: i64 = 1_396_851_271;
/// Room for the pages that a busy minute touches: idempotency keys are random, so each is in another page.
/// Negative, as SQLite counts KiB; it is taken only as it is needed.
const CACHE_KIB: &str = "-16384";
/// How long a statement waits for another process's lock.
pub(crate) const BUSY: Duration = Duration::from_secs(5);
/// Between the two tries to become the owner.
const LOCK_RETRY: Duration = Duration::from_millis(50);
/// After a burst the log is cut back to this.
const LOG_BYTES: i64 = 64 << 20;
const READERS: u32 = 4;

/// What a process wants with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Own it: make it if need be, bring its schema up to date, free what a dead owner held.
    Serve,
    /// Look at it and move jobs beside a possible owner. It must exist.
    Visit,
}

/// The connections to an opened store, and the lock that says who owns it.
pub(crate) struct Opened {
    pub(crate) writing: SqliteConnection,
    pub(crate) checkpoints: SqliteConnection,
    pub(crate) reading: SqlitePool,
    pub(crate) lock: Option<File>,
    /// Of the owner, who has to notice when somebody takes the file away.
    pub(crate) place: Option<Arc<Place>>,
}

/// Whether the file of `url` exists.
pub(crate) fn is_there(url: &str) -> Result<bool, StoreError> {
    Ok(path(url)?.exists())
}

/// Opens `url`, `sqlite:PATH`.
pub(crate) async fn open(url: &str, purpose: Purpose) -> Result<Opened, StoreError> {
    let path = file_of(url)?;
    let shown = path.display().to_string();
    let cannot = |why: String| cannot(&path, why);
    let failed = |error: sqlx::Error| StoreError::from(error).at(&path);
    let no_store = |why: &str| StoreError::NotAStore { path: shown.clone(), why: why.to_owned() };
    if path.is_symlink() {
        return Err(no_store("it is a link that leads nowhere: set store.url to the file itself"));
    }
    if path.is_dir() {
        return Err(no_store("it is a folder: set store.url to a file in it"));
    }
    let lock = match purpose {
        Purpose::Serve => {
            let folder = create::folder_of(&path);
            create::make_folder(folder)
                .map_err(|error| cannot(format!("its folder cannot be made: {error}")))?;
            let lock = own(&path)?;
            create::make(&path).map_err(|error| cannot(format!("it cannot be made: {error}")))?;
            // A start that was cut off may have made them and not come this far.
            create::sync_names(create::folder_of(folder));
            create::sync_names(folder);
            Some(lock)
        }
        Purpose::Visit if !path.exists() => {
            return Err(cannot(
                "there is no such file; `serve` makes it, and store.url says where it is".into(),
            ));
        }
        Purpose::Visit => None,
    };
    let mut options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(purpose == Purpose::Serve)
        // We acknowledge after COMMIT, so COMMIT has to mean "on the disk".
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        // Checkpoints are made on a connection of their own, beside the commits and not inside them.
        .pragma("wal_autocheckpoint", "0")
        .pragma("journal_size_limit", LOG_BYTES.to_string())
        .pragma("temp_store", "memory")
        .statement_cache_capacity(256)
        .disable_statement_logging();
    if purpose == Purpose::Serve {
        if path.exists() && is_foreign(&options).await.map_err(failed)? {
            return Err(no_store("it is the database of another program: set store.url to another file"));
        }
        // The file remembers it. A visitor must not change a file before it knows that it is a store.
        options = options.journal_mode(SqliteJournalMode::Wal);
    }
    migrate(&options, purpose, &path).await?;
    let connect = async |options: SqliteConnectOptions| options.connect().await.map_err(failed);
    let writing = connect(options.clone().pragma("cache_size", CACHE_KIB)).await?;
    let checkpoints = connect(options.clone()).await?;
    let reading = SqlitePoolOptions::new()
        .max_connections(READERS)
        .min_connections(0)
        .acquire_timeout(BUSY)
        .connect_with(options.read_only(true).statement_cache_capacity(32))
        .await
        .map_err(|error| cannot(error.to_string()))?;
    let place = match purpose {
        Purpose::Serve => Some(Arc::new(Place::new(&path).map_err(|error| cannot(error.to_string()))?)),
        Purpose::Visit => None,
    };
    Ok(Opened { writing, checkpoints, reading, lock, place })
}

/// The absolute path of the file that `url` names.
///
/// # Errors
/// It names none.
pub fn file_of(url: &str) -> Result<PathBuf, StoreError> {
    path(url).map(resolved)
}

/// The file behind a link: whatever name it is opened by, its lock lies beside it. The path is absolute.
fn resolved(path: PathBuf) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| paths::absolute(&path))
}

fn path(url: &str) -> Result<PathBuf, StoreError> {
    paths::of_sqlite(url).map_err(|why| StoreError::Url(why.to_string()))
}

/// The store at `path` cannot be opened.
fn cannot(path: &Path, why: String) -> StoreError {
    StoreError::Open { path: path.display().to_string(), why: format!("{why}; {}", paths::whose(path)) }
}

/// The file beside the database that its owner holds locked.
pub(crate) fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Takes the lock beside the database. The system frees it when the process ends, however it ends.
fn own(path: &Path) -> Result<File, StoreError> {
    let lock = lock_path(path);
    let cannot = |error: std::io::Error| StoreError::Open {
        path: path.display().to_string(),
        why: format!("its lock {}", paths::cannot(&lock, "opened", &error)),
    };
    let mut file = create::open_lock(&lock).map_err(cannot)?;
    let locked = file.try_lock().or_else(|_| {
        // A command that looks whether a bridge runs holds it for a moment.
        std::thread::sleep(LOCK_RETRY);
        file.try_lock()
    });
    if let Err(error) = locked {
        if let TryLockError::Error(error) = error {
            return Err(cannot(error));
        }
        // What the file says may be of an owner who ended since: the system knows better, if it tells.
        let holder = locks::holder(&lock).map(|pid| format!("process {pid}"));
        let owner = holder.or_else(|| noted(&mut file)).unwrap_or_else(|| "another process".to_owned());
        return Err(StoreError::InUse { path: path.display().to_string(), owner });
    }
    let note = format!("process {}\n", std::process::id());
    file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(cannot)?;
    file.write_all(note.as_bytes()).map_err(cannot)?;
    Ok(file)
}

/// What the owner wrote into the lock.
fn noted(file: &mut File) -> Option<String> {
    let mut note = String::new();
    file.take(64).read_to_string(&mut note).ok()?;
    Some(note.trim().to_owned()).filter(|note| !note.is_empty())
}

async fn migrate(options: &SqliteConnectOptions, purpose: Purpose, path: &Path) -> Result<(), StoreError> {
    let shown = path.display().to_string();
    let connected = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await;
    let pool = connected.map_err(|error| StoreError::from(error).at(path))?;
    let result = match purpose {
        Purpose::Serve => MIGRATIONS.run(&pool).await.map_err(|error| match error {
            MigrateError::VersionMissing(version) => StoreError::Newer { path: shown.clone(), version },
            MigrateError::VersionMismatch(_) => StoreError::Unreleased { path: shown.clone() },
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                StoreError::from(error).at(path)
            }
            other => cannot(path, other.to_string()),
        }),
        Purpose::Visit => up_to_date(&pool, &shown).await,
    };
    pool.close().await;
    result
}

/// Whether the file is a database that holds something, but not ours.
async fn is_foreign(options: &SqliteConnectOptions) -> Result<bool, sqlx::Error> {
    let mut connection = options.connect().await?;
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut connection).await?;
    // The list of migrations alone is what a first start leaves that is killed before it has made anything else.
    let things = "SELECT count(*) FROM sqlite_schema WHERE tbl_name <> '_sqlx_migrations'";
    let things: i64 = sqlx::query_scalar(things).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(things > 0 && id != APPLICATION_ID)
}

/// A visitor changes no schema, so it has to find its own.
async fn up_to_date(pool: &SqlitePool, shown: &str) -> Result<(), StoreError> {
    let path = || shown.to_owned();
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(pool)
            .await
            .map_err(|error| StoreError::NotAStore {
                path: path(),
                why: format!("it is no store of this program ({})", StoreError::from(error)),
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
        let why = "its schema is older than this program; `serve` brings it up to date".to_owned();
        return Err(StoreError::Open { path: path(), why });
    }
    Ok(())
}
