//! Stores incoming requests.
//!
//! A request is new if its idempotency key is new. Only a new request becomes a job, and the same transaction stores the
//! key. If a worker is free, the job is inserted as `running`, so claiming it needs no other statement. A new request
//! that its account's budget does not allow is refused, and leaves neither a job nor a key.
//!
//! A job of an ordered conversation gets the next place in its line ([`turns`]). Only the first one in the line is due.

use std::time::Duration;
use std::time::Instant;

use tokio::sync::oneshot;

use model::maps::{Entry, HashMap, HashSet};
use model::{Fence, JobId, NewJob, RunningJob, StateName, Timestamp};

use super::keys;
use super::turns::{self, Conversation};
use crate::budget::{Budgets, OverBudget, signed};
use crate::lanes::{Lanes, Slot};
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::search::index;
use crate::sqlite::jobs::supersede;
use crate::sqlite::write::insert::insert_row;
use crate::sqlite::write::known_keys::{Key, Keys};
use crate::sqlite::write::message::{Accept, Message};
use crate::sqlite::write::search_progress::SearchProgress;
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
    place: Option<Place>,
}

/// The place of a job in the line of its conversation.
struct Place {
    conversation: Conversation,
    turn: i64,
    /// How long the job waits for further messages.
    coalesce: Option<Duration>,
}

/// When a new job is due for a worker.
#[derive(Clone, Copy)]
enum Due {
    Now,
    /// After the pause that ends its messages.
    After(Duration),
    /// Once the jobs before it in its line are answered.
    InTurn,
}

impl NewRow<'_> {
    fn due(&self) -> Due {
        match &self.place {
            Some(Place { turn, .. }) if *turn > 1 => Due::InTurn,
            Some(Place { coalesce: Some(coalesce), .. }) => Due::After(*coalesce),
            _ => Due::Now,
        }
    }

    /// When the job is due, if it is not claimed.
    fn due_at(&self, moment: Moment) -> Option<Timestamp> {
        match self.due() {
            Due::Now => Some(moment.steady),
            Due::After(pause) => Some(moment.steady_at(self.job.received_at) + pause),
            Due::InTurn => None,
        }
    }
}

insert_row! {
    pub(crate) const INSERT, fn bind_job(row: &NewRow<'_>, moment: Moment);
    let NewRow { job, data, lease_until, place } = row;
    let request = &job.request;
    let waiting = || (StateName::Queued, row.due_at(moment).map(Timestamp::as_millis));
    let (state, due_at) = if lease_until.is_some() { (StateName::Running, None) } else { waiting() };
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
        "turn" => place.as_ref().map(|place| place.turn),
        "coalesce_ms" => place.as_ref().and_then(|place| place.coalesce).map(millis),
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
    let mut lines = lines(transaction, accepts)?;
    let (results, rows) = decide(accepts, budgets, lanes, moment.steady, &mut lines);
    let new = accepts.iter().zip(&results).filter(|(_, stored)| matches!(stored, Stored::New(_)));
    keys::append(keys, transaction, new.map(|(accept, _)| (key(&accept.job), &accept.job)))?;

    let new: Vec<&NewJob> = rows.iter().map(|row| row.job).collect();
    supersede::older(transaction, &new)?;
    insert(transaction, &rows)?;
    supersede::within(transaction, &new)?;
    let post_commit = &mut transaction.post_commit;
    for row in &rows {
        let NewRow { job, data, lease_until, .. } = row;
        post_commit.bytes.accepted(job.request.account_id.0, signed(data.len()));
        if lease_until.is_some() {
            post_commit.count(StateName::Running, 1);
            continue;
        }
        post_commit.count(StateName::Queued, 1);
        match row.due_at(moment) {
            Some(due_at) => post_commit.queued(job.handler.as_str(), due_at, job.answer_by),
            None => post_commit.answer_by(job.answer_by),
        }
    }
    // Each new message prolongs the wait for further ones.
    let gather = |place: Place| place.coalesce.map(|_| place.conversation);
    let gathering: HashSet<Conversation> =
        rows.into_iter().filter_map(|row| row.place.and_then(gather)).collect();
    for conversation in &gathering {
        turns::give(transaction, conversation)?;
    }
    Ok(results)
}

/// Counts the new jobs among `accepts` for the search index, and corrects the index if one of them belongs before its end.
pub(crate) fn note_for_search(
    transaction: &Transaction<'_>,
    progress: &SearchProgress,
    accepts: &[Box<Accept>],
    stored: &[Stored],
) -> Result<(), StoreError> {
    let new = accepts.iter().zip(stored).filter(|(_, stored)| matches!(stored, Stored::New(_)));
    let ids = new.map(|(accept, _)| accept.job.id);
    progress.accepted(ids.clone().count());
    index::make_void(transaction, progress, ids)
}

/// The place of the last job in the line of each conversation.
type Lines = HashMap<Conversation, i64>;

/// Finds the last places in the lines of the ordered jobs among `accepts`.
fn lines(transaction: &Transaction<'_>, accepts: &[Box<Accept>]) -> Result<Lines, StoreError> {
    let mut lines = Lines::new();
    let new = accepts.iter().filter(|accept| accept.known.is_none());
    for conversation in new.filter_map(|accept| Conversation::of_new(&accept.job)) {
        if let Entry::Vacant(entry) = lines.entry(conversation) {
            let last = turns::last_turn(transaction, entry.key())?;
            entry.insert(last);
        }
    }
    Ok(lines)
}

/// Appends a job to the line of its conversation. Returns `None` if the job is not ordered.
fn append(job: &NewJob, lines: &mut Lines) -> Option<Place> {
    let conversation = Conversation::of_new(job)?;
    let last = lines.entry(conversation.clone()).or_default();
    *last += 1;
    Some(Place { conversation, turn: *last, coalesce: job.ordering.coalesce() })
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Decides what happens to each of `accepts`. Also returns the rows of the new jobs.
fn decide<'a>(
    accepts: &'a [Box<Accept>],
    budgets: &Budgets,
    lanes: &Lanes<RunningJob>,
    steady: Timestamp,
    lines: &mut Lines,
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
                        let mut row = NewRow { job, data, lease_until: None, place: append(job, lines) };
                        let may_run = matches!(row.due(), Due::Now);
                        let slot = may_run.then(|| offers.next(job.handler.as_str())).flatten();
                        row.lease_until = slot.as_ref().map(|slot| steady + slot.lease);
                        rows.push(row);
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
    let is_ordered = Conversation::of_new(&job).is_some();
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
        is_ordered,
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
