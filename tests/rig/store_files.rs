//! A snapshot of the files of a store that no process serves. It reads a copy, because opening the files themselves
//! would recover them, which the next life should do. All queries of the rig are here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Row, SqliteConnection};

use super::wal;

/// The content of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreSnapshot {
    /// Whether there is a file that is not empty.
    pub exists: bool,
    /// The number of completed migrations.
    pub migrations: i64,
    /// Whether a transaction was being written.
    pub in_commit: bool,
    /// Jobs by state.
    pub states: BTreeMap<String, u64>,
    /// The jobs' ids in hexadecimal, and the paths of their return_urls.
    pub jobs: Vec<(String, String)>,
    /// The paths of the return_urls whose continues were in flight.
    pub in_flight: BTreeSet<String>,
    /// Violations.
    pub wrong: Vec<String>,
}

/// Reads the database `file`; lists its jobs if `with_jobs`.
pub async fn read(file: &Path, with_jobs: bool) -> StoreSnapshot {
    let mut snapshot = StoreSnapshot::default();
    let copy = tempfile::tempdir().unwrap();
    let database = copy.path().join("bridge.db");
    if !std::fs::copy(file, &database).is_ok_and(|bytes| bytes > 0) && log(file).is_empty() {
        return snapshot;
    }
    snapshot.exists = true;
    snapshot.in_commit = wal::ends_inside_a_transaction(&log(file));
    std::fs::write(copy.path().join("bridge.db-wal"), log(file)).unwrap();
    let journal = beside(file, "-journal");
    if journal.exists() {
        std::fs::copy(journal, copy.path().join("bridge.db-journal")).unwrap();
    }
    let mut database =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&database)).await.unwrap();
    for check in ["PRAGMA integrity_check", "PRAGMA foreign_key_check"] {
        for row in sqlx::query(check).fetch_all(&mut database).await.unwrap() {
            let text: String = row.try_get(0).unwrap_or_default();
            if text != "ok" {
                snapshot.wrong.push(format!("{check}: {text}"));
            }
        }
    }
    let applied = "SELECT count(*) FROM _sqlx_migrations WHERE success";
    snapshot.migrations = sqlx::query_scalar(applied).fetch_one(&mut database).await.unwrap_or(0);
    if snapshot.migrations > 0 {
        snapshot.count(&mut database, with_jobs).await;
    }
    database.close().await.unwrap();
    snapshot
}

impl StoreSnapshot {
    async fn count(&mut self, database: &mut SqliteConnection, with_jobs: bool) {
        self.states = by_state(database, "SELECT state, count(*) FROM jobs GROUP BY state").await;
        let counted = "SELECT state, sum(jobs) FROM job_counts GROUP BY state HAVING sum(jobs) <> 0";
        let counted = by_state(database, counted).await;
        if counted != self.states {
            self.wrong.push(format!("job_counts says {counted:?}, but the jobs are {:?}", self.states));
        }
        let kept = "SELECT account_id, unfinished, stored FROM account_bytes WHERE stored > 0";
        let jobs = "SELECT account_id, sum(iif(finished_at IS NULL, bytes, 0)), sum(bytes) FROM (SELECT account_id, \
                    finished_at, coalesce(octet_length(data), 0) + coalesce(octet_length(completion), 0) \
                    + coalesce(octet_length(handler_completion), 0) AS bytes FROM jobs) \
                    GROUP BY account_id HAVING sum(bytes) > 0";
        let (kept, jobs) = (by_account(database, kept).await, by_account(database, jobs).await);
        if kept != jobs {
            self.wrong.push(format!("account_bytes says {kept:?}, but the jobs are {jobs:?}"));
        }
        let in_flight = "SELECT return_url FROM jobs WHERE state = 'delivering' AND lease_until IS NOT NULL";
        let urls: Vec<String> = sqlx::query_scalar(in_flight).fetch_all(&mut *database).await.unwrap();
        self.in_flight = urls.iter().map(|url| path_of(url).to_owned()).collect();
        if with_jobs {
            let jobs = sqlx::query("SELECT lower(hex(id)), return_url FROM jobs").fetch_all(database).await;
            let job = |row: &sqlx::sqlite::SqliteRow| (row.get(0), path_of(row.get(1)).to_owned());
            self.jobs = jobs.unwrap().iter().map(job).collect();
        }
    }
}

/// The URL without scheme, host and port. It is the same in every version of the schema.
pub fn path_of(url: &str) -> &str {
    url.find("/api/").map_or(url, |at| &url[at..])
}

async fn by_state(database: &mut SqliteConnection, sql: &'static str) -> BTreeMap<String, u64> {
    let rows = sqlx::query(sql).fetch_all(database).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get::<i64, _>(1).unsigned_abs())).collect()
}

async fn by_account(database: &mut SqliteConnection, sql: &'static str) -> BTreeMap<i64, (i64, i64)> {
    let rows = sqlx::query(sql).fetch_all(database).await.unwrap();
    rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect()
}

fn log(file: &Path) -> Vec<u8> {
    std::fs::read(beside(file, "-wal")).unwrap_or_default()
}

fn beside(file: &Path, ending: &str) -> std::path::PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
