//! Why a bot gets the fallback in place of an answer.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// Why a job's completion is the fallback. A small closed set: it labels a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FallbackReason {
    /// The handler said that trying again cannot help, or the data did not decode.
    Failed,
    /// The last of `handlers.NAME.max_attempts` attempts failed.
    MaxAttempts,
    /// After a failed attempt `handlers.NAME.answer_within` left no time for another.
    AnswerWithin,
    /// `handlers.NAME.answer_within` was over before an attempt could begin.
    Overdue,
    /// The process ended several times in a row while the handler ran.
    Crashed,
    /// No handler of that name is registered.
    NoHandler,
    /// The handler returned a completion that Kommo would refuse.
    InvalidCompletion,
    /// Kommo refused the handler's completion.
    Refused,
    /// An operator chose to send the fallback.
    Operator,
}

impl FallbackReason {
    /// All reasons.
    pub const ALL: [Self; 9] = [
        Self::Failed,
        Self::MaxAttempts,
        Self::AnswerWithin,
        Self::Overdue,
        Self::Crashed,
        Self::NoHandler,
        Self::InvalidCompletion,
        Self::Refused,
        Self::Operator,
    ];

    /// The name as text: the metric's label, and what the store and the API write.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::MaxAttempts => "max_attempts",
            Self::AnswerWithin => "answer_within",
            Self::Overdue => "overdue",
            Self::Crashed => "crashed",
            Self::NoHandler => "no_handler",
            Self::InvalidCompletion => "invalid_completion",
            Self::Refused => "refused",
            Self::Operator => "operator",
        }
    }

    /// What happened, as the end of a sentence about the handler's jobs.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Failed => "the handler failed for good",
            Self::MaxAttempts => "all attempts failed",
            Self::AnswerWithin => "attempts failed until there was no time for another",
            Self::Overdue => "no worker was free in time",
            Self::Crashed => "the process crashed while the handler ran",
            Self::NoHandler => "no handler of that name is registered",
            Self::InvalidCompletion => "the handler returned what Kommo would refuse",
            Self::Refused => "Kommo refused the handler's completion",
            Self::Operator => "an operator chose to send the fallback",
        }
    }

    /// What an operator can do about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Failed => {
                "read `last_error` of such a job: fix the handler, or the data that the widget sends"
            }
            Self::MaxAttempts => {
                "check that the backend of the handler is up; if it recovers within answer_within, raise \
                 handlers.NAME.max_attempts"
            }
            Self::AnswerWithin => {
                "check that the backend of the handler is up and fast enough; a shorter handlers.NAME.attempt_timeout leaves time \
                 for another attempt"
            }
            Self::Overdue => {
                "raise workers.concurrency, find what is slow, or see how long the bridge was down"
            }
            Self::Crashed => {
                "find out what ends the process: the log before its last start, memory limits, core limits"
            }
            Self::NoHandler => "register the handler again, or take its block out of the bots",
            Self::InvalidCompletion | Self::Refused => {
                "read `last_error` of such a job, and fix what the handler returns"
            }
            Self::Operator => "nothing: someone ran `jobs retry ID --send fallback`",
        }
    }
}

impl fmt::Display for FallbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown reason for a fallback: `{0}`")]
pub struct UnknownFallbackReason(pub String);

impl FromStr for FallbackReason {
    type Err = UnknownFallbackReason;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|reason| reason.as_str() == text);
        known.ok_or_else(|| UnknownFallbackReason(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_one_name_everywhere() {
        for reason in FallbackReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            assert!(!reason.what().is_empty() && !reason.advice().is_empty());
        }
        assert!("bad_luck".parse::<FallbackReason>().is_err());
    }
}
