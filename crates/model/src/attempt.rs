//! Attempts: the tries of a handler or of a delivery, kept as history.

use std::time::Duration;

use serde::Serialize;

use super::Timestamp;

/// The kind of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// A run of the handler.
    Handler,
    /// A continue that the bridge sent.
    Delivery,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 2] = [Self::Handler, Self::Delivery];

    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Delivery => "delivery",
        }
    }
}

/// The result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptResult {
    /// The handler returned a completion, or Kommo accepted the continue.
    Ok,
    /// It failed; a retry may help.
    Retry,
    /// It failed for good.
    Fail,
    /// It exceeded its time limit.
    Timeout,
    /// The handler panicked.
    Panic,
    /// Kommo reported that no bot is waiting.
    Gone,
    /// The handler accepted the job, and answers later by a callback.
    Accepted,
}

impl AttemptResult {
    /// All results.
    pub const ALL: [Self; 7] =
        [Self::Ok, Self::Retry, Self::Fail, Self::Timeout, Self::Panic, Self::Gone, Self::Accepted];

    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Retry => "retry",
            Self::Fail => "fail",
            Self::Timeout => "timeout",
            Self::Panic => "panic",
            Self::Gone => "gone",
            Self::Accepted => "accepted",
        }
    }
}

/// One charged attempt, kept as history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Whether the handler ran or a continue was sent.
    pub stage: Stage,
    /// The number within its stage, from 1.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// The result.
    pub result: AttemptResult,
    /// The HTTP status, if Kommo responded.
    pub status: Option<u16>,
    /// The error as text for people.
    pub error: Option<String>,
}
