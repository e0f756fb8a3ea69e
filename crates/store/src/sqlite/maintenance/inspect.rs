//! Reads a whole store for an operator: whether it is sound, and what it holds. Works beside the process that serves it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use model::Timestamp;

use crate::StoreError;
use crate::records::{Extent, StoreStats};
use crate::sqlite::file::migrations::MIGRATIONS;
use crate::sqlite::file::{copy, log, path, verify};
use crate::sqlite::write::account_bytes::body_bytes;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is wrong with the store at `url`; empty if nothing is. Reads every page in one transaction, so the write-ahead log
/// grows in the meantime. Ends early if `stop` returns `true`.
pub(crate) fn check(url: &str, stop: impl Fn() -> bool + Send + 'static) -> Result<Vec<String>, StoreError> {
    let path = path::file_of(url)?;
    let connection = open(&path)?;
    connection.progress_handler(copy::STOP_INTERVAL, Some(stop))?;
    let mut problems = verify::problems(&connection)?;
    // Counts of a damaged table would only repeat the damage.
    if problems.is_empty() {
        problems.extend(inconsistencies(&connection)?);
    }
    Ok(problems)
}

/// What is wrong with the schema and the counts of a store that is not damaged; empty if nothing is.
pub(crate) fn inconsistencies(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut wrong = changed_schema(connection)?;
    if wrong.is_empty() {
        wrong.extend(wrong_counts(connection)?);
    }
    Ok(wrong)
}

/// Compares the schema with the one that the applied migrations make. Returns a sentence for each difference.
fn changed_schema(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let applied = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success";
    let applied: i64 = connection.query_row(applied, [], |row| row.get(0))?;
    let expected = Connection::open_in_memory()?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.version <= applied) {
        expected.execute_batch(migration.sql.as_str())?;
    }
    let (expected, found) = (objects(&expected)?, objects(connection)?);
    let missing = expected.iter().filter(|(name, _)| !found.contains_key(*name));
    let missing = missing.map(|(name, _)| format!("{name} is missing"));
    let different = found.iter().filter(|(name, sql)| expected.get(*name) != Some(*sql));
    let different = different.map(|(name, _)| format!("{name} is not part of a store, or was changed"));
    Ok(missing.chain(different).collect())
}

/// The tables, indexes, triggers and views, with their definitions.
fn objects(connection: &Connection) -> Result<BTreeMap<String, String>, StoreError> {
    let listed = "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema \
                  WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> '_sqlx_migrations'";
    let mut statement = connection.prepare(listed)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Compares the counted jobs and bytes with the jobs. Returns a sentence for each difference.
fn wrong_counts(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let jobs = "SELECT state, sum(counted), sum(real) FROM (SELECT state, jobs AS counted, 0 AS real FROM job_counts \
                UNION ALL SELECT state, 0, count(*) FROM jobs GROUP BY state) GROUP BY state \
                HAVING sum(counted) <> sum(real)";
    let mut statement = connection.prepare(jobs)?;
    let rows = statement.query_map([], |row| {
        let (state, counted, real): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(format!("job_counts says {counted} {state} jobs, and there are {real}"))
    })?;
    let mut wrong = rows.collect::<Result<Vec<_>, _>>()?;
    let bytes = concat!(
        "SELECT account_id, sum(unfinished), sum(stored), sum(real_unfinished), sum(real_stored) FROM (",
        "SELECT account_id, unfinished, stored, 0 AS real_unfinished, 0 AS real_stored FROM account_bytes UNION ALL ",
        "SELECT account_id, 0, 0, sum(CASE WHEN finished_at IS NULL THEN ",
        body_bytes!(),
        " ELSE 0 END), sum(",
        body_bytes!(),
        ") FROM jobs GROUP BY account_id) GROUP BY account_id ",
        "HAVING sum(unfinished) <> sum(real_unfinished) OR sum(stored) <> sum(real_stored)"
    );
    let mut statement = connection.prepare(bytes)?;
    let rows = statement.query_map([], |row| {
        let account: i64 = row.get(0)?;
        let [unfinished, stored, real_unfinished, real_stored] =
            [row.get::<_, i64>(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        Ok(format!(
            "account_bytes says {unfinished} unfinished and {stored} stored bytes of account {account}, and its jobs have \
             {real_unfinished} and {real_stored}"
        ))
    })?;
    wrong.extend(rows.collect::<Result<Vec<_>, _>>()?);
    Ok(wrong)
}

/// The sizes and the content of the store at `url`.
pub(crate) fn stats(url: &str, now: Timestamp) -> Result<StoreStats, StoreError> {
    let path = path::file_of(url)?;
    let connection = open(&path)?;
    let number = |sql: &str| -> Result<u64, StoreError> {
        Ok(unsigned(connection.query_row(sql, [], |row| row.get(0))?))
    };
    let page = number("PRAGMA page_size")?;
    let mut statement = connection.prepare("SELECT state, jobs FROM job_counts")?;
    let counts = statement.query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?;
    let oldest = "SELECT received_at FROM jobs ORDER BY id LIMIT 1";
    let oldest: Option<i64> = connection.query_row(oldest, [], |row| row.get(0)).optional()?;
    Ok(StoreStats {
        extent: Extent::File {
            file_bytes: number("PRAGMA page_count")? * page,
            log_bytes: log::bytes_of(&path),
            free_bytes: number("PRAGMA freelist_count")? * page,
        },
        jobs: counts.collect::<Result<BTreeMap<String, u64>, _>>()?,
        body_bytes: number("SELECT coalesce(sum(stored), 0) FROM account_bytes")?,
        oldest: oldest.map(Timestamp::from_millis),
        received_in_a_day: received_since(&connection, now - DAY)?,
    })
}

/// Counts the jobs since `moment` by their ids, which begin with the time of receipt.
fn received_since(connection: &Connection, moment: Timestamp) -> Result<u64, StoreError> {
    let mut first = [0_u8; 16];
    let millis = moment.as_millis().to_be_bytes();
    first[..6].copy_from_slice(&millis[2..]);
    let count = "SELECT count(*) FROM jobs WHERE id >= ?";
    Ok(unsigned(connection.query_row(count, [first], |row| row.get(0))?))
}

/// Opens the store for reading, in one transaction: all numbers are of one moment.
fn open(path: &Path) -> Result<Connection, StoreError> {
    let connection = verify::open_store(path)?;
    connection.execute_batch("BEGIN")?;
    Ok(connection)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
