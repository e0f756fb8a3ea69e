//! When an attempt began: by the calendar, for people to read, and by the monotonic clock, for measuring.

use std::time::Duration;

use model::Timestamp;
use model::clock::Clock;

/// When an attempt began.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// By the calendar.
    pub at: Timestamp,
    elapsed: Duration,
}

impl Started {
    /// An attempt that begins now.
    pub fn now(clock: &Clock) -> Self {
        Self { at: clock.now(), elapsed: clock.elapsed() }
    }

    /// How long the attempt has taken so far.
    pub fn duration(self, clock: &Clock) -> Duration {
        clock.elapsed().saturating_sub(self.elapsed)
    }
}

#[cfg(test)]
mod tests {
    use model::clock::ManualClock;

    use super::*;

    #[test]
    fn setting_the_calendar_does_not_change_a_duration() {
        let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
        let started = Started::now(&clock.clock());
        clock.set(Timestamp::from_millis(0));
        clock.advance(Duration::from_secs(3));
        assert_eq!(started.duration(&clock.clock()), Duration::from_secs(3));
    }
}
