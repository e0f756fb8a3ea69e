//! Decides what comes after an attempt of a handler. One table, without I/O.

use std::time::Duration;

use crate::handler::{HandlerError, Retry};
use model::{
    AfterHandler, AttemptResult, CheckedCompletion, Completion, FallbackReason, HandlerPolicy, Outcome,
    PreparedCompletion, Timestamp, next_attempt,
};

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum AttemptOutcome {
    /// The handler returned.
    Returned(Result<Completion, HandlerError>),
    /// The handler panicked with this message.
    Panicked(String),
    /// `attempt_timeout` or the job's time to answer was over.
    TimedOut,
    /// The bridge stops and no longer waits.
    Interrupted,
    /// The job's time to answer ended before a worker was free.
    Overdue,
    /// The process died this often while the job ran.
    Crashed(u32),
    /// No handler of that name is registered.
    NoHandler,
}

/// What the decision depends on, besides the outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct DecisionContext<'a> {
    pub(super) policy: &'a HandlerPolicy,
    /// Charged attempts, including this one.
    pub(super) attempts: u32,
    /// By the steady clock, as is `answer_by`.
    pub(super) now: Timestamp,
    pub(super) answer_by: Timestamp,
    /// Uniform in 0 to 1.
    pub(super) jitter: f64,
}

/// What comes after the attempt.
#[derive(Debug, PartialEq)]
pub(super) struct Decision {
    pub(super) next: AfterHandler,
    /// The result for the history; `None` if the job is not charged with an attempt.
    pub(super) result: Option<AttemptResult>,
    pub(super) error: Option<String>,
    /// Keys under which the bot would show its placeholder.
    pub(super) empty_values: Vec<String>,
}

/// Decides what comes after an attempt that ended with `outcome`.
pub(super) fn decide(outcome: AttemptOutcome, context: DecisionContext<'_>) -> Decision {
    match outcome {
        AttemptOutcome::Returned(Ok(completion)) => {
            let empty_values = completion.empty_values();
            match completion.check() {
                Ok(checked) => Decision {
                    next: AfterHandler::Deliver(PreparedCompletion { completion: checked, outcome: Outcome::Handler }),
                    result: Some(AttemptResult::Ok),
                    error: None,
                    empty_values,
                },
                // The same handler would build the same again.
                Err(error) => context.fall_back(
                    Some(AttemptResult::Fail),
                    FallbackReason::InvalidCompletion,
                    error.to_string(),
                ),
            }
        }
        AttemptOutcome::Returned(Err(error)) => match error.when_to_retry() {
            None => context.fall_back(Some(AttemptResult::Fail), FallbackReason::Failed, error.to_string()),
            Some(Retry::WithBackoff) => context.retry(AttemptResult::Retry, context.backoff(), error.to_string()),
            Some(Retry::After(delay)) => context.retry(AttemptResult::Retry, delay, error.to_string()),
        },
        AttemptOutcome::Panicked(message) => {
            context.retry(AttemptResult::Panic, context.backoff(), format!("the handler panicked: {message}"))
        }
        AttemptOutcome::TimedOut => {
            let limit = if context.now >= context.answer_by { "handlers.NAME.answer_within" } else { "handlers.NAME.attempt_timeout" };
            context.retry(AttemptResult::Timeout, context.backoff(), format!("the handler took longer than {limit}"))
        }
        AttemptOutcome::Interrupted => {
            Decision { next: AfterHandler::HandBack, result: None, error: None, empty_values: Vec::new() }
        }
        AttemptOutcome::Overdue => context.fall_back(
            None,
            FallbackReason::Overdue,
            "no worker came to it within handlers.NAME.answer_within: raise workers.concurrency, or find what is slow"
                .to_owned(),
        ),
        AttemptOutcome::Crashed(times) => context.fall_back(
            None,
            FallbackReason::Crashed,
            format!("the process ended {times} times in a row while the handler ran; it is not run again"),
        ),
        AttemptOutcome::NoHandler => {
            context.fall_back(None, FallbackReason::NoHandler, "no handler of that name is registered".to_owned())
        }
    }
}

impl DecisionContext<'_> {
    fn backoff(&self) -> Duration {
        self.policy.backoff().delay(self.attempts, self.jitter)
    }

    fn retry(&self, result: AttemptResult, delay: Duration, error: String) -> Decision {
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
        Decision {
            next: AfterHandler::Retry { due_at },
            result: Some(result),
            error: Some(error),
            empty_values: Vec::new(),
        }
    }

    fn fall_back(&self, result: Option<AttemptResult>, reason: FallbackReason, error: String) -> Decision {
        let completion: CheckedCompletion = self.policy.fallback.clone();
        Decision {
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
