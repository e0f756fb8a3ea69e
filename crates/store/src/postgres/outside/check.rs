//! Checks a store: its counts against its jobs, and its indexes if the server has the extension `amcheck`.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

use super::content::require_store;
use super::{BEGIN, connect_to_inspect};
use crate::StoreError;
use crate::postgres::connect::url::Target;
use crate::records::Checked;

/// How often to ask whether to stop.
const STOP_INTERVAL: Duration = Duration::from_millis(200);

const WRONG_JOBS: &str = "SELECT state, sum(counted)::int8 AS counted, sum(found)::int8 AS found FROM ( \
     SELECT state, jobs AS counted, 0 AS found FROM job_counts \
     UNION ALL SELECT state, 0, count(*) FROM jobs GROUP BY state) AS compared \
     GROUP BY state HAVING sum(counted) <> sum(found) ORDER BY state";

const WRONG_BYTES: &str = "SELECT account_id, sum(unfinished)::int8 AS unfinished, sum(stored)::int8 AS stored, \
     sum(found_unfinished)::int8 AS found_unfinished, sum(found_stored)::int8 AS found_stored FROM ( \
     SELECT account_id, unfinished, stored, 0 AS found_unfinished, 0 AS found_stored FROM account_bytes \
     UNION ALL SELECT account_id, 0, 0, coalesce(sum(body_bytes) FILTER (WHERE finished_at IS NULL), 0), sum(body_bytes) \
     FROM jobs GROUP BY account_id) AS compared \
     GROUP BY account_id HAVING sum(unfinished) <> sum(found_unfinished) OR sum(stored) <> sum(found_stored) \
     ORDER BY account_id";

const WITHOUT_DATA: &str = "SELECT count(*) FROM jobs WHERE NOT bodies_dropped \
     AND NOT EXISTS (SELECT FROM job_bodies WHERE job_bodies.id = jobs.id AND kind = 0)";

const WITHOUT_JOB: &str =
    "SELECT count(*) FROM job_bodies WHERE NOT EXISTS (SELECT FROM jobs WHERE jobs.id = job_bodies.id)";

const AMCHECK: &str = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'amcheck'";

const INDEXES: &str = "SELECT pg_class.oid::regclass::text FROM pg_class JOIN pg_am ON pg_am.oid = relam \
     JOIN pg_index ON indexrelid = pg_class.oid \
     WHERE relkind = 'i' AND amname = 'btree' AND indisvalid AND relnamespace = current_schema()::regnamespace ORDER BY 1";

/// Checks the store at `url`. Ends early if `stop` returns `true`.
///
/// # Errors
/// The database cannot be reached or contains no store, or `stop` returned `true`.
pub(crate) async fn check(url: &str, stop: impl Fn() -> bool + Send) -> Result<Checked, StoreError> {
    let target = Target::parse(url)?;
    let stopped = async {
        while !stop() {
            tokio::time::sleep(STOP_INTERVAL).await;
        }
    };
    tokio::select! {
        checked = check_all(&target) => checked.map_err(|error| error.on(target.name())),
        () = stopped => Err(StoreError::Closed),
    }
}

async fn check_all(target: &Target) -> Result<Checked, StoreError> {
    let mut connection = connect_to_inspect(target).await?;
    require_store(&mut connection, target).await?;
    let mut checked = Checked::default();
    indexes(&mut connection, &mut checked).await?;
    connection.execute(BEGIN).await?;
    rows(&mut connection, &mut checked).await?;
    connection.execute("COMMIT").await?;
    Ok(checked)
}

/// Checks each index, and that it contains every row. Writers need not wait.
async fn indexes(connection: &mut PgConnection, checked: &mut Checked) -> Result<(), StoreError> {
    let schema: Option<String> = sqlx::query_scalar(AMCHECK).fetch_optional(&mut *connection).await?;
    let Some(schema) = schema else {
        let note = "the indexes were not checked: run `CREATE EXTENSION amcheck` in the database as a superuser first";
        checked.notes.push(note.to_owned());
        return Ok(());
    };
    let call = format!("SELECT {schema}.bt_index_check($1::text::regclass, true)");
    let indexes: Vec<String> = sqlx::query_scalar(INDEXES).fetch_all(&mut *connection).await?;
    for index in indexes {
        let result = sqlx::query(AssertSqlSafe(call.clone())).bind(&index).execute(&mut *connection).await;
        match result.map_err(StoreError::from) {
            Ok(_) => {}
            // Without the right to call it, no index can be checked.
            Err(StoreError::Refused(why)) => {
                checked.notes.push(format!(
                    "the indexes were not checked ({why}): run `GRANT EXECUTE ON FUNCTION {schema}.bt_index_check(regclass, boolean) \
                     TO …` as a superuser"
                ));
                return Ok(());
            }
            Err(StoreError::Database(why)) => checked.problems.push(format!("index {index}: {why}")),
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// Compares counts and bodies with the jobs.
async fn rows(connection: &mut PgConnection, checked: &mut Checked) -> Result<(), StoreError> {
    for row in sqlx::query(WRONG_JOBS).fetch_all(&mut *connection).await? {
        checked.problems.push(wrong_jobs(&row)?);
    }
    for row in sqlx::query(WRONG_BYTES).fetch_all(&mut *connection).await? {
        checked.problems.push(wrong_bytes(&row)?);
    }
    for (sql, what) in [
        (WITHOUT_DATA, "jobs have no data in job_bodies although it was not dropped"),
        (WITHOUT_JOB, "rows of job_bodies belong to no job"),
    ] {
        let found: i64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
        if found > 0 {
            checked.problems.push(format!("{found} {what}"));
        }
    }
    Ok(())
}

fn wrong_jobs(row: &PgRow) -> Result<String, StoreError> {
    let (state, counted, found): (String, i64, i64) =
        (row.try_get("state")?, row.try_get("counted")?, row.try_get("found")?);
    Ok(format!("job_counts says {counted} {state} jobs, and there are {found}"))
}

fn wrong_bytes(row: &PgRow) -> Result<String, StoreError> {
    let number = |column: &str| row.try_get::<i64, _>(column);
    Ok(format!(
        "account_bytes says {} unfinished and {} stored bytes of account {}, and its jobs have {} and {}",
        number("unfinished")?,
        number("stored")?,
        number("account_id")?,
        number("found_unfinished")?,
        number("found_stored")?,
    ))
}
