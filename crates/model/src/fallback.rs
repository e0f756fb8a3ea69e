//! The reasons why a bot gets the fallback instead of the handler's answer.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The reason why a job's completion is the fallback. The set is small and closed, because it labels a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FallbackReason {
    /// The handler reported that a retry cannot help, or it could not decode the data.
    Failed,
    /// The last of `handlers.NAME.max_attempts` attempts failed.
    MaxAttempts,
    /// After a failed attempt, `handlers.NAME.answer_within` left no time for another one.
    AnswerWithin,
    /// `handlers.NAME.answer_within` was over before an attempt could begin.
    Overdue,
    /// The process ended several times in a row while the handler ran.
    Crashed,
    /// The handler accepted the job, but no callback came within `handlers.NAME.answer_within`.
    NoCallback,
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
    pub const ALL: [Self; 10] = [
        Self::Failed,
        Self::MaxAttempts,
        Self::AnswerWithin,
        Self::Overdue,
        Self::Crashed,
        Self::NoCallback,
        Self::NoHandler,
        Self::InvalidCompletion,
        Self::Refused,
        Self::Operator,
    ];

    /// The name as text, as the metric, the store and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::MaxAttempts => "max_attempts",
            Self::AnswerWithin => "answer_within",
            Self::Overdue => "overdue",
            Self::Crashed => "crashed",
            Self::NoCallback => "no_callback",
            Self::NoHandler => "no_handler",
            Self::InvalidCompletion => "invalid_completion",
            Self::Refused => "refused",
            Self::Operator => "operator",
        }
    }

    /// What happened, as a clause for a sentence about the handler's jobs.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Failed => "the handler failed for good",
            Self::MaxAttempts => "all attempts failed",
            Self::AnswerWithin => "attempts failed, and there was no time for another one",
            Self::Overdue => "no worker was free in time",
            Self::Crashed => "the process crashed while the handler ran",
            Self::NoCallback => "the handler accepted the job, but did not call back in time",
            Self::NoHandler => "no handler of that name is registered",
            Self::InvalidCompletion => "the handler returned a completion that Kommo would refuse",
            Self::Refused => "Kommo refused the handler's completion",
            Self::Operator => "an operator chose to send the fallback",
        }
    }

    /// Advice for the operator.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Failed => {
                "read `last_error` of such a job, then fix the handler or the data that the widget sends"
            }
            Self::MaxAttempts => {
                "check that the handler's backend is up; if it recovers within answer_within, raise \
                 handlers.NAME.max_attempts"
            }
            Self::AnswerWithin => {
                "check that the handler's backend is up and fast enough; a shorter handlers.NAME.attempt_timeout leaves time \
                 for another attempt"
            }
            Self::Overdue => {
                "raise workers.concurrency, find the slow handler, or check how long the bridge was down"
            }
            Self::Crashed => {
                "find out why the process ended: read the log before its last start, and check its memory limit"
            }
            Self::NoCallback => "find out why the handler did not call back; `jobs show` has its notes",
            Self::NoHandler => "register the handler again, or remove its block from the bots",
            Self::InvalidCompletion | Self::Refused => {
                "read `last_error` of such a job, then fix the completion that the handler returns"
            }
            Self::Operator => "no action needed: an operator ran `jobs retry ID --send fallback`",
        }
    }
}

impl fmt::Display for FallbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the name of a reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown fallback reason `{0}` (expected one of: failed, max_attempts, answer_within, overdue, crashed, \
     no_callback, no_handler, invalid_completion, refused, operator)"
)]
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
    fn each_reason_has_one_name_everywhere() {
        for reason in FallbackReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            assert!(!reason.what().is_empty() && !reason.advice().is_empty());
        }
        let error = "bad_luck".parse::<FallbackReason>().unwrap_err().to_string();
        for reason in FallbackReason::ALL {
            assert!(error.contains(reason.as_str()), "{error}");
        }
    }
}
