//! Limits log lines that can occur in any number: the first few are logged one by one, the rest as a sum.
//!
//! Anyone can send requests that are refused, and a backend that is down fails every job. One line for each would fill
//! the disk and hide the lines that matter. So in every [`INTERVAL`], only the first [`MAX_LINES_PER_INTERVAL`] lines of
//! each kind are logged, and at its end a line says how many more there were. Kinds are counted separately.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::clock::Clock;

/// The maximum number of lines of one kind that are logged in an interval.
const MAX_LINES_PER_INTERVAL: u64 = 10;
/// The length of an interval, which begins with its first line.
const INTERVAL: Duration = Duration::from_secs(10);

/// Decides which lines may be logged, by kind `K`. Cheap to clone; clones share their counts.
pub struct LogLimiter<K = &'static str>(Arc<Inner<K>>);

impl<K> Clone for LogLimiter<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Logs how many lines of a kind were suppressed.
type LogSum<K> = Box<dyn Fn(&K, u64) + Send + Sync>;

struct Inner<K> {
    log_sum: LogSum<K>,
    clock: Clock,
    kinds: Mutex<HashMap<K, Count>>,
}

#[derive(Clone, Copy)]
struct Count {
    seen: u64,
    /// By the monotonic clock.
    until: Duration,
}

impl LogLimiter {
    /// Creates a limiter whose sums begin with `what`.
    pub fn new(what: &'static str, clock: Clock) -> Self {
        Self::with_sum(clock, move |kind, suppressed| {
            tracing::warn!(kind, suppressed, "{what}: further lines were suppressed");
        })
    }
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> LogLimiter<K> {
    /// Creates a limiter that calls `log_sum` with a kind and the number of its suppressed lines.
    pub fn with_sum(clock: Clock, log_sum: impl Fn(&K, u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { log_sum: Box::new(log_sum), clock, kinds: Mutex::default() }))
    }

    /// Returns whether a line of this kind may be logged. Counts a line that may not; a sum follows within [`INTERVAL`].
    /// Keep the number of kinds small, and never derive a kind from untrusted input.
    ///
    /// # Panics
    /// If called outside a Tokio runtime, where nothing can wait for the end of the interval.
    pub fn allows(&self, kind: K) -> bool {
        let now = self.0.clock.elapsed();
        let mut kinds = self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Count { seen: 0, until: now + INTERVAL };
        let count = kinds.entry(kind.clone()).or_insert(fresh);
        // If lines were suppressed, only the task that logs their sum may begin a new interval.
        if count.until <= now && count.seen <= MAX_LINES_PER_INTERVAL {
            *count = fresh;
        }
        count.seen += 1;
        if count.seen == MAX_LINES_PER_INTERVAL + 1 {
            tokio::spawn(self.clone().sum_up(kind, count.until));
        }
        count.seen <= MAX_LINES_PER_INTERVAL
    }

    async fn sum_up(self, kind: K, until: Duration) {
        self.0.clock.sleep_until(until).await;
        let count = self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner).remove(&kind);
        (self.0.log_sum)(&kind, count.map_or(0, |count| count.seen.saturating_sub(MAX_LINES_PER_INTERVAL)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;
    use model::clock::ManualClock;

    #[tokio::test]
    async fn first_lines_of_each_kind_are_allowed_and_the_rest_are_not() {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let limiter = LogLimiter::new("a test", clock.clock());
        let allowed = |kind| (0..100).filter(|_| limiter.allows(kind)).count();
        assert_eq!((allowed("one"), allowed("one"), allowed("two")), (10, 0, 10));
        tokio::task::yield_now().await;
        clock.advance(INTERVAL);
        while limiter.0.kinds.lock().unwrap().contains_key("one") {
            tokio::task::yield_now().await;
        }
        assert_eq!(allowed("one"), 10, "a new interval");
    }

    #[tokio::test]
    async fn lines_within_the_limit_are_all_allowed_for_any_number_of_intervals() {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let limiter = LogLimiter::new("a test", clock.clock());
        for _ in 0..100 {
            assert!((0..10).all(|_| limiter.allows("one")));
            clock.advance(INTERVAL);
        }
    }
}
