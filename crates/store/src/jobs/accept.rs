//! Decides what becomes of requests.
//!
//! A request is new if its idempotency key is new. Only a new request becomes a job, and the same transaction stores the
//! key. If a worker is free, the job is inserted as `running`, so claiming it needs no other statement. A new request
//! that its account's budget does not allow is refused, and leaves neither a job nor a key.

use std::time::Duration;

use model::maps::{Entry, HashMap};
use model::{Fence, JobId, NewJob, RunningJob, Timestamp};

use super::turns::Conversation;
use crate::budget::{Budgets, OverBudget};
use crate::commit::message::Accept;
use crate::lanes::{Lanes, Slot};
use crate::time::Moment;

/// An idempotency key: the number of the account, and the token's `jti`.
pub(crate) type Key = (i64, String);

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
pub(crate) struct NewRow<'a> {
    pub(crate) job: &'a NewJob,
    /// `data` as JSON.
    pub(crate) data: String,
    /// Set if a worker has already claimed the job.
    pub(crate) lease_until: Option<Timestamp>,
    pub(crate) place: Option<Place>,
}

/// The place of a job in the line of its conversation.
pub(crate) struct Place {
    pub(crate) conversation: Conversation,
    pub(crate) turn: i64,
    /// How long the job waits for further messages.
    pub(crate) coalesce: Option<Duration>,
}

/// When a new job is due for a worker.
#[derive(Clone, Copy)]
pub(crate) enum Due {
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
    pub(crate) fn due_at(&self, moment: Moment) -> Option<Timestamp> {
        match self.due() {
            Due::Now => Some(moment.steady),
            Due::After(pause) => Some(moment.steady_at(self.job.received_at) + pause),
            Due::InTurn => None,
        }
    }
}

/// The idempotency key of a job.
pub(crate) fn key(job: &NewJob) -> Key {
    (job.request.account_id.0, job.idempotency_key.clone())
}

/// The place of the last job in the line of each conversation.
pub(crate) type Lines = HashMap<Conversation, i64>;

/// The conversations of the jobs that are appended to a line, each once.
pub(crate) fn conversations(accepts: &[Box<Accept>]) -> impl Iterator<Item = Conversation> {
    let new = accepts.iter().filter(|accept| accept.known.is_none());
    new.filter_map(|accept| Conversation::of_new(&accept.job))
}

/// Appends a job to the line of its conversation. Returns `None` if the job is not ordered.
fn append(job: &NewJob, lines: &mut Lines) -> Option<Place> {
    let conversation = Conversation::of_new(job)?;
    let last = lines.entry(conversation.clone()).or_default();
    *last += 1;
    Some(Place { conversation, turn: *last, coalesce: job.ordering.coalesce() })
}

/// A span in milliseconds.
pub(crate) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Decides what happens to each of `accepts`. Also returns the rows of the new jobs.
pub(crate) fn decide<'a>(
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
