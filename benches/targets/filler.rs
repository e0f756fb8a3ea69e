//! Fills a store with millions of jobs.
//!
//! Copies the jobs that a real bridge left in the store, each many times with a new id and shifted times. It needs no
//! change when the schema changes: the columns come from the database, and only [`value`] knows any of them. The
//! schema's CHECKs apply to every row. `job_counts`, `account_bytes` and the search index stay correct.
//!
//! The bridge must not run at the same time. A crash before [`fill`] returns can corrupt the store.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection};

use super::Result;

/// The number of jobs in one transaction.
const CHUNK: i64 = 50_000;
/// The maximum number of different jobs to copy.
const TEMPLATES: i64 = 500;

/// Which jobs to copy.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Finished jobs.
    Finished,
    /// Jobs that wait for a worker or the sender.
    Waiting,
}

impl Kind {
    fn condition(self) -> &'static str {
        match self {
            Self::Finished => "state IN ('delivered', 'gone')",
            Self::Waiting => "state IN ('queued', 'delivering') AND lease_until IS NULL",
        }
    }
}

/// Adds `jobs` jobs to the store at `file`, with times of receipt spread evenly from `oldest` to `newest` ago.
///
/// # Errors
/// The store has no job to copy, or the database refuses one.
pub async fn fill(file: &Path, kind: Kind, jobs: i64, oldest: Duration, newest: Duration) -> Result<()> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .foreign_keys(false)
        .pragma("temp_store", "memory")
        .pragma("cache_size", "-262144");
    let mut database = options.disable_statement_logging().connect().await?;
    let templates = choose(&mut database, kind).await?;
    let now: i64 = number(&mut database, "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)").await?;
    let from = now - i64::try_from(oldest.as_millis())?;
    let window = i64::try_from((oldest - newest).as_millis())?;

    let mut statements = Vec::new();
    for table in tables(&mut database).await? {
        let belongs = if table == "jobs" { "id" } else { "job_id" };
        run(
            &mut database,
            format!(
                "CREATE TEMP TABLE of_{table} AS SELECT n, t.* FROM pick JOIN main.{table} AS t ON t.{belongs} = job"
            ),
        )
        .await?;
        run(&mut database, format!("CREATE INDEX temp.n_of_{table} ON of_{table} (n)")).await?;
        let columns = columns(&mut database, &table).await?;
        let names: Vec<&str> = columns.iter().map(|column| column.0.as_str()).collect();
        let values: Vec<String> = columns.iter().map(|(name, kind)| value(name, kind)).collect();
        let still_known = if names.contains(&"expires_at") {
            format!("WHERE t.expires_at + shift > {now}")
        } else {
            String::new()
        };
        statements.push(format!(
            "INSERT INTO main.{table} ({}) SELECT {} FROM fresh CROSS JOIN of_{table} AS t ON t.n = fresh.n {still_known}",
            names.join(", "),
            values.join(", "),
        ));
    }
    run(&mut database, "CREATE TEMP TABLE fresh (n INTEGER, id, shift INTEGER, number INTEGER)".into())
        .await?;
    let last = number(&mut database, "SELECT coalesce(max(CAST(id AS INTEGER)), 0) FROM main.jobs").await?;
    let mut start = 0;
    while start < jobs {
        let end = (start + CHUNK).min(jobs);
        let fresh = format!(
            "WITH RECURSIVE numbers (i) AS (SELECT {start} UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < {end}), \
             times AS (SELECT i, {from} + {window} * i / {jobs} AS at FROM numbers) \
             INSERT INTO fresh SELECT pick.n, unhex(printf('%012x7%03x8%015x', at, i & 4095, i)), \
             at - received_at, {last} + 1 + i FROM times CROSS JOIN pick ON pick.n = i % {templates}"
        );
        run(&mut database, "BEGIN".into()).await?;
        run(&mut database, "DELETE FROM fresh".into()).await?;
        run(&mut database, fresh).await?;
        for statement in &statements {
            run(&mut database, statement.clone()).await?;
        }
        run(&mut database, "COMMIT".into()).await?;
        start = end;
    }
    count(&mut database, jobs, templates).await?;
    // The next start indexes the added jobs.
    run(&mut database, "UPDATE main.search_progress SET indexed_until = zeroblob(16)".into()).await?;
    run(&mut database, "PRAGMA journal_mode = WAL".into()).await?;
    database.close().await?;
    std::fs::File::open(file)?.sync_all()?;
    Ok(())
}

