//! Decides what follows an attempt of a handler. A pure table.

use std::time::Duration;

use crate::handler::{HandlerError, Next, Retry};
use model::{
    AfterHandler, AttemptResult, CheckedCompletion, Completion, FallbackReason, HandlerPolicy, Outcome,
    PreparedCompletion, Timestamp, next_attempt,
};

const OVERDUE: &str = "no attempt could begin within handlers.NAME.answer_within: no worker was free (raise workers.concurrency \
     or handlers.NAME.concurrency, or find out what is slow), or the handler's URL could not be reached";
/// Follows [`OVERDUE`] if the handler's jobs are ordered.
const OVERDUE_IN_LINE: &str =
    ", or earlier jobs of the same conversation took the time (handlers.NAME.ordering)";

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
    /// The handler accepted the job, and reported by a callback that it failed.
    CalledBack(HandlerError),
    /// The handler accepted the job, and did not call back in time.
    NotCalledBack,
    /// No handler of that name is registered.
    NoHandler,
}

impl AttemptOutcome {
    /// Whether it is the outcome of an attempt that is not charged yet, and not of one that the handler accepted before.
    pub(super) const fn is_new_attempt(&self) -> bool {
        !matches!(self, Self::CalledBack(_) | Self::NotCalledBack)
    }
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
    /// Whether as many jobs await a callback of the handler as `handlers.NAME.max_awaiting` allows.
    pub(super) many_awaiting: bool,
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
        AttemptOutcome::Returned(Err(error)) => match error.next() {
            Next::Fail => context.fall_back(Some(AttemptResult::Fail), FallbackReason::Failed, error.to_string()),
            Next::Retry(Retry::WithBackoff) => {
                context.retry(AttemptResult::Retry, context.backoff(), error.to_string())
            }
            Next::Retry(Retry::After(delay)) => context.retry(AttemptResult::Retry, delay, error.to_string()),
            Next::AwaitCallback => context.await_callback(),
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
            if context.policy.ordering.is_by_conversation() { format!("{OVERDUE}{OVERDUE_IN_LINE}") } else { OVERDUE.to_owned() },
        ),
        AttemptOutcome::Crashed(times) => context.fall_back(
            None,
            FallbackReason::Crashed,
            format!("the process died {times} times in a row while the handler ran; the handler is not run again for this job"),
        ),
        // The attempt was charged when the handler accepted the job.
        AttemptOutcome::CalledBack(error) => {
            let decision = decide(AttemptOutcome::Returned(Err(error)), context);
            Decision { result: None, ..decision }
        }
        AttemptOutcome::NotCalledBack => context.fall_back(
            None,
            FallbackReason::NoCallback,
            "the handler accepted the job, but did not call back within handlers.NAME.answer_within".to_owned(),
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
        // The error of the last attempt is that of the earlier ones, so that it is in their group. The reason for the fallback
        // says why no other attempt follows.
        if self.attempts >= self.policy.max_attempts {
            return self.fall_back(Some(result), FallbackReason::MaxAttempts, error);
        }
        // A customer is waiting: an attempt that begins too late would only delay the fallback.
        let Some(due_at) = next_attempt(self.now, delay, self.answer_by) else {
            return self.fall_back(Some(result), FallbackReason::AnswerWithin, error);
        };
        Decision {
            next: AfterHandler::Retry { due_at },
            result: Some(result),
            error: Some(error),
            empty_values: Vec::new(),
        }
    }

    fn await_callback(&self) -> Decision {
        if self.many_awaiting {
            let error =
                "the handler accepted the job, but handlers.NAME.max_awaiting jobs already await a callback";
            return self.retry(AttemptResult::Retry, self.backoff(), error.to_owned());
        }
        Decision {
            next: AfterHandler::AwaitCallback,
            result: Some(AttemptResult::Accepted),
            error: None,
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
