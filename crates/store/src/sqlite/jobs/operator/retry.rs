//! Retries jobs for an operator: which jobs are retried, what is sent, and which jobs are skipped.

use rusqlite::{OptionalExtension, Row};
use uuid::Uuid;

use model::{HandlerName, JobId, StateName, Timestamp};

use crate::jobs::actions::NewAction;
use crate::retry::{Found, Swap, decide};
use crate::sqlite::actions;
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::work_claims::count;
use crate::sqlite::write::account_bytes::body_bytes;
use crate::sqlite::write::bind::query;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::{ActionKind, Actor, Cause, Resend, RetriedDead, RetryOptions, StoreError};

/// The maximum number of dead jobs that one transaction retries. It bounds the time for which requests wait.
const RETRY_CHUNK: i64 = 500;

impl Engine {
    pub(crate) async fn retry_with(
        &self,
        id: JobId,
        options: RetryOptions,
        by: &Actor,
    ) -> Result<(), StoreError> {
        self.execute(Retry { id, options, now: self.moment().steady, by: Some(by.clone()) }).await?
    }

    pub(crate) async fn retry_dead(
        &self,
        handler: Option<HandlerName>,
        force: bool,
        by: &Actor,
    ) -> Result<RetriedDead, StoreError> {
        self.retry_all(handler, None, force, by).await
    }

    pub(crate) async fn retry_group(
        &self,
        group: i64,
        force: bool,
        by: &Actor,
    ) -> Result<RetriedDead, StoreError> {
        self.retry_all(None, Some(group), force, by).await
    }

    async fn retry_all(
        &self,
        handler: Option<HandlerName>,
        group: Option<i64>,
        force: bool,
        by: &Actor,
    ) -> Result<RetriedDead, StoreError> {
        let mut done = RetriedDead::default();
        let (mut after, mut action) = (None, None);
        loop {
            let now = self.moment().steady;
            let request = RetryDead {
                handler: handler.clone(),
                group,
                force,
                after,
                limit: RETRY_CHUNK,
                now,
                by: by.clone(),
                action,
            };
            let some = self.execute(request).await?;
            done.retried += some.jobs;
            (after, action) = (some.last, Some(some.action));
            if after.is_none() {
                break;
            }
        }
        if !force {
            let name = handler.as_ref().map(HandlerName::as_str);
            let left: i64 =
                sqlx::query_scalar(DEAD_SUPERSEDED).bind(name).bind(group).fetch_one(&self.reading).await?;
            done.superseded = left.unsigned_abs();
        }
        Ok(done)
    }
}

/// Expands to the SQL that moves dead, gone or delivering jobs to `delivering`, due at once, with a new time budget.
/// `$swap` changes the completion, and `$which` chooses the jobs. `:force` says whether to send a job even if it is
/// superseded.
///
/// The time of Kommo's refusal is kept. Otherwise, if Kommo refuses many jobs because of the jobs themselves, each of
/// them would pause their account again. The time is at most now: a start does not move the time of a gone job to its
/// own clock, and a refusal in the future would count as the newest one until then.
///
/// No bot waited for a gone job, so another 404 does not mean that an earlier continue had arrived.
macro_rules! retry {
    ($swap:literal, $which:literal) => {
        concat!(
            "UPDATE jobs SET state = 'delivering', due_at = :now, finished_at = NULL, finished_service_at = NULL, \
             failures = 0, failing_since = NULL, fence = fence + 1, \
             answer_lost = CASE state WHEN 'gone' THEN 0 ELSE answer_lost END, \
             superseded_by = CASE WHEN :force THEN NULL ELSE superseded_by END, ",
            $swap,
            " WHERE ",
            $which,
            " RETURNING origin, id, account_id, ",
            body_bytes!()
        )
    };
}

