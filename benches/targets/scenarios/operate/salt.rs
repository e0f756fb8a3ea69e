//! Makes the store of `operate` as varied as that of a real bridge: some jobs fail, wait, or were cancelled, one old job
//! is unlike all others, and the other tables are full.
//!
//! The filler gives each job a number, and its id contains the lowest 12 bits: bytes 7 and 8 are `7nnn`.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::Result;

/// The error of the job that is unlike all others, its handler, and its lead.
pub const RARE_ERROR: &str = "rarest error of all";
pub const RARE_HANDLER: &str = "rarely";
pub const RARE_LEAD: i64 = 987_654_321;

/// What of a finished job an unfinished one does not have.
const UNFINISHED: &str = "finished_at = NULL, finished_service_at = NULL, accepted_at = NULL, accepted_ms = NULL, \
     accepted_status = NULL, waiting_since = now.ms, answer_by = now.ms + 864000000";
/// The same for a job without an answer.
const UNANSWERED: &str = "outcome = NULL, completion = NULL, handled_at = NULL, handled_ms = NULL";

/// Parts of the jobs: the first and the last of the 4,096 numbers, and what to set. With 5 million jobs, each number is
/// that of 1,220 jobs.
const PARTS: &[(u16, u16, &str)] = &[
    // Dead jobs, all in one group of errors.
    (
        0,
        3,
        "state = 'dead', accepted_at = NULL, accepted_ms = NULL, accepted_status = NULL, failures = 1, \
         failing_since = received_at, last_error = '503 Service Unavailable', error_group = 1, delivery_attempts = 3",
    ),
    (4, 4, "state = 'cancelled', accepted_at = NULL, accepted_ms = NULL, accepted_status = NULL"),
    (5, 5, "state = 'gone', accepted_at = NULL, accepted_ms = NULL, accepted_status = NULL"),
    (
        100,
        140,
        "outcome = 'fallback', fallback_reason = 'failed', handled_at = NULL, handled_ms = NULL, \
         last_error = 'the model is overloaded', error_group = 2, handler_attempts = 3",
    ),
    // Finished jobs without their bodies.
    (200, 205, "data = NULL, completion = NULL, earlier_data = NULL, handler_completion = NULL"),
];
/// The same for unfinished jobs. None of them is due while the bench runs.
const UNFINISHED_PARTS: &[(u16, u16, &str)] = &[
    // 100,000 deliveries in retry.
    (
        300,
        381,
        "state = 'delivering', due_at = now.ms + 432000000, failures = 1, failing_since = now.ms, \
         last_error = '503 Service Unavailable', error_group = 1, delivery_attempts = 1",
    ),
];
const UNANSWERED_PARTS: &[(u16, u16, &str)] = &[
    // 10,000 jobs in retry, and some that await a callback.
    (
        400,
        408,
        "state = 'queued', due_at = now.ms + 432000000, last_error = 'timed out', error_group = 2, handler_attempts = 1",
    ),
    (409, 409, "state = 'awaiting_callback', due_at = NULL"),
    // A conversation of 1,220 messages, of which the first one waits for a retry.
    (
        410,
        410,
        "state = 'queued', due_at = iif(line.place = 1, now.ms + 432000000, NULL), turn = line.place, entity_type = 2, \
         entity_id = 5",
    ),
];

