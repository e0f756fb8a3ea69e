//! Lines of the log that strangers can cause: told one by one while they are few, and in sum when they are many.
//!
//! Anybody can send requests that are refused. A line for each would let him fill the disk, and hide what matters among
//! them. So of each kind only the first [`LINES`] of every [`INTERVAL`] are told, and at its end how many there were besides. One
//! kind takes no lines from another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;

/// Lines of one kind in an interval.
const LINES: u64 = 10;
/// From the first line on.
const INTERVAL: Duration = Duration::from_secs(10);

/// Says what may be told. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Flood(Arc<Inner>);

struct Inner {
    what: &'static str,
    clock: Clock,
    kinds: Mutex<HashMap<&'static str, Count>>,
}

#[derive(Clone, Copy)]
struct Count {
    seen: u64,
    /// On the clock that never jumps.
    until: Duration,
}

impl Flood {
    /// Nothing was told yet. `what` names in the log what it is that comes so often.
    pub fn new(what: &'static str, clock: Clock) -> Self {
        Self(Arc::new(Inner { what, clock, kinds: Mutex::default() }))
    }

    /// Whether this one may be told. One that may not is counted, and told in sum within [`INTERVAL`]; there has to be a
    /// tokio runtime for that. There should be few kinds, and none that a stranger names.
    pub fn may_tell(&self, kind: &'static str) -> bool {
        let now = self.0.clock.elapsed();
        let mut kinds = self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Count { seen: 0, until: now + INTERVAL };
        let count = kinds.entry(kind).or_insert(fresh);
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

    async fn sum_up(self, kind: &'static str, until: Duration) {
        self.0.clock.sleep_until(until).await;
        let count = self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner).remove(kind);
        let untold = count.map_or(0, |count| count.seen.saturating_sub(LINES));
        let what = self.0.what;
        tracing::warn!(kind, untold, "{what}: there were more than are told one by one");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::model::Timestamp;

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
