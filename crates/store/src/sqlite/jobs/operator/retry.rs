//! Retries jobs for an operator: which jobs are retried, what is sent, and which jobs are skipped.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use model::{HandlerName, JobId, StateName, Timestamp};

use crate::retry::{Found, Swap, decide};
use crate::sqlite::engine::Engine;
use crate::sqlite::write::account_bytes::body_bytes;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::named::Named;
use crate::sqlite::write::post_commit::PostCommit;
use crate::{Cause, Resend, RetriedDead, RetryOptions, StoreError};

/// The maximum number of dead jobs that one transaction retries. It bounds the time for which requests wait.
const RETRY_CHUNK: i64 = 500;

impl Engine {
    pub(crate) async fn retry_with(&self, id: JobId, options: RetryOptions) -> Result<(), StoreError> {
        self.execute(Retry { id, options, now: self.moment().steady }).await?
    }

    pub(crate) async fn retry_dead(
        &self,
        handler: Option<HandlerName>,
        force: bool,
    ) -> Result<RetriedDead, StoreError> {
        let mut done = RetriedDead::default();
        let mut after = None;
        loop {
            let now = self.moment().steady;
            let request = RetryDead { handler: handler.clone(), force, after, limit: RETRY_CHUNK, now };
            let some = self.execute(request).await?;
            done.retried += some.jobs;
            after = some.last;
            if after.is_none() {
                break;
            }
        }
        if !force {
            let name = handler.as_ref().map(HandlerName::as_str);
            let left: i64 = sqlx::query_scalar(DEAD_SUPERSEDED).bind(name).fetch_one(&self.reading).await?;
            done.superseded = left.unsigned_abs();
        }
        Ok(done)
    }
}

/// Moves a dead, gone or delivering job to `delivering`, due at once, with a new time budget. `:force` says whether to
/// send the job even if it is superseded.
///
/// The time of Kommo's refusal is kept. Otherwise, if Kommo refuses many jobs because of the jobs themselves, each of
/// them would pause their account again. The time is at most now: a start does not move the time of a gone job to its
/// own clock, and a refusal in the future would count as the newest one until then.
///
/// No bot waited for a gone job, so another 404 does not mean that an earlier continue had arrived.
pub(crate) fn retry(swap: &str, which: &str) -> String {
    format!(
        "UPDATE jobs SET state = 'delivering', due_at = :now, finished_at = NULL, finished_service_at = NULL, \
         failures = 0, failing_since = NULL, fence = fence + 1, \
         answer_lost = CASE state WHEN 'gone' THEN 0 ELSE answer_lost END, \
         superseded_by = CASE WHEN :force THEN NULL ELSE superseded_by END{swap} WHERE {which} \
         RETURNING origin, id, account_id, {}",
        body_bytes!()
    )
}

impl Swap {
    /// Returns the SQL that changes the completion; `:fallback` is the fallback.
    const fn sql(self) -> &'static str {
        match self {
            Self::Keep => ", refused_at = min(refused_at, :now)",
            Self::Handler => {
                ", completion = handler_completion, outcome = 'handler', fallback_reason = NULL, \
                 handler_completion = NULL, refused_at = NULL"
            }
            Self::Fallback => {
                ", handler_completion = CASE outcome WHEN 'handler' THEN completion ELSE handler_completion END, \
                 completion = :fallback, outcome = 'fallback', fallback_reason = 'operator', refused_at = NULL"
            }
        }
    }
}

pub(crate) const ONE: &str = "id = :id AND state IN ('dead', 'gone', 'delivering') AND lease_until IS NULL";
pub(crate) const DEAD: &str = "state = 'dead' AND id IN (SELECT id FROM jobs WHERE state = 'dead' AND id > :after \
     AND (:handler IS NULL OR handler = :handler) AND (:force OR superseded_by IS NULL) ORDER BY id LIMIT 0 + :limit)";
pub(crate) const DEAD_SUPERSEDED: &str = "SELECT count(*) FROM jobs WHERE state = 'dead' \
     AND superseded_by IS NOT NULL AND (?1 IS NULL OR handler = ?1)";