/// The SQL expression for a column of a copy. `t` is the copied row, `fresh` the new job.
fn value(column: &str, kind: &str) -> String {
    match (column, kind) {
        ("id" | "job_id", "INTEGER") => "fresh.number".to_owned(),
        ("id" | "job_id", _) | ("key", "BLOB") => "fresh.id".to_owned(),
        ("key", _) => "lower(hex(fresh.id))".to_owned(),
        (time, "INTEGER") if ["_at", "_by", "_until", "_since"].iter().any(|end| time.ends_with(end)) => {
            format!("t.{time} + fresh.shift")
        }
        // A million leads.
        ("entity_id", _) => "t.entity_id + fresh.number % 1000000".to_owned(),
        (other, _) => format!("t.{other}"),
    }
}

/// Fills the temporary table `pick` with the jobs to copy, and returns their number.
async fn choose(database: &mut SqliteConnection, kind: Kind) -> Result<i64> {
    run(
        database,
        format!(
            "CREATE TEMP TABLE pick AS SELECT row_number() OVER () - 1 AS n, id AS job, received_at \
             FROM main.jobs WHERE {} LIMIT {TEMPLATES}",
            kind.condition()
        ),
    )
    .await?;
    run(database, "CREATE INDEX temp.n_of_pick ON pick (n)".into()).await?;
    match number(database, "SELECT count(*) FROM pick").await? {
        0 => Err(format!("the store has no job to copy ({kind:?})").into()),
        some => Ok(some),
    }
}

/// `jobs`, and the tables whose rows belong to a job. Excludes `recent_keys`, which is small in any store.
async fn tables(database: &mut SqliteConnection) -> Result<Vec<String>> {
    let others = sqlx::query_scalar(
        "SELECT t.name FROM main.sqlite_schema AS t JOIN pragma_table_info(t.name) AS c \
         WHERE t.type = 'table' AND c.name = 'job_id' AND t.name <> 'recent_keys' ORDER BY t.name",
    );
    let others: Vec<String> = others.fetch_all(database).await?;
    Ok(std::iter::once("jobs".to_owned()).chain(others).collect())
}

/// The names and types of the columns to write.
async fn columns(database: &mut SqliteConnection, table: &str) -> Result<Vec<(String, String)>> {
    let rows = sqlx::query("SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden = 0")
        .bind(table)
        .fetch_all(database)
        .await?;
    Ok(rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<sqlx::Result<_>>()?)
}

/// Updates `job_counts`, and verifies it against the jobs. Job number i is a copy of template i % templates.
async fn count(database: &mut SqliteConnection, jobs: i64, templates: i64) -> Result<()> {
    let exists = "SELECT count(*) FROM main.sqlite_schema WHERE name = 'job_counts'";
    if number(database, exists).await? == 1 {
        let (each, rest) = (jobs / templates, jobs % templates);
        let update = format!(
            "UPDATE main.job_counts SET jobs = jobs + coalesce( \
             (SELECT sum({each} + (n < {rest})) FROM of_jobs WHERE of_jobs.state = job_counts.state), 0)"
        );
        run(database, update).await?;
        let wrong = "SELECT count(*) FROM main.job_counts AS c WHERE jobs <> \
                     (SELECT count(*) FROM main.jobs AS j WHERE j.state = c.state)";
        if number(database, wrong).await? > 0 {
            return Err("job_counts does not match the added jobs".into());
        }
    }
    let exists = "SELECT count(*) FROM main.sqlite_schema WHERE name = 'account_bytes'";
    if number(database, exists).await? == 1 {
        run(database, BYTES.into()).await?;
    }
    Ok(())
}

/// Updates `account_bytes`.
const BYTES: &str = "INSERT INTO main.account_bytes (account_id, unfinished, stored) \
     SELECT account_id, sum(iif(finished_at IS NULL, bytes, 0)), sum(bytes) FROM \
     (SELECT account_id, finished_at, coalesce(octet_length(data), 0) + coalesce(octet_length(completion), 0) AS bytes \
     FROM main.jobs) WHERE true GROUP BY account_id \
     ON CONFLICT (account_id) DO UPDATE SET unfinished = excluded.unfinished, stored = excluded.stored";

async fn run(database: &mut SqliteConnection, statement: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(database).await?;
    Ok(())
}

async fn number(database: &mut SqliteConnection, query: &'static str) -> Result<i64> {
    Ok(sqlx::query_scalar(query).fetch_one(database).await?)
}
