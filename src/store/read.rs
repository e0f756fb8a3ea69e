//! Looking at jobs. Reads go to connections of their own and never wait for the writer.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite, SqlitePool};

use crate::model::{AccountId, Attempt, AttemptResult, HandlerName, Job, JobId, Stage, StateName, Timestamp};

use super::StoreError;
use super::rows::{self, COLUMNS};

/// Rows that one page may look through when a filter matches few of them: it bounds the page's time.
pub(super) const SCAN: i64 = 20_000;

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only this state.
    pub state: Option<StateName>,
    /// Only this handler's.
    pub handler: Option<HandlerName>,
    /// Only this account's.
    pub account_id: Option<AccountId>,
    /// Only those whose id, return_url, data or last error contains this text.
    pub text: Option<String>,
    /// Only older ones than this.
    pub before: Option<JobId>,
    /// At most so many.
    pub limit: u32,
}

/// Some jobs, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The jobs. There can be fewer than asked for though more follow.
    pub jobs: Vec<Job>,
    /// Where to go on; none at the end.
    pub next: Option<JobId>,
}

/// What is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Jobs by state; every state is there.
    pub jobs: BTreeMap<StateName, u64>,
    /// When the oldest job that waits for a worker came in.
    pub oldest_queued: Option<Timestamp>,
}

/// Lists jobs, newest first, looking at `scan` rows at most.
pub(super) async fn page(pool: &SqlitePool, filter: &JobFilter, scan: i64) -> Result<Page, StoreError> {
    let oldest =
        if finds_at_once(filter) { None } else { oldest_in_window(pool, filter.before, scan).await? };
    let rows = select(filter, oldest).build().fetch_all(pool).await?;
    let full = rows.len() == usize::try_from(limit(filter)).unwrap_or(usize::MAX);
    let last = rows.last().map(id_of).transpose()?;
    Ok(Page { jobs: rows::readable(&rows, rows::job), next: if full { last } else { oldest } })
}

/// Whether no row has to be passed over: there is no condition, or an index in the list's own order.
fn finds_at_once(filter: &JobFilter) -> bool {
    let JobFilter { state, handler, account_id, text, before: _, limit: _ } = filter;
    matches!(state, None | Some(StateName::Dead))
        && handler.is_none()
        && account_id.is_none()
        && text.is_none()
}

fn limit(filter: &JobFilter) -> u32 {
    filter.limit.max(1)
}

pub(super) fn select(filter: &JobFilter, oldest: Option<JobId>) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(format!("SELECT {COLUMNS} FROM jobs WHERE true"));
    if let Some(before) = filter.before {
        sql.push(" AND id < ").push_bind(before.as_uuid());
    }
    if let Some(oldest) = oldest {
        sql.push(" AND id >= ").push_bind(oldest.as_uuid());
    }
    if let Some(state) = filter.state {
        // Written out, because a partial index is only used where its condition is in the statement.
        sql.push(format!(" AND state = '{state}'"));
    }
    if let Some(handler) = &filter.handler {
        // With a plus no index is used: that of the queue would have to be sorted as a whole.
        sql.push(" AND +handler = ").push_bind(handler.as_str().to_owned());
    }
    if let Some(AccountId(account)) = filter.account_id {
        sql.push(" AND account_id = ").push_bind(account);
    }
    if let Some(text) = &filter.text {
        sql.push(" AND (instr(return_url, ").push_bind(text.clone());
        sql.push(") OR instr(data, ").push_bind(text.clone());
        sql.push(") OR instr(coalesce(last_error, ''), ").push_bind(text.clone()).push(")");
        let id = text.replace('-', "").to_lowercase();
        // Of a text that is all dashes nothing is left, and every id contains nothing.
        if !id.is_empty() {
            sql.push(" OR instr(lower(hex(id)), ").push_bind(id).push(")");
        }
        sql.push(")");
    }
    sql.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit(filter)));
    sql
}

