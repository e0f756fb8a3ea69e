//! What comes after an attempt of a handler: one table, no I/O.

use std::time::Duration;

use crate::handler::{HandlerError, Retry};
use model::{
    AfterHandler, AttemptResult, CheckedCompletion, Completion, FallbackReason, HandlerPolicy, Outcome,
    PreparedCompletion, Timestamp, next_attempt,
};

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The handler returned.
    Returned(Result<Completion, HandlerError>),
    /// The handler panicked, saying this.
    Panicked(String),
    /// `attempt_timeout` or the job's time to answer was over.
    TimedOut,
    /// The bridge stops and waits no longer.
    Interrupted,
    /// The job's time to answer was over before a worker was free.
    Overdue,
    /// The process died too often while this job ran.
    Crashed(u32),
    /// No handler of that name is registered.
    NoHandler,
}

/// What is known of the job when its attempt ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances<'a> {
    pub(super) policy: &'a HandlerPolicy,
    /// Attempts charged, with this one.
    pub(super) attempts: u32,
    /// By the steady clock, as is `answer_by`.
    pub(super) now: Timestamp,
    pub(super) answer_by: Timestamp,
    /// Uniform in 0 to 1.
    pub(super) jitter: f64,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) next: AfterHandler,
    /// What to write into the history; `None` if no attempt is charged.
    pub(super) result: Option<AttemptResult>,
    pub(super) error: Option<String>,
    /// Keys under which the bot would show its placeholder.
    pub(super) empty_values: Vec<String>,
}

/// Judges.
pub(super) fn judge(ended: Ended, at: Circumstances<'_>) -> Verdict {
    match ended {
        Ended::Returned(Ok(completion)) => {
            let empty_values = completion.empty_values();
            match completion.check() {
                Ok(checked) => Verdict {
                    next: AfterHandler::Deliver(PreparedCompletion { completion: checked, outcome: Outcome::Handler }),
                    result: Some(AttemptResult::Ok),
                    error: None,
                    empty_values,
                },
                // The same handler would build the same again.
                Err(error) => at.fall_back(
                    Some(AttemptResult::Fail),
                    FallbackReason::InvalidCompletion,
                    error.to_string(),
                ),
            }
        }
        Ended::Returned(Err(error)) => match error.when_again() {
            None => at.fall_back(Some(AttemptResult::Fail), FallbackReason::Failed, error.to_string()),
            Some(Retry::WithBackoff) => at.again(AttemptResult::Retry, at.backoff(), error.to_string()),
            Some(Retry::After(delay)) => at.again(AttemptResult::Retry, delay, error.to_string()),
        },
        Ended::Panicked(message) => {
            at.again(AttemptResult::Panic, at.backoff(), format!("the handler panicked: {message}"))
        }
        Ended::TimedOut => {
            let limit = if at.now >= at.answer_by { "handlers.NAME.answer_within" } else { "handlers.NAME.attempt_timeout" };
            at.again(AttemptResult::Timeout, at.backoff(), format!("the handler took longer than {limit}"))
        }
        Ended::Interrupted => {
            Verdict { next: AfterHandler::HandBack, result: None, error: None, empty_values: Vec::new() }
        }
        Ended::Overdue => at.fall_back(
            None,
            FallbackReason::Overdue,
            "no worker came to it within handlers.NAME.answer_within: raise workers.concurrency, or find what is slow"
                .to_owned(),
        ),
        Ended::Crashed(times) => at.fall_back(
            None,
            FallbackReason::Crashed,
            format!("the process ended {times} times in a row while the handler ran; it is not run again"),
        ),
        Ended::NoHandler => {
            at.fall_back(None, FallbackReason::NoHandler, "no handler of that name is registered".to_owned())
        }
    }
}

impl Circumstances<'_> {
    fn backoff(&self) -> Duration {
        self.policy.backoff().delay(self.attempts, self.jitter)
    }

    fn again(&self, result: AttemptResult, delay: Duration, error: String) -> Verdict {
        if self.attempts >= self.policy.max_attempts {
            let error = format!("{error} (attempt {} of {})", self.attempts, self.policy.max_attempts);
            return self.fall_back(Some(result), FallbackReason::MaxAttempts, error);
        }
        // A customer waits: an attempt that could only begin too late would delay the fallback and bring nothing.
        let Some(due_at) = next_attempt(self.now, delay, self.answer_by) else {
            let error = format!(
                "{error} (attempt {}; handlers.NAME.answer_within leaves no time for another)",
                self.attempts
            );
            return self.fall_back(Some(result), FallbackReason::AnswerWithin, error);
        };
        Verdict {
            next: AfterHandler::Retry { due_at },
            result: Some(result),
            error: Some(error),
            empty_values: Vec::new(),
        }
    }

    fn fall_back(&self, result: Option<AttemptResult>, reason: FallbackReason, error: String) -> Verdict {
        let completion: CheckedCompletion = self.policy.fallback.clone();
        Verdict {
            next: AfterHandler::Deliver(PreparedCompletion {
                completion,
                outcome: Outcome::Fallback(reason),
            }),
            result,
            error: Some(error),
            empty_values: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