/// 10,000 groups of errors, ten times as many as a bridge keeps, each with errors in every hour of a day; the log of actions
/// at its maximum; and the history at its maximum, if there is any.
const OTHERS: &[&str] = &[
    "INSERT INTO error_groups (stage, handler, text, failures, first_at, last_at, last_service_at, sample) \
     WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10000) \
     SELECT iif(n % 2, 'delivery', 'handler'), iif(n % 2, '', 'echo'), 'error ' || n, iif(n = 1, 4000000, n), \
     now.ms - 1123200000, now.ms - n, now.ms - n, (SELECT id FROM jobs WHERE state = 'dead' ORDER BY id LIMIT 1) \
     FROM numbers, now",
    "INSERT INTO error_hours (group_id, hour, failures) \
     WITH RECURSIVE hours (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM hours WHERE n < 23) \
     SELECT id, now.ms / 3600000 - n, n + 1 FROM error_groups, hours, now",
    "INSERT INTO actions (at, source, who, what, job_id, jobs, result) \
     WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10000) \
     SELECT now.ms - n, 'api', 'admin', 'jobs retry', (SELECT id FROM jobs LIMIT 1), 1, 'done' FROM numbers, now",
    "INSERT OR IGNORE INTO history (step_seconds, slot, point) \
     WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1440), \
     one AS (SELECT step_seconds, max(slot) AS slot, point FROM history GROUP BY step_seconds) \
     SELECT step_seconds, slot - n, point FROM one, numbers",
    // Attempts with errors, of the dead jobs and of those with a fallback.
    "INSERT OR IGNORE INTO other_attempts (job_id, stage, number, started_at, duration_ms, result, status, error) \
     SELECT id, 'delivery', n, received_at + n, 5, 'retry', 503, '503 Service Unavailable' \
     FROM jobs, (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3) WHERE state = 'dead' \
     UNION ALL SELECT id, 'handler', n, received_at + n, 5, 'retry', NULL, 'the model is overloaded' \
     FROM jobs, (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3) WHERE outcome = 'fallback'",
    "UPDATE job_counts SET jobs = 0",
    "UPDATE job_counts SET jobs = found.jobs FROM (SELECT state, count(*) AS jobs FROM jobs GROUP BY state) AS found \
     WHERE found.state = job_counts.state",
    "UPDATE account_bytes SET unfinished = found.unfinished, stored = found.stored FROM \
     (SELECT account_id, sum(iif(finished_at IS NULL, bytes, 0)) AS unfinished, sum(bytes) AS stored FROM \
     (SELECT account_id, finished_at, coalesce(octet_length(data), 0) + coalesce(octet_length(completion), 0) AS bytes \
     FROM jobs) GROUP BY account_id) AS found WHERE found.account_id = account_bytes.account_id",
];

/// Changes the jobs of the store at `file`, and fills its other tables. No bridge runs.
///
/// # Errors
/// The database refuses a change.
pub async fn add(file: &Path) -> Result<()> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .foreign_keys(false)
        .pragma("temp_store", "memory")
        .pragma("cache_size", "-262144");
    let mut database = options.disable_statement_logging().connect().await?;
    let mut statements = vec![
        "CREATE TEMP TABLE now AS SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS ms".to_owned(),
        "CREATE TEMP TABLE line AS SELECT id AS job, row_number() OVER (PARTITION BY substr(id, 7, 2) ORDER BY id) AS place, \
         substr(id, 7, 2) AS part FROM jobs \
         WHERE substr(id, 7, 2) BETWEEN x'7000' AND x'7005' OR substr(id, 7, 2) BETWEEN x'7064' AND x'719a'"
            .to_owned(),
    ];
    let groups = [
        (PARTS, String::new()),
        (UNFINISHED_PARTS, format!("{UNFINISHED}, ")),
        (UNANSWERED_PARTS, format!("{UNFINISHED}, {UNANSWERED}, ")),
    ];
    for (parts, common) in groups {
        for (first, last, changes) in parts {
            statements.push(format!(
                "UPDATE jobs SET {common}{changes} FROM line, now WHERE id = line.job \
                 AND part BETWEEN x'7{first:03x}' AND x'7{last:03x}'"
            ));
        }
    }
    statements.push(format!(
        "UPDATE jobs SET last_error = '{RARE_ERROR}', handler = '{RARE_HANDLER}', entity_type = 2, \
         entity_id = {RARE_LEAD} WHERE id = (SELECT id FROM jobs WHERE state = 'delivered' ORDER BY id LIMIT 1 OFFSET 100)"
    ));
    statements.extend(OTHERS.iter().map(|sql| (*sql).to_owned()));
    for statement in statements {
        let done = sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut database).await;
        done.map_err(|error| format!("{error}: {statement}"))?;
    }
    sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(&mut database).await?;
    database.close().await?;
    std::fs::File::open(file)?.sync_all()?;
    Ok(())
}
