//! A store as the first version leaves it: only the first migration, and queued jobs.

use std::path::Path;

use simulator::Bot;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool};

use super::store_files::path_of;

/// Creates the store at `file`, with one job of the handler `old` for each bot. Returns the jobs' ids.
pub async fn make(file: &Path, account_id: i64, bots: &[Bot]) -> Vec<String> {
    let first = tempfile::tempdir().unwrap();
    let name = "0001_jobs.sql";
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    std::fs::copy(migrations.join(name), first.path().join(name)).unwrap();
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    Migrator::new(first.path()).await.unwrap().run(&pool).await.unwrap();

    let mut ids = Vec::new();
    // Milliseconds since 1970, as in the schema. The exact time does not matter.
    let now: i64 = sqlx::query_scalar("SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)")
        .fetch_one(&pool)
        .await
        .unwrap();
    for bot in bots {
        let url = bot.return_url();
        let origin = url.strip_suffix(path_of(&url)).unwrap();
        let id: String = sqlx::query_scalar(
            "INSERT INTO jobs (id, state, handler, account_id, origin, return_url, data, received_at, \
             waiting_since, answer_by, due_at) \
             VALUES (randomblob(16), 'queued', 'old', ?1, ?2, ?3, '{}', ?4, ?4, ?4 + 600000, ?4) \
             RETURNING lower(hex(id))",
        )
        .bind(account_id)
        .bind(origin)
        .bind(&url)
        .bind(now)
        .fetch_one(&pool)
        .await
        .unwrap();
        ids.push(id);
    }
    let jobs = i64::try_from(bots.len()).unwrap();
    sqlx::query("UPDATE job_counts SET jobs = ? WHERE state = 'queued'")
        .bind(jobs)
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("INSERT INTO account_bytes (account_id, unfinished, stored) VALUES (?1, 2 * ?2, 2 * ?2)")
        .bind(account_id)
        .bind(jobs)
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    ids
}
