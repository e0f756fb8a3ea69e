//! Gives up deliveries to accounts that were never connected: they become `dead` once they are older than
//! `store.retention`.
//!
//! A job of an unknown account waits and charges no attempts, because the account may be connected at any time. If that
//! never happens, the job and its bytes would stay forever. So maintenance gives it up after the time for which a
//! finished job is kept. This charges no attempt. An operator can connect the account and retry the job; otherwise the
//! retention deletes it like any dead job.
//!
//! Maintenance scans the indexes of waiting deliveries, lane by lane, on a read-only connection. The writer then gets a
//! few jobs at a time, and skips those that were claimed in the meantime.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Row;
use uuid::Uuid;

use model::{AccountId, JobId, StateName, Timestamp};

use crate::StoreError;
use crate::jobs::failures;
use crate::maintenance::chunks::{CHUNK_ROWS, CHUNKS_PER_TICK};
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::work_claims::count;
use crate::sqlite::read::named::Named;
use crate::sqlite::write::account_bytes::body_bytes;
use crate::sqlite::write::bind::{bind, read_all};
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::time::Moment;

/// Selects the lanes of the sender by jumping from one to the next along the index.
pub(crate) const LANES: &str = "WITH RECURSIVE lane (name) AS ( \
     SELECT min(origin) FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
     UNION ALL \
     SELECT (SELECT min(origin) FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
     AND origin > lane.name) FROM lane WHERE lane.name IS NOT NULL) \
     SELECT name FROM lane WHERE name IS NOT NULL";

/// Selects jobs of the lane `:origin` that have waited since before `:before`, except those of the accounts in `:known`, a JSON list.
pub(crate) const OLD: &str = "SELECT id, account_id FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
     AND origin = :origin AND delivery_rank = 0 AND waiting_since < :before \
     AND account_id NOT IN (SELECT value FROM json_each(:known)) \
     UNION ALL SELECT id, account_id FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
     AND origin = :origin AND delivery_rank > 0 AND waiting_since < :before \
     AND account_id NOT IN (SELECT value FROM json_each(:known)) LIMIT 0 + :limit";

pub(crate) const GIVE_UP: &str = concat!(
    "UPDATE jobs SET state = 'dead', due_at = NULL, finished_at = :now, finished_service_at = :service_now, \
     last_error = :why, fence = fence + 1 WHERE id = :id AND state = 'delivering' AND lease_until IS NULL \
     RETURNING handler, outcome, account_id, ",
    body_bytes!()
);

/// A delivery to give up.
#[derive(Clone, Copy, Debug)]
struct Unclaimed {
    id: Uuid,
    account: i64,
}

/// A delivery that was given up.
struct GivenUp {
    handler: String,
    outcome: String,
    account: i64,
    bytes: i64,
}

impl GivenUp {
    fn count(&self) {
        let Self { handler, outcome, .. } = self;
        metrics::counter!("bridge_jobs_finished_total", "handler" => handler.clone(), "state" => StateName::Dead.as_str(), "outcome" => outcome.clone())
            .increment(1);
    }
}

impl Engine {
    pub(crate) fn give_up_unknown(&self, is_known: impl Fn(&str, AccountId) -> bool + Send + Sync + 'static) {
        let _first_counts = self.is_known.set(Arc::new(is_known));
    }

    /// Gives up deliveries of unknown accounts that have waited longer than `retention` by the steady clock. Runs up to
    /// [`CHUNKS_PER_TICK`] transactions, and leaves the rest to the next call.
    pub(crate) async fn end_unclaimed(&self, now: Moment, retention: Duration) -> Result<(), StoreError> {
        let Some(is_known) = self.is_known.get() else { return Ok(()) };
        let before = now.steady - retention;
        let why = format!(
            "the account was not connected within store.retention ({} s) of the job's receipt: connect the account, then retry the job",
            retention.as_secs()
        );
        let mut left = CHUNKS_PER_TICK;
        for row in sqlx::query(LANES).fetch_all(&self.reading).await? {
            let origin: String = row.try_get(0)?;
            let mut known = BTreeSet::new();
            while left > 0 {
                let found = self.unclaimed(&origin, before, &known).await?;
                let accounts: BTreeSet<i64> = found.iter().map(|job| job.account).collect();
                known.extend(accounts.into_iter().filter(|account| is_known(&origin, AccountId(*account))));
                let (is_last, mut jobs) = ((found.len() as u64) < CHUNK_ROWS.unsigned_abs(), found);
                jobs.retain(|job| !known.contains(&job.account));
                if !jobs.is_empty() {
                    left -= 1;
                    let ended = self.execute(GiveUp { jobs, now, why: why.clone() }).await?;
                    ended.iter().for_each(GivenUp::count);
                    tracing::warn!(
                        account = origin,
                        jobs = ended.len(),
                        "gave up deliveries: their account was not connected within store.retention"
                    );
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn unclaimed(
        &self,
        origin: &str,
        before: Timestamp,
        known: &BTreeSet<i64>,
    ) -> Result<Vec<Unclaimed>, StoreError> {
        let known: Vec<i64> = known.iter().copied().collect();
        let rows = Named::new(OLD)
            .value("origin", origin)
            .value("before", before.as_millis())
            .value("known", serde_json::Value::from(known).to_string())
            .value("limit", CHUNK_ROWS)
            .query()?
            .fetch_all(&self.reading)
            .await?;
        let read =
            |row: &sqlx::sqlite::SqliteRow| Ok(Unclaimed { id: row.try_get(0)?, account: row.try_get(1)? });
        rows.iter().map(read).collect()
    }
}

/// Moves deliveries to `dead`, except those that were claimed or finished in the meantime. Answers with
/// the others.
struct GiveUp {
    jobs: Vec<Unclaimed>,
    now: Moment,
    why: String,
}

impl Command for GiveUp {
    type Answer = Vec<GivenUp>;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Vec<GivenUp>, StoreError> {
        let mut statement = transaction.prepare_cached(GIVE_UP)?;
        let mut given_up: Vec<GivenUp> = Vec::with_capacity(self.jobs.len());
        for job in &self.jobs {
            bind!(statement, GIVE_UP, {
                "now" => self.now.calendar.as_millis(),
                "service_now" => self.now.service.as_millis(),
                "why" => &self.why,
                "id" => job.id,
            });
            let given: Vec<GivenUp> = read_all(statement.raw_query(), |row| {
                Ok(GivenUp {
                    handler: row.get(0)?,
                    outcome: row.get(1)?,
                    account: row.get(2)?,
                    bytes: row.get(3)?,
                })
            })?;
            if !given.is_empty() {
                transaction.failures.push(failures::given_up(JobId::from_uuid(job.id), &self.why));
            }
            given_up.extend(given);
        }
        drop(statement);
        let post_commit = &mut transaction.post_commit;
        for job in &given_up {
            post_commit.bytes.finished(job.account, job.bytes);
        }
        post_commit.moved(StateName::Delivering, StateName::Dead, count(given_up.len()));
        Ok(given_up)
    }
}
