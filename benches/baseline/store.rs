//! One table, and one statement for each step, through an sqlx pool of default size.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{FromRow, Row, SqlitePool};
use uuid::Uuid;

use super::form::WidgetRequest;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS jobs (
        id          TEXT    NOT NULL PRIMARY KEY,
        jti         TEXT    NOT NULL UNIQUE,
        state       TEXT    NOT NULL CHECK (state IN ('queued', 'delivering', 'delivered', 'gone')),
        handler     TEXT    NOT NULL,
        return_url  TEXT    NOT NULL,
        data        TEXT    NOT NULL,
        completion  TEXT,
        attempts    INTEGER NOT NULL DEFAULT 0,
        due_at      INTEGER NOT NULL,
        received_at INTEGER NOT NULL,
        finished_at INTEGER
    );
    CREATE INDEX IF NOT EXISTS jobs_due ON jobs (due_at) WHERE state IN ('queued', 'delivering');";

/// How long a statement waits for the current writer. sqlx's default of 5 s fails under load.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// A job that is not finished.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) return_url: String,
    pub(super) data: String,
    /// The body of the continue; `None` until the handler has run.
    pub(super) completion: Option<String>,
    pub(super) attempts: i64,
}

impl FromRow<'_, SqliteRow> for Job {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            return_url: row.try_get("return_url")?,
            data: row.try_get("data")?,
            completion: row.try_get("completion")?,
            attempts: row.try_get("attempts")?,
        })
    }
}

/// Opens the database and creates its table.
pub(super) async fn open(path: &Path) -> sqlx::Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT);
    let pool = SqlitePoolOptions::new().connect_with(options).await?;
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;
    Ok(pool)
}

/// Stores a request. Returns the id of its job, and whether the `jti` was already known.
pub(super) async fn insert(
    pool: &SqlitePool,
    handler: &str,
    jti: &str,
    request: &WidgetRequest,
    now: i64,
) -> sqlx::Result<(String, bool)> {
    #[allow(clippy::disallowed_methods, reason = "the baseline is minimal and takes no clock as an argument")]
    let id = Uuid::now_v7().to_string();
    let inserted = sqlx::query(
        "INSERT INTO jobs (id, jti, state, handler, return_url, data, due_at, received_at) \
         VALUES (?, ?, 'queued', ?, ?, ?, ?, ?) ON CONFLICT (jti) DO NOTHING",
    )
    .bind(&id)
    .bind(jti)
    .bind(handler)
    .bind(&request.return_url)
    .bind(request.data.to_string())
    .bind(now)
    .bind(now)
    .execute(pool)
    .await?;
    if inserted.rows_affected() == 1 {
        return Ok((id, false));
    }
    let first = sqlx::query_scalar("SELECT id FROM jobs WHERE jti = ?").bind(jti).fetch_one(pool).await?;
    Ok((first, true))
}

/// The oldest jobs that are due.
pub(super) async fn due(pool: &SqlitePool, now: i64, limit: i64) -> sqlx::Result<Vec<Job>> {
    sqlx::query_as(
        "SELECT id, return_url, data, completion, attempts FROM jobs \
         WHERE state IN ('queued', 'delivering') AND due_at <= ? ORDER BY due_at LIMIT ?",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Records the handler's completion.
pub(super) async fn handled(pool: &SqlitePool, id: &str, completion: &str) -> sqlx::Result<()> {
    sqlx::query("UPDATE jobs SET state = 'delivering', completion = ? WHERE id = ? AND state = 'queued'")
        .bind(completion)
        .bind(id)
        .execute(pool)
        .await?;
    Ok(())
}

/// Finishes a job: its bot was continued, or no longer waits.
pub(super) async fn finished(pool: &SqlitePool, id: &str, state: &str, now: i64) -> sqlx::Result<()> {
    sqlx::query("UPDATE jobs SET state = ?, finished_at = ?, attempts = attempts + 1 WHERE id = ?")
        .bind(state)
        .bind(now)
        .bind(id)
        .execute(pool)
        .await?;
    Ok(())
}

/// Schedules the next attempt at `due_at`.
pub(super) async fn later(pool: &SqlitePool, id: &str, due_at: i64) -> sqlx::Result<()> {
    sqlx::query("UPDATE jobs SET attempts = attempts + 1, due_at = ? WHERE id = ?")
        .bind(due_at)
        .bind(id)
        .execute(pool)
        .await?;
    Ok(())
}