/// The same for the job `:id`.
macro_rules! retry_one {
    ($swap:literal) => {
        retry!($swap, "id = :id AND state IN ('dead', 'gone', 'delivering') AND lease_until IS NULL")
    };
}

pub(crate) const KEEP: &str = retry_one!("refused_at = min(refused_at, :now)");
const TO_HANDLER: &str = retry_one!(
    "completion = handler_completion, outcome = 'handler', fallback_reason = NULL, handler_completion = NULL, \
     refused_at = NULL"
);
const TO_FALLBACK: &str = retry_one!(
    "handler_completion = CASE outcome WHEN 'handler' THEN completion ELSE handler_completion END, \
     completion = :fallback, outcome = 'fallback', fallback_reason = 'operator', refused_at = NULL"
);
pub(crate) const DEAD: &str = retry!(
    "refused_at = min(refused_at, :now)",
    "state = 'dead' AND id IN (SELECT id FROM jobs WHERE state = 'dead' AND id > :after AND data IS NOT NULL \
     AND (:handler IS NULL OR handler = :handler) AND (:group_id IS NULL OR error_group = :group_id) \
     AND (:force OR superseded_by IS NULL) ORDER BY id LIMIT 0 + :limit)"
);
pub(crate) const DEAD_SUPERSEDED: &str = "SELECT count(*) FROM jobs WHERE state = 'dead' AND data IS NOT NULL \
     AND superseded_by IS NOT NULL AND (?1 IS NULL OR handler = ?1) AND (?2 IS NULL OR error_group = ?2)";

const FIND: &str = concat!(
    "SELECT state, lease_until IS NOT NULL, tried, superseded_by, outcome IS 'fallback', \
     handler_completion IS NOT NULL, data IS NOT NULL, ",
    body_bytes!(),
    " FROM jobs WHERE id = ?"
);

/// Retries one job.
pub(crate) struct Retry {
    pub(crate) id: JobId,
    pub(crate) options: RetryOptions,
    pub(crate) now: Timestamp,
    /// The operator, for the log of actions; `None` if this is part of another action.
    pub(crate) by: Option<Actor>,
}

impl Command for Retry {
    type Answer = Result<(), StoreError>;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Self::Answer, StoreError> {
        let Self { id, options, now, by } = self;
        let mut find = transaction.prepare_cached(FIND)?;
        let read = |row: &Row<'_>| Ok((found(*id, row), row.get::<_, i64>(7)?));
        let Some((found, before)) = find.query_one([id.as_uuid()], read).optional()? else {
            return Ok(Err(StoreError::NoJob(*id)));
        };
        drop(find);
        let found = found?;
        let swap = match decide(*id, &found, options) {
            Ok(swap) => swap,
            Err(refused) => return Ok(Err(refused)),
        };
        let retried = self.write(transaction, swap)?;
        let post_commit = &mut transaction.post_commit;
        for RetriedRow { origin, account, bytes: after, .. } in retried {
            if found.state.is_finished() {
                post_commit.moved(found.state, StateName::Delivering, 1);
                post_commit.bytes.revived(account, before);
            }
            post_commit.bytes.grew(account, after - before);
            post_commit.undelivered(&origin, *now);
        }
        if let Some(by) = by {
            actions::record(transaction, &NewAction::on_job(by, ActionKind::JobsRetry, *id))?;
        }
        Ok(Ok(()))
    }
}

impl Retry {
    fn write(&self, transaction: &Transaction<'_>, swap: Swap) -> Result<Vec<RetriedRow>, StoreError> {
        let (id, now, force) = (self.id.as_uuid(), self.now.as_millis(), self.options.force);
        let fallback = match &self.options.send {
            Resend::Fallback(completion) => Some(completion.as_json()),
            Resend::Last | Resend::Handler => None,
        };
        Ok(match swap {
            Swap::Keep => {
                query!(transaction, KEEP, { "id" => id, "now" => now, "force" => force }, RetriedRow::read)
            }
            Swap::Handler => {
                query!(transaction, TO_HANDLER, { "id" => id, "now" => now, "force" => force }, RetriedRow::read)
            }
            Swap::Fallback => query!(
                transaction,
                TO_FALLBACK,
                { "id" => id, "now" => now, "force" => force, "fallback" => fallback },
                RetriedRow::read
            ),
        })
    }
}

