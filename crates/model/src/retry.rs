//! Retry policies: how often, and when.

use std::time::Duration;

use super::{CheckedCompletion, JobOrdering, Step, Timestamp};

/// The minimum time between the start of a handler's last attempt and the end of its time to answer.
pub const LAST_ATTEMPT_MARGIN: Duration = Duration::from_secs(1);

/// Exponential backoff with jitter: each delay is a random part of a ceiling, which starts at `base` and doubles up to
/// `cap`.
///
/// Jitter spreads the retries of jobs that failed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The ceiling of the first delay.
    pub base: Duration,
    /// The highest ceiling.
    pub cap: Duration,
    /// The random part of a delay.
    pub jitter: Jitter,
}

/// The random part of a delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// The whole delay is random. This spreads retries most, but a delay may be near zero, so it suits an unlimited number
    /// of retries.
    Full,
    /// Half of the delay is random and half is fixed, so that a limited number of attempts covers a minimum time.
    Equal,
}

impl Backoff {
    /// The backoff of deliveries: 500 ms, doubling up to 60 s, with full jitter.
    pub const STANDARD: Self =
        Self { base: Duration::from_millis(500), cap: Duration::from_secs(60), jitter: Jitter::Full };

    /// The longest delay after `failures` failures in a row, counted from 1.
    pub fn ceiling(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// The delay after `failures` failures in a row; `jitter` is a uniform random number from 0 to 1.
    pub fn delay(self, failures: u32, jitter: f64) -> Duration {
        let random = jitter.clamp(0.0, 1.0);
        let part = match self.jitter {
            Jitter::Full => random,
            Jitter::Equal => 0.5 + random / 2.0,
        };
        self.ceiling(failures).mul_f64(part)
    }
}

/// The retry policy of one handler's jobs, and the bot's answer if they fail: `handlers.NAME` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct HandlerPolicy {
    /// The maximum number of attempts before the bot gets the fallback; at least 1.
    pub max_attempts: u32,
    /// The maximum duration of one attempt.
    pub attempt_timeout: Duration,
    /// The time from receipt until the bot gets the fallback, even if the handler still runs.
    pub answer_within: Duration,
    /// The completion for the bot if the handler has no answer.
    pub fallback: CheckedCompletion,
    /// The step to add to a completion without instructions, if Kommo requires one (400 `TooFew`).
    pub goto: Option<Step>,
    /// In which order the handler's jobs run.
    pub ordering: JobOrdering,
}

impl HandlerPolicy {
    /// The delays between attempts: 500 ms, doubling up to 8 s or a sixth of `answer_within`, whichever is longer, with
    /// equal jitter. With the defaults, the attempts cover at least 24 s, so an outage of 20 s costs no answer.
    pub fn backoff(&self) -> Backoff {
        Backoff {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(8).max(self.answer_within / 6),
            jitter: Jitter::Equal,
        }
    }
}

impl Default for HandlerPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 10,
            attempt_timeout: Duration::from_secs(30),
            answer_within: Duration::from_secs(50),
            fallback: CheckedCompletion::failed(),
            goto: None,
            ordering: JobOrdering::None,
        }
    }
}

/// The start of the next attempt: `delay` after `now`, but at the latest [`LAST_ATTEMPT_MARGIN`] before `answer_by`, so
/// that the attempt can still answer. `None` if it is too late for another attempt.
pub fn next_attempt(now: Timestamp, delay: Duration, answer_by: Timestamp) -> Option<Timestamp> {
    let last = answer_by - LAST_ATTEMPT_MARGIN;
    (now < last).then(|| last.min(now + delay))
}

#[cfg(test)]
mod tests;
