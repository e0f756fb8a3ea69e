//! Decides what follows an attempt of a handler. A pure table.

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
    /// `attempt_timeout` or the job's time to answer ran out.
    TimedOut,
    /// The bridge is stopping and no longer waits.
    Interrupted,
    /// The job's time to answer ended before a worker was free.
    Overdue,
    /// The process died this many times in a row while the job ran.
    Crashed(u32),
    /// No handler of that name is registered.
    NoHandler,
}

/// The input of the decision, besides the outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct DecisionContext<'a> {
    pub(super) policy: &'a HandlerPolicy,
    /// Charged attempts, including this one.
    pub(super) attempts: u32,
    /// By the steady clock, like `answer_by`.
    pub(super) now: Timestamp,
    pub(super) answer_by: Timestamp,
    /// Uniformly distributed between 0 and 1.
    pub(super) jitter: f64,
}

/// What follows the attempt.
#[derive(Debug, PartialEq)]
pub(super) struct Decision {
    pub(super) next: AfterHandler,
    /// The result for the history; `None` if the attempt is not charged to the job.
    pub(super) result: Option<AttemptResult>,
    pub(super) error: Option<String>,
    /// Keys with an empty value, for which the bot would show the placeholder.
    pub(super) empty_values: Vec<String>,
}

/// Decides what follows an attempt that ended with `outcome`.
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
                // Another attempt would build the same completion.
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
            "no worker was free within handlers.NAME.answer_within: raise workers.concurrency, or find out what is slow"
                .to_owned(),
        ),
        AttemptOutcome::Crashed(times) => context.fall_back(
            None,
            FallbackReason::Crashed,
            format!("the process died {times} times in a row while the handler ran; the handler is not run again for this job"),
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
        // A customer is waiting: an attempt that begins too late would only delay the fallback.
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
