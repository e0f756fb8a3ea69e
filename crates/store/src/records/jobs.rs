//! Accepted requests, written reports, claims, and counts of jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{JobId, RunningJob, StateName, Timestamp};

use super::Actor;

/// The result of accepting a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The job that the request belongs to.
    pub id: JobId,
    /// Whether the request is a repetition; `id` is then the job of the first request.
    pub duplicate: bool,
}

/// Whether a report was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was written.
    Done,
    /// The claim is no longer valid: someone else has claimed the job, or it was cancelled. Nothing changed.
    Stale,
}

/// Claimed jobs that have run out of time to answer.
#[derive(Debug, Default, PartialEq)]
pub struct Overdue {
    /// Those that no worker took in time.
    pub queued: Vec<RunningJob>,
    /// Those whose handler accepted them, and has not called back in time.
    pub awaiting: Vec<RunningJob>,
}

/// Who gives a completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Callback,
    Operator(Actor),
}

/// What became of a completion that came by a callback, or from an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completed {
    /// The job has it now.
    Accepted,
    /// The job has the handler's completion already; nothing changed.
    Before(StateName),
    /// The job ended without the handler's completion, or will: it is cancelled, has the fallback, or its time to answer
    /// is over.
    TooLate(StateName),
}

/// What became of a claim of a job that awaits a callback.
#[derive(Debug, PartialEq)]
pub enum AwaitingClaim {
    /// It is claimed.
    Claimed(Box<RunningJob>),
    /// The attempt still runs, so the job may await a callback soon. Nothing changed.
    NotYet,
    /// The job awaits no callback, or not of this attempt. Nothing changed.
    NotAwaiting(StateName),
}

/// The key from which the tokens of callbacks are derived, as the store keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// The key, encrypted if `key_id` is set.
    pub key: Vec<u8>,
    /// The id of the key that encrypts it.
    pub key_id: Option<String>,
}

/// A job is young if it was received within this time.
pub(crate) const YOUNG: Duration = Duration::from_secs(60);

/// How many jobs of a claim are reserved for those due longest. The default is none: young jobs come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LongestDue {
    /// The number of reserved jobs; fewer if fewer are due.
    pub jobs: usize,
    /// Whether, among the reserved jobs, refused jobs come first, then retries, then first tries. If `false`, the order
    /// is reversed.
    pub retries_first: bool,
}

/// The numbers of jobs and bytes in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The number of jobs in each state. Every state has an entry.
    pub jobs: BTreeMap<StateName, u64>,
    /// When the job that has waited longest for a worker was received. If someone set the calendar in the meantime,
    /// this is now minus the time that the job has waited.
    pub oldest_queued: Option<Timestamp>,
    /// The number of queued jobs that wait until an earlier job of their conversation is answered.
    pub waiting_for_turn: u64,
    /// Bytes of the bodies of unfinished jobs.
    pub unfinished_bytes: u64,
    /// Bytes of the bodies of all jobs.
    pub stored_bytes: u64,
}

impl Stats {
    /// The number of unfinished jobs.
    pub fn unfinished(&self) -> u64 {
        self.jobs.iter().filter(|(state, _)| !state.is_finished()).map(|(_, jobs)| jobs).sum()
    }
}
