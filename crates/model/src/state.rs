//! The states of a job, with their data.
//!
//! ```text
//! queued ──▶ running ──────────────▶ delivering ──▶ delivered
//!   ▲           │  └▶ awaiting_callback ──▲ │  ▲  └───▶ gone ──(an operator)──▶ delivering
//!   └─ retry ───┘                           └──┘ retry └─▶ dead ──(an operator)──▶ delivering
//!                  any unfinished ──(an operator)──▶ cancelled
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{CheckedCompletion, FallbackReason, Timestamp};

/// The name of a [`State`], as the API and the store write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// See [`State::Queued`].
    Queued,
    /// See [`State::Running`].
    Running,
    /// See [`State::AwaitingCallback`].
    AwaitingCallback,
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
    /// All states, in the order of a job's life.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::AwaitingCallback,
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
            Self::AwaitingCallback => "awaiting_callback",
            Self::Delivering => "delivering",
            Self::Delivered => "delivered",
            Self::Gone => "gone",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the state is final unless an operator changes the job.
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

/// The text is not the name of a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown state `{0}` (expected one of: queued, running, awaiting_callback, delivering, delivered, gone, dead, \
     cancelled)"
)]
pub struct UnknownState(pub String);

/// The origin of a job's completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The handler returned it.
    Handler,
    /// It is `handlers.NAME.fallback`, in place of the handler's answer.
    Fallback(FallbackReason),
}

impl Outcome {
    /// The name, without the reason.
    pub const fn name(self) -> OutcomeName {
        match self {
            Self::Handler => OutcomeName::Handler,
            Self::Fallback(_) => OutcomeName::Fallback,
        }
    }

    /// Why the bot gets the fallback; `None` if it gets the handler's answer.
    pub const fn fallback_reason(self) -> Option<FallbackReason> {
        match self {
            Self::Handler => None,
            Self::Fallback(reason) => Some(reason),
        }
    }
}

/// The name of an [`Outcome`], as the API and the store write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeName {
    /// The bot gets the handler's answer.
    Handler,
    /// The bot gets the fallback.
    Fallback,
}

impl OutcomeName {
    /// All outcomes.
    pub const ALL: [Self; 2] = [Self::Handler, Self::Fallback];

    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Fallback => "fallback",
        }
    }
}

/// The text is not the name of an outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown outcome `{0}` (expected one of: handler, fallback)")]
pub struct UnknownOutcome(pub String);

impl FromStr for OutcomeName {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|name| name.as_str() == text);
        known.ok_or_else(|| UnknownOutcome(text.to_owned()))
    }
}

/// A completion that is ready for delivery, and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedCompletion {
    /// The completion to send.
    pub completion: CheckedCompletion,
    /// The origin of the completion.
    pub outcome: Outcome,
}

/// What a queued job waits for before a worker may claim it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueWait {
    /// Nothing after this moment: it is new, or its retry is due then.
    Until(Timestamp),
    /// Further messages of its conversation, until this moment or a later one if they come.
    Messages(Timestamp),
    /// Its turn: an earlier job of its conversation is not answered yet.
    Turn,
}

impl QueueWait {
    /// The earliest moment for a claim; `None` if it depends on another job.
    pub const fn due_at(self) -> Option<Timestamp> {
        match self {
            Self::Until(due_at) | Self::Messages(due_at) => Some(due_at),
            Self::Turn => None,
        }
    }
}

/// The state of a job, with its data.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// The job waits for a worker. In: receipt, a failed attempt with a retry, or a crash or a shutdown during an attempt.
    /// Out: a worker claims it; after `answer_by` only for the fallback. A job that joins a later one goes to
    /// `Delivering`. Lasts until a worker is free and the job may run.
    Queued(QueueWait),
    /// A handler works on the job, under a lease. In: a worker's claim. Out: the worker's report, or the end of the lease.
    /// Lasts at most as long as an attempt may take.
    Running {
        /// The end of the lease; the claim is void after it.
        lease_until: Timestamp,
    },
    /// The handler accepted the job, and answers later by a callback. The job needs no worker, and a restart does not run
    /// its handler again. In: the worker's report. Out: a callback; after `answer_by`, a worker's claim for the fallback.
    /// Lasts until one of these.
    AwaitingCallback,
    /// The completion is stored, and its continue is due or in flight. In: the worker's report, or an operator's retry.
    /// Out: the sender's report. Lasts until Kommo responds or `delivery.give_up_after` has passed.
    Delivering {
        /// The completion to send.
        prepared: PreparedCompletion,
        /// The earliest moment for a claim.
        due_at: Timestamp,
        /// The end of the lease; set while the continue is in flight.
        lease_until: Option<Timestamp>,
    },
    /// Kommo accepted the continue. Final.
    Delivered {
        /// The completion that was sent.
        prepared: PreparedCompletion,
        /// When the job reached this state.
        finished_at: Timestamp,
    },
    /// No bot waits for the continue any longer, because Kommo said so or a newer job has the `return_url`. Final, unless
    /// an operator retries the job.
    Gone {
        /// The completion that no bot waits for.
        prepared: PreparedCompletion,
        /// When the job reached this state.
        finished_at: Timestamp,
    },
    /// A dead letter: the delivery gave up. Final, unless an operator retries the job.
    Dead {
        /// The completion that could not be delivered.
        prepared: PreparedCompletion,
        /// When the job reached this state.
        finished_at: Timestamp,
    },
    /// An operator cancelled the job. Final.
    Cancelled {
        /// The completion that was not sent; `None` if the job had none.
        prepared: Option<PreparedCompletion>,
        /// When the job reached this state.
        finished_at: Timestamp,
    },
}

impl State {
    /// The completion; `None` before there is one.
    pub const fn prepared(&self) -> Option<&PreparedCompletion> {
        match self {
            Self::Queued(_) | Self::Running { .. } | Self::AwaitingCallback => None,
            Self::Delivering { prepared, .. }
            | Self::Delivered { prepared, .. }
            | Self::Gone { prepared, .. }
            | Self::Dead { prepared, .. } => Some(prepared),
            Self::Cancelled { prepared, .. } => prepared.as_ref(),
        }
    }

    /// The state's name.
    pub const fn name(&self) -> StateName {
        match self {
            Self::Queued(_) => StateName::Queued,
            Self::Running { .. } => StateName::Running,
            Self::AwaitingCallback => StateName::AwaitingCallback,
            Self::Delivering { .. } => StateName::Delivering,
            Self::Delivered { .. } => StateName::Delivered,
            Self::Gone { .. } => StateName::Gone,
            Self::Dead { .. } => StateName::Dead,
            Self::Cancelled { .. } => StateName::Cancelled,
        }
    }
}
