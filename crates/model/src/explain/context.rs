//! The facts beside a job and its attempts on which an explanation depends.

use crate::{AccountWait, JobId, Timestamp, WaitCause};

/// The facts beside the job.
#[derive(Clone, Copy, Debug)]
pub struct ExplainContext<'a> {
    /// The current time.
    pub now: Timestamp,
    /// Whether a bridge serves the store; `None` if unknown.
    pub is_served: Option<bool>,
    /// Whether the job's handler is registered.
    pub has_handler: bool,
    /// The wait of the account's deliveries, if they wait.
    pub account: Option<&'a AccountWait>,
    /// The wait of all accounts' deliveries, if they wait.
    pub all_accounts: Option<&'a AccountWait>,
    /// What the job's handler does at the moment; `None` if unknown.
    pub load: Option<HandlerLoad>,
    /// How many jobs await a callback of the handler, and how many may; `None` if unknown or unlimited.
    pub awaiting: Option<(u64, u64)>,
    /// The pause of the account's calls, if there is one: it may be too short for a wait in [`account`](Self::account).
    pub pause: Option<AccountPause>,
    /// The pace of the account; `None` if unknown.
    pub pace: Option<AccountPace>,
    /// The jobs before this one in the line of its conversation; `None` if there are none.
    pub line: Option<Line>,
    /// The deliveries of the account that wait, counted up to a limit; `None` if unknown.
    pub waiting: Option<u64>,
    /// A newer job with the same `return_url`.
    pub superseded_by: Option<JobId>,
    /// Whether a continue was sent, or may have been.
    pub was_sent: bool,
}

impl ExplainContext<'_> {
    /// The context in which only the time is known.
    pub const fn at(now: Timestamp) -> Self {
        Self {
            now,
            is_served: None,
            has_handler: true,
            account: None,
            all_accounts: None,
            load: None,
            awaiting: None,
            pause: None,
            pace: None,
            line: None,
            waiting: None,
            superseded_by: None,
            was_sent: false,
        }
    }
}

/// What a handler does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandlerLoad {
    /// Its permits in use; or those of all handlers, if it shares them.
    pub in_use: usize,
    /// The number of these permits.
    pub limit: usize,
    /// Whether it shares its permits with other handlers (`workers.concurrency`).
    pub is_shared: bool,
    /// Whether another of its jobs could get a permit now.
    pub has_room: bool,
    /// When the next call tests whether its URL can be reached again; `None` if it can be.
    pub unreachable_until: Option<Timestamp>,
}

/// A pause of an account's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountPause {
    /// The cause.
    pub cause: WaitCause,
    /// When the next call tests whether it can end.
    pub until: Timestamp,
}

/// The pace of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountPace {
    /// The calls that started within the current window, or are about to.
    pub used: usize,
    /// How many may.
    pub limit: usize,
    /// When the next call may start, apart from pauses; `None` if at once.
    pub next_at: Option<Timestamp>,
}

/// The jobs before a job in the line of its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The first one.
    pub first: JobId,
    /// Their number, counted up to a limit.
    pub jobs: u64,
    /// Whether there may be more.
    pub is_more: bool,
}