/// A job that is delivered again.
struct RetriedRow {
    origin: String,
    id: JobId,
    account: i64,
    /// The bytes of its bodies.
    bytes: i64,
}

impl RetriedRow {
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            origin: row.get(0)?,
            id: JobId::from_uuid(row.get(1)?),
            account: row.get(2)?,
            bytes: row.get(3)?,
        })
    }
}

fn found(id: JobId, row: &Row<'_>) -> Result<Found, StoreError> {
    let corrupt = |error: model::UnknownState| StoreError::Corrupt {
        table: "jobs",
        column: "state",
        id: id.to_string(),
        why: Cause::of(error),
    };
    Ok(Found {
        state: row.get::<_, String>(0)?.parse().map_err(corrupt)?,
        is_leased: row.get(1)?,
        tried: row.get(2)?,
        superseded_by: row.get::<_, Option<Uuid>>(3)?.map(JobId::from_uuid),
        is_fallback: row.get(4)?,
        has_handler_completion: row.get(5)?,
        has_bodies: row.get(6)?,
    })
}

/// Retries dead jobs, oldest first, up to a limit per transaction.
///
/// Each transaction continues after the last job of the previous one, so a job that dies again in the meantime is not
/// retried endlessly.
pub(crate) struct RetryDead {
    pub(crate) handler: Option<HandlerName>,
    /// Only jobs of this group of errors.
    pub(crate) group: Option<i64>,
    pub(crate) force: bool,
    pub(crate) after: Option<JobId>,
    pub(crate) limit: i64,
    pub(crate) now: Timestamp,
    pub(crate) by: Actor,
    /// Its number in the log of actions; `None` for the first transaction.
    pub(crate) action: Option<i64>,
}

impl RetryDead {
    fn action(&self, jobs: u64) -> NewAction {
        let handler = self.handler.as_ref().map(|handler| format!(" handler:{handler}"));
        let target = match self.group {
            Some(group) => format!("error group {group}"),
            None => format!("state:dead{}", handler.unwrap_or_default()),
        };
        NewAction { jobs, ..NewAction::on(&self.by, ActionKind::JobsRetry, target) }
    }
}

/// The result of one transaction of [`RetryDead`].
pub(crate) struct Retried {
    pub(crate) jobs: u64,
    /// The last retried job; `None` if no job was retried.
    pub(crate) last: Option<JobId>,
    /// Its number in the log of actions.
    pub(crate) action: i64,
}

impl Command for RetryDead {
    type Answer = Retried;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Retried, StoreError> {
        let retried = query!(transaction, DEAD, {
            "now" => self.now.as_millis(),
            "force" => self.force,
            "handler" => self.handler.as_ref().map(HandlerName::as_str),
            "group_id" => self.group,
            "limit" => self.limit,
            "after" => self.after.map_or(Uuid::nil(), JobId::as_uuid),
        }, RetriedRow::read);
        let post_commit = &mut transaction.post_commit;
        for RetriedRow { origin, account, bytes, .. } in &retried {
            post_commit.undelivered(origin, self.now);
            post_commit.bytes.revived(*account, *bytes);
        }
        post_commit.moved(StateName::Dead, StateName::Delivering, count(retried.len()));
        let jobs = retried.len() as u64;
        let action = match self.action {
            Some(action) => {
                actions::add_jobs(transaction, action, jobs)?;
                action
            }
            None => actions::record(transaction, &self.action(jobs))?,
        };
        Ok(Retried { jobs, last: retried.iter().map(|row| row.id).max(), action })
    }
}
