//! Where a job is, with all that belongs to being there.
//!
//! ```text
//! queued ──▶ running ──▶ delivering ──▶ delivered
//!   ▲           │            │  ▲  └───▶ gone ──(an operator)──▶ delivering
//!   └─ retry ───┘            └──┘ retry └─▶ dead ──(an operator)──▶ delivering
//!                  any unfinished ──▶ cancelled
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{CheckedCompletion, FallbackReason, Timestamp};

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

    /// Whether nothing more happens to such a job unless an operator asks for it.
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
#[error(
    "unknown state `{0}` (expected one of: queued, running, delivering, delivered, gone, dead, cancelled)"
)]
pub struct UnknownState(pub String);

/// Where a job's completion came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The handler returned it.
    Handler,
    /// `handlers.NAME.fallback`, in place of the handler's answer.
    Fallback(FallbackReason),
}

impl Outcome {
    /// Its name, without the reason.
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

/// The names of the outcomes, as the API and the store write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeName {
    /// The bot gets the handler's answer.
    Handler,
    /// The bot gets the fallback.
    Fallback,
}

impl OutcomeName {
    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Fallback => "fallback",
        }
    }
}

/// The text names no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown outcome `{0}` (expected one of: handler, fallback)")]
pub struct UnknownOutcome(pub String);

impl FromStr for OutcomeName {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::Handler, Self::Fallback].into_iter().find(|name| name.as_str() == text);
        known.ok_or_else(|| UnknownOutcome(text.to_owned()))
    }
}

/// A completion that is ready to be delivered, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedCompletion {
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
        prepared: PreparedCompletion,
        /// Not to be claimed before.
        due_at: Timestamp,
        /// Set while the continue is on its way.
        lease_until: Option<Timestamp>,
    },
    /// Kommo took the continue. Final.
    Delivered {
        /// What was sent.
        prepared: PreparedCompletion,
        /// Since when.
        finished_at: Timestamp,
    },
    /// No bot waits for the continue any longer: Kommo says so, or a newer job has its `return_url`. Final, unless an operator
    /// retries it.
    Gone {
        /// What would have been sent.
        prepared: PreparedCompletion,
        /// Since when.
        finished_at: Timestamp,
    },
    /// The dead letter: delivery gave up. Final, unless an operator retries it.
    Dead {
        /// What could not be sent.
        prepared: PreparedCompletion,
        /// Since when.
        finished_at: Timestamp,
    },
    /// A person stopped it. Final.
    Cancelled {
        /// What was about to be sent, if there was something.
        prepared: Option<PreparedCompletion>,
        /// Since when.
        finished_at: Timestamp,
    },
}

impl State {
    /// The completion, if there is one.
    pub const fn prepared(&self) -> Option<&PreparedCompletion> {
        match self {
            Self::Queued { .. } | Self::Running { .. } => None,
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
