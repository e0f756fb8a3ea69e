//! Retries jobs for an operator: which jobs are retried, what is sent, and which jobs are skipped.

use sqlx::Row;

use model::{JobId, StateName, Timestamp};

use crate::jobs::actions::NewAction;
use crate::postgres::actions;
use crate::postgres::engine::Engine;
use crate::postgres::jobs::completions;
use crate::postgres::jobs::locked::{LockedJob, ids, lock_one};
use crate::postgres::schedule::{Planned, Waits};
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;
use crate::retry::{Swap, decide};
use crate::{ActionKind, Actor, Resend, RetryOptions, StoreError};

impl Engine {
    pub(crate) async fn retry_with(
        &self,
        id: JobId,
        options: RetryOptions,
        by: &Actor,
    ) -> Result<(), StoreError> {
        self.execute(Retry { id, options, now: self.moment().steady, by: Some(by.clone()) }).await?
    }
}

/// Expands to the SQL that moves dead, gone or delivering jobs to `delivering`, due at once, with a new time budget. `$1`
/// are their ids, and they are locked. `$3` says whether to send a job even if it is superseded.
///
/// The time of Kommo's refusal is kept with the completion. Otherwise, if Kommo refuses many jobs because of the jobs
/// themselves, each of them would pause their account again. The time is at most now: a start does not move the time of a
/// gone job to its own clock, and a refusal in the future would count as the newest one until then.
///
/// No bot waited for a gone job, so another 404 does not mean that an earlier continue had arrived.
macro_rules! retry {
    ($swap:literal) => {
        concat!(
            "UPDATE jobs SET state = 'delivering', due_at = $2, finished_at = NULL, finished_service_at = NULL, \
             failures = 0, failing_since = NULL, fence = fence + 1, answer_lost = answer_lost AND state <> 'gone', \
             superseded_by = CASE WHEN $3 THEN NULL ELSE superseded_by END, ",
            $swap,
            " FROM unnest($1::uuid[]) AS asked (id) WHERE jobs.id = asked.id \
             RETURNING jobs.id, body_bytes, refused_at IS NOT NULL"
        )
    };
}

pub(crate) const KEEP: &str = retry!("refused_at = CASE WHEN refused_at > $2 THEN $2 ELSE refused_at END");
/// The bodies are already changed.
pub(crate) const TO_HANDLER: &str = retry!(
    "body_bytes = (SELECT sum(octet_length(body)) FROM job_bodies WHERE job_bodies.id = jobs.id), \
     outcome = 'handler', fallback_reason = NULL, refused_at = NULL"
);
/// The bodies are already changed.
pub(crate) const TO_FALLBACK: &str = retry!(
    "body_bytes = (SELECT sum(octet_length(body)) FROM job_bodies WHERE job_bodies.id = jobs.id), \
     outcome = 'fallback', fallback_reason = 'operator', refused_at = NULL"
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

    async fn apply(&self, transaction: &mut Transaction) -> Result<Self::Answer, StoreError> {
        let Self { id, options, now, by } = self;
        let Some(job) = lock_one(transaction, *id).await? else {
            return Ok(Err(StoreError::NoJob(*id)));
        };
        let swap = match decide(*id, &job.found, options) {
            Ok(swap) => swap,
            Err(refused) => return Ok(Err(refused)),
        };
        let sql = match swap {
            Swap::Keep => KEEP,
            Swap::Handler => {
                completions::restore(transaction, *id).await?;
                TO_HANDLER
            }
            Swap::Fallback => {
                if let Resend::Fallback(completion) = &options.send {
                    let json = completion.as_json();
                    completions::replace(transaction, *id, !job.found.is_fallback, json).await?;
                }
                TO_FALLBACK
            }
        };
        retry_locked(transaction, sql, &[job], options.force, *now).await?;
        if let Some(by) = by {
            actions::record(transaction, &NewAction::on_job(by, ActionKind::JobsRetry, *id)).await?;
        }
        Ok(Ok(()))
    }
}

/// Sends again what was sent last, for jobs that are locked, in the order of their ids, and whose state allows it.
pub(crate) async fn retry(
    transaction: &mut Transaction,
    jobs: &[LockedJob],
    force: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    retry_locked(transaction, KEEP, jobs, force, now).await
}

async fn retry_locked(
    transaction: &mut Transaction,
    sql: &'static str,
    jobs: &[LockedJob],
    force: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let update = sqlx::query(sql).bind(ids(jobs)).bind(now.as_millis()).bind(force);
    for row in transaction.change(update).await? {
        let id = JobId::from_uuid(row.try_get(0)?);
        let Ok(place) = jobs.binary_search_by_key(&id, |job| job.id) else { continue };
        record(transaction, &jobs[place], row.try_get(1)?, row.try_get(2)?, now);
    }
    Ok(())
}

/// Records what the retry changes outside the row of the job, which was as `before`. Its bodies now have `bytes` bytes.
fn record(transaction: &mut Transaction, before: &LockedJob, bytes: i64, is_refused: bool, now: Timestamp) {
    let post_commit = &mut transaction.post_commit;
    if before.state().is_finished() {
        post_commit.moved(before.state(), StateName::Delivering, 1);
        post_commit.bytes.revived(before.account_id, before.bytes);
    }
    post_commit.bytes.grew(before.account_id, bytes - before.bytes);
    post_commit.undelivered(&before.origin, now);
    let waits = Waits::Delivering {
        origin: before.origin.as_str().into(),
        rank: if is_refused { 2 } else { 0 },
        due_at: now,
        waiting_since: before.waiting_since,
        lease_until: None,
    };
    transaction.plan(before.id, Some(Planned { fence: before.fence + 1, waits }));
}
