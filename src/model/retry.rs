//! When to try again, and how often.

use std::time::Duration;

use super::{CheckedCompletion, Step};

/// Exponential backoff with full jitter: the n-th delay is a random part of `base * 2^n`, at most `cap`.
///
/// Full jitter spreads the retries of jobs that failed together, so that they do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first delay.
    pub base: Duration,
    /// The longest delay of all.
    pub cap: Duration,
}

impl Backoff {
    /// What handlers and deliveries use: 500 ms, doubling, up to 60 s.
    pub const STANDARD: Self = Self { base: Duration::from_millis(500), cap: Duration::from_secs(60) };

    /// The longest delay after `failures` failures in a row (1 is the first).
    pub fn ceiling(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// The delay after `failures` failures in a row; `jitter` is uniform in 0 to 1.
    pub fn delay(self, failures: u32, jitter: f64) -> Duration {
        self.ceiling(failures).mul_f64(jitter.clamp(0.0, 1.0))
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

impl Default for HandlerPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            attempt_timeout: Duration::from_secs(30),
            answer_within: Duration::from_secs(50),
            fallback: CheckedCompletion::failed(),
            goto: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_the_cap() {
        let ceilings: Vec<u128> = (1..=9).map(|n| Backoff::STANDARD.ceiling(n).as_millis()).collect();
        assert_eq!(ceilings, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(Backoff::STANDARD.ceiling(u32::MAX), Duration::from_secs(60));
        assert_eq!(Backoff::STANDARD.ceiling(0), Duration::from_millis(500));
    }

    #[test]
    fn jitter_takes_a_part_of_the_ceiling() {
        assert_eq!(Backoff::STANDARD.delay(3, 0.0), Duration::ZERO);
        assert_eq!(Backoff::STANDARD.delay(3, 0.5), Duration::from_secs(1));
        assert_eq!(Backoff::STANDARD.delay(3, 1.0), Duration::from_secs(2));
        assert_eq!(Backoff::STANDARD.delay(3, 7.0), Duration::from_secs(2));
    }
}