/// The last row that a page may look at; none if it may look at all.
async fn oldest_in_window(
    pool: &SqlitePool,
    before: Option<JobId>,
    scan: i64,
) -> Result<Option<JobId>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT id FROM jobs WHERE true");
    if let Some(before) = before {
        query.push(" AND id < ").push_bind(before.as_uuid());
    }
    query.push(" ORDER BY id DESC LIMIT 1 OFFSET ").push_bind(scan);
    query.build().fetch_optional(pool).await?.as_ref().map(id_of).transpose()
}

fn id_of(row: &SqliteRow) -> Result<JobId, StoreError> {
    Ok(JobId::from_uuid(row.try_get("id")?))
}

/// One job with its attempts, oldest first.
pub(super) async fn job(pool: &SqlitePool, id: JobId) -> Result<Option<(Job, Vec<Attempt>)>, StoreError> {
    // Of one moment: a job must not be told without the attempt that brought it where it is.
    let mut moment = pool.begin().await?;
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?");
    let found = sqlx::query(AssertSqlSafe(sql)).bind(id.as_uuid()).fetch_optional(&mut *moment).await?;
    let Some(row) = found else { return Ok(None) };
    let attempts = sqlx::query(
        "SELECT stage, number, started_at, duration_ms, result, status, error FROM attempts \
         WHERE job_id = ? ORDER BY started_at, stage DESC, number",
    )
    .bind(id.as_uuid())
    .fetch_all(&mut *moment)
    .await?;
    let attempts = attempts.iter().map(|row| attempt(id, row)).collect::<Result<_, _>>()?;
    Ok(Some((rows::job(&row)?, attempts)))
}

fn attempt(id: JobId, row: &SqliteRow) -> Result<Attempt, StoreError> {
    let corrupt = |column: &'static str, why: &str| StoreError::Corrupt {
        table: "attempts",
        column,
        id: id.to_string(),
        why: why.to_owned(),
    };
    let stage: &str = row.try_get("stage")?;
    let result: &str = row.try_get("result")?;
    let duration_ms: i64 = row.try_get("duration_ms")?;
    let number: i64 = row.try_get("number")?;
    let status: Option<i64> = row.try_get("status")?;
    Ok(Attempt {
        stage: [Stage::Handler, Stage::Delivery]
            .into_iter()
            .find(|known| known.as_str() == stage)
            .ok_or_else(|| corrupt("stage", "unknown"))?,
        number: u32::try_from(number).map_err(|_| corrupt("number", "out of range"))?,
        started_at: Timestamp::from_millis(row.try_get("started_at")?),
        duration: std::time::Duration::from_millis(
            u64::try_from(duration_ms).map_err(|_| corrupt("duration_ms", "negative"))?,
        ),
        result: AttemptResult::ALL
            .into_iter()
            .find(|known| known.as_str() == result)
            .ok_or_else(|| corrupt("result", "unknown"))?,
        status: status.and_then(|status| u16::try_from(status).ok()),
        error: row.try_get("error")?,
    })
}

pub(super) const OLDEST_QUEUED: &str = "SELECT min(received_at) FROM ( \
     SELECT received_at FROM jobs WHERE state = 'queued' ORDER BY answer_by LIMIT 100)";

/// Counts.
pub(super) async fn stats(pool: &SqlitePool) -> Result<Stats, StoreError> {
    let mut jobs: BTreeMap<StateName, u64> = StateName::ALL.into_iter().map(|state| (state, 0)).collect();
    for row in sqlx::query("SELECT state, jobs FROM job_counts").fetch_all(pool).await? {
        let (state, count): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
        if let Ok(state) = state.parse() {
            jobs.insert(state, u64::try_from(count).unwrap_or(0));
        }
    }
    // Every job of a handler gets the same time to answer, so the earliest of these is among the oldest.
    let oldest: Option<i64> = sqlx::query_scalar(OLDEST_QUEUED).fetch_one(pool).await?;
    Ok(Stats { jobs, oldest_queued: oldest.map(Timestamp::from_millis) })
}
