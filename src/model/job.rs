//! A job: one `widget_request` on its way to one continue.
//!
//! ```text
//! queued ──▶ running ──▶ delivering ──▶ delivered
//!   ▲           │            │  ▲  └───▶ gone
//!   └─ retry ───┘            └──┘ retry └─▶ dead
//!                  any unfinished ──▶ cancelled
//! ```
//!
//! [`Job`] is the record that people and the API look at. The rooms do not work on it: `work` gets a
//! [`RunningJob`] and `deliver` a [`DeliveringJob`], and only these can be reported on, once
//! (see [`transition`](super::transition)).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::{AccountId, CheckedCompletion, Fence, HandlerName, JobId, ReturnUrl, Timestamp, WidgetRequest};

/// The names of the states, as the API and the store write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StateName {
    /// See [`State::Queued`].
    Queued,
    /// See [`State::Running`].
    Running,
    /// See [`State::Delivering`].
    Delivering,
    /// See [`State::Delivered`].
    Delivered,
    /// See [`State::Gone`].
    Gone,
    /// See [`State::Dead`].
    Dead,
    /// See [`State::Cancelled`].
    Cancelled,
}

impl StateName {
    /// All of them, in the order of a job's life.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Running,
        Self::Delivering,
        Self::Delivered,
        Self::Gone,
        Self::Dead,
        Self::Cancelled,
    ];

    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Delivering => "delivering",
            Self::Delivered => "delivered",
            Self::Gone => "gone",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens to such a job by itself.
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Delivered | Self::Gone | Self::Dead | Self::Cancelled)
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StateName {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|name| name.as_str() == text).ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// The text names no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no state: queued, running, delivering, delivered, gone, dead or cancelled")]
pub struct UnknownState(pub String);

/// Where a job's completion came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The handler returned it.
    Handler,
    /// The handler had none: `handlers.NAME.fallback`.
    Fallback,
}

impl Outcome {
    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Fallback => "fallback",
        }
    }
}

/// A completion that is ready to be delivered, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// What is sent.
    pub completion: CheckedCompletion,
    /// Who made it.
    pub outcome: Outcome,
}

/// Where a job is, with all that belongs to being there.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Waits for a worker. In: receipt, a failed attempt that may be repeated, a crash or a shutdown while it ran.
    /// Out: a worker claims it, or `answer_by` passes. Stays until a worker is free.
    Queued {
        /// Not to be claimed before.
        due_at: Timestamp,
    },
    /// A handler works on it, under a lease. In: a claim. Out: the worker's report, or the end of the lease.
    /// Stays no longer than the attempt may take.
    Running {
        /// The claim is void after this moment.
        lease_until: Timestamp,
    },
    /// Its completion is saved; the continue is due or on its way. In: the report of a worker, or a person's retry.
    /// Out: the sender's report. Stays until Kommo answers or `delivery.give_up_after` has passed.
    Delivering {
        /// What is sent.
        prepared: Prepared,
        /// Not to be claimed before.
        due_at: Timestamp,
        /// Set while the continue is on its way.
        lease_until: Option<Timestamp>,
    },
    /// Kommo took the continue. Final.
    Delivered {
        /// What was sent.
        prepared: Prepared,
        /// Since when.
        finished_at: Timestamp,
    },
    /// Kommo says that nobody waits for the continue any more. Final.
    Gone {
        /// What would have been sent.
        prepared: Prepared,
        /// Since when.
        finished_at: Timestamp,
    },
    /// The dead letter: delivery gave up. Final, unless a person retries it.
    Dead {
        /// What could not be sent.
        prepared: Prepared,
        /// Since when.
        finished_at: Timestamp,
    },
    /// A person stopped it. Final.
    Cancelled {
        /// What was about to be sent, if there was something.
        prepared: Option<Prepared>,
        /// Since when.
        finished_at: Timestamp,
    },
}

impl State {
    /// The state's name.
    pub const fn name(&self) -> StateName {
        match self {
            Self::Queued { .. } => StateName::Queued,
            Self::Running { .. } => StateName::Running,
            Self::Delivering { .. } => StateName::Delivering,
            Self::Delivered { .. } => StateName::Delivered,
            Self::Gone { .. } => StateName::Gone,
            Self::Dead { .. } => StateName::Dead,
            Self::Cancelled { .. } => StateName::Cancelled,
        }
    }
}

