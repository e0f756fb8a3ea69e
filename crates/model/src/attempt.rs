//! One try of a handler or of a delivery, kept as history.

use std::time::Duration;

use serde::Serialize;

use super::Timestamp;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
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
    /// Kommo says that no bot is waiting.
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
