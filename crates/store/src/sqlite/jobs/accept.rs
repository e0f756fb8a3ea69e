//! Stores incoming requests.
//!
//! A request is new if its idempotency key is new. Only a new request becomes a job, and the same transaction stores the
//! key. If a worker is free, the job is inserted as `running`, so claiming it needs no other statement. A new request
//! that its account's budget does not allow is refused, and leaves neither a job nor a key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::oneshot;

use model::{Fence, JobId, NewJob, RunningJob, StateName, Timestamp};

use super::keys;
use crate::budget::{Budgets, OverBudget, signed};
use crate::lanes::{Lanes, Slot};
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::supersede;
use crate::sqlite::write::insert::insert_row;
use crate::sqlite::write::known_keys::{Key, Keys};
use crate::sqlite::write::message::{Accept, Message};
use crate::sqlite::write::transaction::Transaction;
use crate::time::Moment;
use crate::{Accepted, StoreError};

/// What the transaction does with one request.
pub(crate) enum Stored {
    /// It becomes a job. If there is a slot, a worker has already claimed the job.
    New(Option<Slot<RunningJob>>),
    /// Its key is already known; this is the first job.
    Duplicate(JobId),
    /// It is new, but its account has used up its budget.
    Refused(OverBudget),
}

/// The row of a new job.
struct NewRow<'a> {
    job: &'a NewJob,
    /// `data` as JSON.
    data: String,
    /// Set if a worker has already claimed the job.
    lease_until: Option<Timestamp>,
}

insert_row! {
    pub(crate) const INSERT, fn bind_job(row: &NewRow<'_>, moment: Moment);
    let NewRow { job, data, lease_until } = row;
    let request = &job.request;
    let waiting = (StateName::Queued, Some(moment.steady.as_millis()));
    let (state, due_at) = if lease_until.is_some() { (StateName::Running, None) } else { waiting };
    "INSERT INTO jobs" {
        "id" => job.id.as_uuid(),
        "state" => state.as_str(),
        "handler" => job.handler.as_str(),
        "account_id" => request.account_id.0,
        "origin" => request.return_url.origin(),
        "return_url" => request.return_url.as_str(),
        "entity_type" => request.entity.map(|entity| entity.kind.code()),
        "entity_id" => request.entity.map(|entity| entity.id),
        "data" => data.as_str(),
        "received_at" => job.received_at.as_millis(),
        "waiting_since" => moment.steady_at(job.received_at).as_millis(),
        "answer_by" => job.answer_by.as_millis(),
        "due_at" => due_at,
        "lease_until" => lease_until.map(Timestamp::as_millis),
        "fence" => i64::from(lease_until.is_some()),
    }
}

/// Finds which of `accepts` are already known.
pub(crate) fn find(
    transaction: &Transaction<'_>,
    accepts: &mut [Box<Accept>],
    keys: &Keys,
) -> Result<(), StoreError> {
    let asked: Vec<Key> = accepts.iter().map(|accept| key(&accept.job)).collect();
    let found = keys::find(keys, transaction, &asked)?;
    for (accept, known) in accepts.iter_mut().zip(found) {
        accept.known = known;
    }
    Ok(())
}

fn key(job: &NewJob) -> Key {
    (job.request.account_id.0, job.idempotency_key.clone())
}

/// Stores the new requests among `accepts` that `budgets` allow. The results are in the same order.
pub(crate) fn apply(
    transaction: &mut Transaction<'_>,
    accepts: &[Box<Accept>],
    keys: &Keys,
    budgets: &Budgets,
    lanes: &Lanes<RunningJob>,
) -> Result<Vec<Stored>, StoreError> {
    let moment = transaction.moment;
    let (results, rows) = decide(accepts, budgets, lanes, moment.steady);
    let new = accepts.iter().zip(&results).filter(|(_, stored)| matches!(stored, Stored::New(_)));
    keys::append(keys, transaction, new.map(|(accept, _)| (key(&accept.job), &accept.job)))?;

    let new: Vec<&NewJob> = rows.iter().map(|row| row.job).collect();
    supersede::older(transaction, &new)?;
    insert(transaction, &rows)?;
    supersede::within(transaction, &new)?;
    let post_commit = &mut transaction.post_commit;
    for NewRow { job, data, lease_until } in rows {
        post_commit.bytes.accepted(job.request.account_id.0, signed(data.len()));
        if lease_until.is_some() {
            post_commit.count(StateName::Running, 1);
        } else {
            post_commit.count(StateName::Queued, 1);
            post_commit.queued(job.handler.as_str(), moment.steady, job.answer_by);
        }
    }
    Ok(results)
}

/// Decides what happens to each of `accepts`. Also returns the rows of the new jobs.
fn decide<'a>(
    accepts: &'a [Box<Accept>],
    budgets: &Budgets,
    lanes: &Lanes<RunningJob>,
    steady: Timestamp,
) -> (Vec<Stored>, Vec<NewRow<'a>>) {
    let mut offers = lanes.offers(steady);
    let mut admission = budgets.admission(steady);
    let mut first: HashMap<Key, JobId> = HashMap::with_capacity(accepts.len());
    let (mut results, mut rows) = (Vec::with_capacity(accepts.len()), Vec::with_capacity(accepts.len()));
    for accept in accepts {
        let Accept { job, known, .. } = &**accept;
        let stored = match (known, first.entry(key(job))) {
            (Some(first), _) => Stored::Duplicate(*first),
            // The same request may occur twice in one transaction.
            (None, Entry::Occupied(first)) => Stored::Duplicate(*first.get()),
            (None, Entry::Vacant(entry)) => {
                let data = job.request.data.to_string();
                match admission.admit(job.request.account_id.0, data.len() as u64) {
                    Ok(()) => {
                        entry.insert(job.id);
                        let slot = offers.next(job.handler.as_str());
                        let lease_until = slot.as_ref().map(|slot| steady + slot.lease);
                        rows.push(NewRow { job, data, lease_until });
                        Stored::New(slot)
                    }
                    Err(over) => Stored::Refused(over),
                }
            }
        };
        results.push(stored);
    }
    (results, rows)
}

fn insert(transaction: &Transaction<'_>, rows: &[NewRow<'_>]) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(INSERT)?;
    for row in rows {
        bind_job(row, transaction.moment, &mut statement)?;
        statement.raw_execute()?;
    }
    Ok(())
}

/// Returns the claimed job for the worker that was free. `moment` is the time of the transaction that stored it.
pub(crate) fn running(job: NewJob, moment: Moment) -> RunningJob {
    RunningJob {
        id: job.id,
        fence: Fence(1),
        handler: job.handler,
        request: job.request.into(),
        received_at: job.received_at,
        waiting_since: moment.steady_at(job.received_at),
        answer_by: job.answer_by,
        attempts: 0,
        crashes: 0,
        last_error: None,
    }
}

impl Engine {
    pub(crate) async fn accept(&self, job: NewJob, within: Duration) -> Result<Accepted, StoreError> {
        let (reply, answered) = oneshot::channel();
        let asked_at = now();
        let accept = Accept { job, known: None, asked_at, drop_after: asked_at + within, reply };
        let stored = async {
            self.send(Message::Accept(Box::new(accept))).await?;
            answered.await.unwrap_or(Err(StoreError::Closed))
        };
        tokio::time::timeout(within, stored).await.unwrap_or(Err(StoreError::Timeout))
    }
}

#[allow(clippy::disallowed_methods, reason = "callers wait in real time, whatever the clock shows")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