const FIND: &str = concat!(
    "SELECT state, lease_until IS NOT NULL, tried, superseded_by, outcome IS 'fallback', \
     handler_completion IS NOT NULL, ",
    body_bytes!(),
    " FROM jobs WHERE id = ?"
);

/// Retries one job.
struct Retry {
    id: JobId,
    options: RetryOptions,
    now: Timestamp,
}

impl Command for Retry {
    type Answer = Result<(), StoreError>;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        post_commit: &mut PostCommit,
    ) -> Result<Self::Answer, StoreError> {
        let Self { id, options, now } = self;
        let row = sqlx::query(FIND).bind(id.as_uuid()).fetch_optional(&mut *connection).await?;
        let Some(row) = row else { return Ok(Err(StoreError::NoJob(*id))) };
        let (found, before) = (found(*id, &row)?, row.try_get::<i64, _>(6)?);
        let swap = match decide(*id, &found, options) {
            Ok(swap) => swap,
            Err(refused) => return Ok(Err(refused)),
        };
        let fallback = match &options.send {
            Resend::Fallback(completion) => Some(completion.as_json()),
            Resend::Last | Resend::Handler => None,
        };
        let sql = retry(swap.sql(), ONE);
        let mut statement = Named::new(&sql)
            .value("now", now.as_millis())
            .value("force", options.force)
            .value("id", id.as_uuid());
        if let Swap::Fallback = swap {
            statement = statement.value("fallback", fallback);
        }
        let row = statement.query()?.fetch_one(connection).await?;
        let (account, after): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
        if found.state.is_finished() {
            post_commit.moved(found.state, StateName::Delivering, 1);
            post_commit.bytes.revived(account, before);
        }
        post_commit.bytes.grew(account, after - before);
        post_commit.undelivered(row.try_get(0)?, *now);
        Ok(Ok(()))
    }
}

fn found(id: JobId, row: &SqliteRow) -> Result<Found, StoreError> {
    let corrupt = |error: model::UnknownState| StoreError::Corrupt {
        table: "jobs",
        column: "state",
        id: id.to_string(),
        why: Cause::of(error),
    };
    Ok(Found {
        state: row.try_get::<&str, _>(0)?.parse().map_err(corrupt)?,
        is_leased: row.try_get(1)?,
        tried: row.try_get(2)?,
        superseded_by: row.try_get::<Option<Uuid>, _>(3)?.map(JobId::from_uuid),
        is_fallback: row.try_get(4)?,
        has_handler_completion: row.try_get(5)?,
    })
}

/// Retries dead jobs, oldest first, up to a limit per transaction.
///
/// Each transaction continues after the last job of the previous one, so a job that dies again in the meantime is not
/// retried endlessly.
pub(crate) struct RetryDead {
    pub(crate) handler: Option<HandlerName>,
    pub(crate) force: bool,
    pub(crate) after: Option<JobId>,
    pub(crate) limit: i64,
    pub(crate) now: Timestamp,
}

/// The result of one transaction of [`RetryDead`].
pub(crate) struct Retried {
    pub(crate) jobs: u64,
    /// The last retried job; `None` if no job was retried.
    pub(crate) last: Option<JobId>,
}

impl Command for RetryDead {
    type Answer = Retried;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        post_commit: &mut PostCommit,
    ) -> Result<Retried, StoreError> {
        let rows = Named::new(&retry(Swap::Keep.sql(), DEAD))
            .value("now", self.now.as_millis())
            .value("force", self.force)
            .value("handler", self.handler.as_ref().map(HandlerName::as_str))
            .value("limit", self.limit)
            .value("after", self.after.map_or(Uuid::nil(), JobId::as_uuid))
            .query()?
            .fetch_all(connection)
            .await?;
        let mut last = None;
        for row in &rows {
            post_commit.undelivered(row.try_get(0)?, self.now);
            post_commit.bytes.revived(row.try_get(2)?, row.try_get(3)?);
            last = last.max(Some(JobId::from_uuid(row.try_get(1)?)));
        }
        post_commit.moved(
            StateName::Dead,
            StateName::Delivering,
            i64::try_from(rows.len()).unwrap_or(i64::MAX),
        );
        Ok(Retried { jobs: rows.len() as u64, last })
    }
}
