//! When to try again, and how often.

use std::time::Duration;

use super::{CheckedCompletion, Step, Timestamp};

/// The last attempt of a handler begins this long before its time to answer ends.
pub const LAST_ATTEMPT_MARGIN: Duration = Duration::from_secs(1);

/// Exponential backoff with jitter: the n-th delay is a random part of `base * 2^n`, at most `cap`.
///
/// Jitter spreads the retries of jobs that failed together, so that they do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first delay.
    pub base: Duration,
    /// The longest delay of all.
    pub cap: Duration,
    /// Which part of a delay is random.
    pub jitter: Jitter,
}

/// Which part of a delay is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// All of it: spreads widest, where there is no end to the retries that a delay of nothing could use up.
    Full,
    /// Half of it: the other half is sure, so that a number of attempts covers a known time at least.
    Equal,
}

impl Backoff {
    /// What deliveries use: 500 ms, doubling, up to 60 s, with full jitter.
    pub const STANDARD: Self =
        Self { base: Duration::from_millis(500), cap: Duration::from_secs(60), jitter: Jitter::Full };

    /// The longest delay after `failures` failures in a row (1 is the first).
    pub fn ceiling(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// The delay after `failures` failures in a row; `jitter` is uniform in 0 to 1.
    pub fn delay(self, failures: u32, jitter: f64) -> Duration {
        let random = jitter.clamp(0.0, 1.0);
        let part = match self.jitter {
            Jitter::Full => random,
            Jitter::Equal => 0.5 + random / 2.0,
        };
        self.ceiling(failures).mul_f64(part)
    }
}

/// How the jobs of one handler are tried, and what its bot gets if they fail: `handlers.NAME` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct HandlerPolicy {
    /// Handler attempts before the fallback goes out; at least 1.
    pub max_attempts: u32,
    /// The longest that one attempt may take.
    pub attempt_timeout: Duration,
    /// From receipt; then the fallback goes out, whatever the handler does.
    pub answer_within: Duration,
    /// What the bot gets when the handler has no answer.
    pub fallback: CheckedCompletion,
    /// Sent along with data if Kommo insists on a handler (400 `TooFew`).
    pub goto: Option<Step>,
}

impl HandlerPolicy {
    /// The delays between attempts: from 500 ms, doubling, up to 8 s or a sixth of `answer_within`, whichever is longer, with
    /// equal jitter. At the defaults the attempts cover at least 24 s, so that an outage of 20 s costs no answer.
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
        }
    }
}

/// When the next attempt begins: `delay` after `now`, but [`LAST_ATTEMPT_MARGIN`] before `answer_by` at the latest, so that it
/// can still answer. `None` if that moment is over, because another attempt would be too late.
pub fn next_attempt(now: Timestamp, delay: Duration, answer_by: Timestamp) -> Option<Timestamp> {
    let last = answer_by - LAST_ATTEMPT_MARGIN;
    (now < last).then(|| last.min(now + delay))
}

#[cfg(test)]
mod tests;
