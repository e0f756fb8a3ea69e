//! Limits lines of the log that can come in any number: the first few are logged one by one, the rest as a sum.
//!
//! Anyone can send requests that are refused, and a backend that is down fails every job. A line for each would fill the disk,
//! and hide what matters among them. So of each kind only the first [`MAX_LINES_PER_INTERVAL`] in every [`INTERVAL`] are
//! logged, and at its end how many more there were. One kind takes no lines from another.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::clock::Clock;

/// Lines of one kind that are logged in an interval.
const MAX_LINES_PER_INTERVAL: u64 = 10;
/// How long an interval lasts, from its first line on.
const INTERVAL: Duration = Duration::from_secs(10);

/// Says which lines may be logged, by kinds `K`. Cheap to clone; clones count together.
pub struct LogLimiter<K = &'static str>(Arc<Inner<K>>);

impl<K> Clone for LogLimiter<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Logs how many lines of a kind were left out.
type LogSum<K> = Box<dyn Fn(&K, u64) + Send + Sync>;

struct Inner<K> {
    log_sum: LogSum<K>,
    clock: Clock,
    kinds: Mutex<HashMap<K, Count>>,
}

#[derive(Clone, Copy)]
struct Count {
    seen: u64,
    /// On the clock that never jumps.
    until: Duration,
}

impl LogLimiter {
    /// A limiter whose sums name `what` comes so often.
    pub fn new(what: &'static str, clock: Clock) -> Self {
        Self::with_sum(clock, move |kind, suppressed| {
            tracing::warn!(kind, suppressed, "{what}: further lines were suppressed");
        })
    }
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> LogLimiter<K> {
    /// A limiter that calls `log_sum` with a kind and how many lines of it were not logged.
    pub fn with_sum(clock: Clock, log_sum: impl Fn(&K, u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { log_sum: Box::new(log_sum), clock, kinds: Mutex::default() }))
    }

    /// Whether a line of this kind may be logged. A line that may not is counted, and becomes part of a sum within
    /// [`INTERVAL`]. Keep the kinds few, and let no stranger name one.
    ///
    /// # Panics
    /// Outside a tokio runtime, which waits for the end of the interval.
    pub fn allows(&self, kind: K) -> bool {
        let now = self.0.clock.elapsed();
        let mut kinds = self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Count { seen: 0, until: now + INTERVAL };
        let count = kinds.entry(kind.clone()).or_insert(fresh);
        // Once lines were left out, only the task that logs their sum may begin a new interval.
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
    async fn few_lines_are_all_allowed_for_as_long_as_it_goes_on() {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let limiter = LogLimiter::new("a test", clock.clock());
        for _ in 0..100 {
            assert!((0..10).all(|_| limiter.allows("one")));
            clock.advance(INTERVAL);
        }
    }
}