/// The record of a job, to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its identity.
    pub id: JobId,
    /// Whose job it is.
    pub handler: HandlerName,
    /// What was asked.
    pub request: WidgetRequest,
    /// When the request came in.
    pub received_at: Timestamp,
    /// From then on the fallback goes out.
    pub answer_by: Timestamp,
    /// Handler attempts that were charged.
    pub handler_attempts: u32,
    /// Delivery attempts that were charged.
    pub delivery_attempts: u32,
    /// What went wrong last, if something did.
    pub last_error: Option<String>,
    /// Where it is.
    pub state: State,
}

/// A verified request, about to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// Its identity.
    pub id: JobId,
    /// Whose job it will be.
    pub handler: HandlerName,
    /// What is asked.
    pub request: WidgetRequest,
    /// The token's `jti`: two requests of one account with the same one are the same request.
    pub idempotency_key: String,
    /// Until then the token could be used again (its `exp`, and a while for clocks that differ), so until then
    /// `idempotency_key` is remembered.
    pub token_expires_at: Timestamp,
    /// When the request came in.
    pub received_at: Timestamp,
    /// From then on the fallback goes out.
    pub answer_by: Timestamp,
}

/// A job that a worker has claimed.
#[derive(Debug, PartialEq)]
pub struct RunningJob {
    /// Its identity.
    pub id: JobId,
    /// The number of this claim.
    pub fence: Fence,
    /// Whose job it is.
    pub handler: HandlerName,
    /// What is asked; shared, because a handler that cannot be stopped may outlive its claim.
    pub request: Arc<WidgetRequest>,
    /// When the request came in.
    pub received_at: Timestamp,
    /// From then on the fallback goes out.
    pub answer_by: Timestamp,
    /// Attempts charged before this claim.
    pub attempts: u32,
    /// How often in a row the process died while this job ran.
    pub crashes: u32,
    /// What went wrong last, if something did.
    pub last_error: Option<String>,
}

/// A job that the sender has claimed.
#[derive(Debug, PartialEq)]
pub struct DeliveringJob {
    /// Its identity.
    pub id: JobId,
    /// The number of this claim.
    pub fence: Fence,
    /// Whose job it is.
    pub handler: HandlerName,
    /// The account whose bot waits.
    pub account_id: AccountId,
    /// Where it waits.
    pub return_url: ReturnUrl,
    /// When the request came in.
    pub received_at: Timestamp,
    /// What is sent.
    pub prepared: Prepared,
    /// Attempts charged before this claim.
    pub attempts: u32,
    /// How the delivery went so far.
    pub delivery: Delivery,
}

/// How a delivery went so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Failures in a row: the exponent of the backoff.
    pub failures: u32,
    /// The first of these; `delivery.give_up_after` counts from here.
    pub failing_since: Option<Timestamp>,
    /// An attempt may have arrived though its answer did not: a 404 then means success.
    pub answer_lost: bool,
}

/// Which of the two kinds of attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The handler ran.
    Handler,
    /// A continue was posted.
    Delivery,
}

impl Stage {
    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Delivery => "delivery",
        }
    }
}

/// What came of an attempt, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptResult {
    /// A completion, or Kommo took it.
    Ok,
    /// It failed and may be repeated.
    Retry,
    /// It failed for good.
    Fail,
    /// It took longer than it may.
    Timeout,
    /// The handler panicked.
    Panic,
    /// Kommo says that nobody is waiting.
    Gone,
}

impl AttemptResult {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Ok, Self::Retry, Self::Fail, Self::Timeout, Self::Panic, Self::Gone];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Retry => "retry",
            Self::Fail => "fail",
            Self::Timeout => "timeout",
            Self::Panic => "panic",
            Self::Gone => "gone",
        }
    }
}

/// One charged attempt, kept as history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Of the handler or of the delivery.
    pub stage: Stage,
    /// From 1, within its stage.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// What came of it.
    pub result: AttemptResult,
    /// Kommo's HTTP status, if it answered.
    pub status: Option<u16>,
    /// What went wrong, for a person.
    pub error: Option<String>,
}
