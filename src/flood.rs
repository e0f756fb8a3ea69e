//! Limits lines of the log that can come in any number: the first few are logged one by one, the rest as a sum.
//!
//! Anyone can send requests that are refused, and a backend that is down fails every job. A line for each would fill the disk,
//! and hide what matters among them. So of each kind only the first [`LINES`] in every [`INTERVAL`] are logged, and at its end
//! how many more there were. One kind takes no lines from another.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::clock::Clock;

/// Lines of one kind in an interval.
const LINES: u64 = 10;
/// From the first line on.
const INTERVAL: Duration = Duration::from_secs(10);

/// Says which lines may be logged, by kinds `K`. Cheap to clone; clones count together.
pub struct Flood<K = &'static str>(Arc<Inner<K>>);

impl<K> Clone for Flood<K> {
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

impl Flood {
    /// A limiter whose sums name `what` comes so often.
    pub fn new(what: &'static str, clock: Clock) -> Self {
        Self::with_sum(clock, move |kind, suppressed| {
            tracing::warn!(kind, suppressed, "{what}: further lines were suppressed");
        })
    }
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> Flood<K> {
    /// A limiter that calls `log_sum` with a kind and how many lines of it were not logged.
    pub fn with_sum(clock: Clock, log_sum: impl Fn(&K, u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { log_sum: Box::new(log_sum), clock, kinds: Mutex::default() }))
    }

    /// Whether this line may be logged. One that may not is counted, and part of a sum within [`INTERVAL`]. There should be
    /// few kinds, and none that a stranger names.
    ///
    /// # Panics
    /// Outside a tokio runtime, which waits for the end of the interval.
    pub fn may_tell(&self, kind: K) -> bool {
        let now = self.0.clock.elapsed();
        let mut kinds = self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Count { seen: 0, until: now + INTERVAL };
        let count = kinds.entry(kind.clone()).or_insert(fresh);
        // What was not told is told by the task that waits for the end of the interval, which begins a new one.
        if count.until <= now && count.seen <= LINES {
            *count = fresh;
        }
        count.seen += 1;
        if count.seen == LINES + 1 {
            tokio::spawn(self.clone().sum_up(kind, count.until));
        }
        count.seen <= LINES
    }

    async fn sum_up(self, kind: K, until: Duration) {
        self.0.clock.sleep_until(until).await;
        let count = self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner).remove(&kind);
        (self.0.log_sum)(&kind, count.map_or(0, |count| count.seen.saturating_sub(LINES)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;
    use model::clock::ManualClock;

    #[tokio::test]
    async fn of_many_the_first_are_told_and_each_kind_has_its_own() {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let flood = Flood::new("a test", clock.clock());
        let told = |kind| (0..100).filter(|_| flood.may_tell(kind)).count();
        assert_eq!((told("one"), told("one"), told("two")), (10, 0, 10));
        tokio::task::yield_now().await;
        clock.advance(INTERVAL);
        while flood.0.kinds.lock().unwrap().contains_key("one") {
            tokio::task::yield_now().await;
        }
        assert_eq!(told("one"), 10, "a new interval");
    }

    #[tokio::test]
    async fn few_are_all_told_however_long_it_goes_on() {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let flood = Flood::new("a test", clock.clock());
        for _ in 0..100 {
            assert!((0..10).all(|_| flood.may_tell("one")));
            clock.advance(INTERVAL);
        }
    }
}
