//! Gives up deliveries to accounts that were never connected: they become `dead` once they are older than
//! `store.retention`.
//!
//! A job of an unknown account waits and charges no attempts, because the account may be connected at any time. If that
//! never happens, the job and its bytes would stay forever. So maintenance gives it up after the time for which a
//! finished job is kept. This charges no attempt. An operator can connect the account and retry the job; otherwise the
//! retention deletes it like any dead job.
//!
//! Maintenance finds old deliveries in the schedule, and their accounts on a read-only connection. The writer then gets a
//! few jobs at a time, and skips those that were claimed in the meantime.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Row;
use uuid::Uuid;

use model::{AccountId, JobId, StateName, Timestamp};

use crate::StoreError;
use crate::jobs::failures;
use crate::maintenance::chunks::{CHUNK_ROWS, CHUNKS_PER_TICK};
use crate::postgres::engine::Engine;
use crate::postgres::maintenance::ids;
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;
use crate::time::Moment;

pub(crate) const ACCOUNTS: &str =
    "SELECT id, account_id FROM jobs WHERE id = ANY($1) AND id BETWEEN $2 AND $3 ORDER BY id";

pub(crate) const GIVE_UP: &str = "UPDATE jobs SET state = 'dead', due_at = NULL, finished_at = $4, finished_service_at = $5, \
     last_error = $6, fence = fence + 1 WHERE id = ANY($1) AND id BETWEEN $2 AND $3 \
     AND state = 'delivering' AND lease_until IS NULL RETURNING id, handler, outcome, account_id, body_bytes";

/// A delivery that was given up.
struct GivenUp {
    handler: String,
    outcome: String,
}

impl GivenUp {
    fn count(&self) {
        let Self { handler, outcome } = self;
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
        for (origin, old) in self.execute(OldDeliveries { before }).await? {
            let mut known: BTreeMap<i64, bool> = BTreeMap::new();
            for chunk in old.chunks(usize::try_from(CHUNK_ROWS).unwrap_or(usize::MAX)) {
                if left == 0 {
                    return Ok(());
                }
                let mut jobs = self.with_accounts(chunk).await?;
                jobs.retain(|(_, account)| {
                    !*known.entry(*account).or_insert_with(|| is_known(&origin, AccountId(*account)))
                });
                if jobs.is_empty() {
                    continue;
                }
                left -= 1;
                let ids = jobs.into_iter().map(|(id, _)| id).collect();
                let ended = self.execute(GiveUp { ids, now, why: why.clone() }).await?;
                ended.iter().for_each(GivenUp::count);
                tracing::warn!(
                    account = &*origin,
                    jobs = ended.len(),
                    "gave up deliveries: their account was not connected within store.retention"
                );
            }
        }
        Ok(())
    }

    async fn with_accounts(&self, ids: &[Uuid]) -> Result<Vec<(Uuid, i64)>, StoreError> {
        let rows = ids::of(ACCOUNTS, ids).fetch_all(&self.reading).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }
}

/// Finds the deliveries in the schedule that have waited since before a moment, by their lane, in the order of their ids.
struct OldDeliveries {
    before: Timestamp,
}

impl Command for OldDeliveries {
    type Answer = BTreeMap<Arc<str>, Vec<Uuid>>;

    async fn apply(&self, transaction: &mut Transaction) -> Result<Self::Answer, StoreError> {
        let mut old: Self::Answer = BTreeMap::new();
        let Some(schedule) = transaction.schedule() else { return Ok(old) };
        for (origin, id) in schedule.deliveries_since_before(self.before) {
            old.entry(origin.clone()).or_default().push(id.as_uuid());
        }
        old.values_mut().for_each(|ids| ids.sort_unstable());
        Ok(old)
    }
}

/// Moves deliveries to `dead`, except those that were claimed or finished in the meantime. Answers with the others.
struct GiveUp {
    /// In ascending order.
    ids: Vec<Uuid>,
    now: Moment,
    why: String,
}

impl Command for GiveUp {
    type Answer = Vec<GivenUp>;

    async fn apply(&self, transaction: &mut Transaction) -> Result<Vec<GivenUp>, StoreError> {
        let give_up = ids::of(GIVE_UP, &self.ids)
            .bind(self.now.calendar.as_millis())
            .bind(self.now.service.as_millis())
            .bind(&self.why);
        let rows = transaction.change(give_up).await?;
        let mut given_up: Vec<GivenUp> = Vec::with_capacity(rows.len());
        for row in &rows {
            let id = JobId::from_uuid(row.try_get(0)?);
            transaction.plan(id, None);
            transaction.failures.push(failures::given_up(id, &self.why));
            transaction.post_commit.bytes.finished(row.try_get(3)?, row.try_get(4)?);
            given_up.push(GivenUp { handler: row.try_get(1)?, outcome: row.try_get(2)? });
        }
        let jobs = i64::try_from(given_up.len()).unwrap_or(i64::MAX);
        transaction.post_commit.moved(StateName::Delivering, StateName::Dead, jobs);
        Ok(given_up)
    }
}
