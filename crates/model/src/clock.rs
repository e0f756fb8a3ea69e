//! The clock.
//!
//! All code that needs the time takes a [`Clock`] as an argument, so a test controls the time. A [`ManualClock`] moves only
//! when the test advances it, and then wakes its sleepers.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::Timestamp;

mod calendar;

pub use calendar::{CalendarWatch, Jump, MIN_JUMP};

/// Returns the time, and sleeps until a time. Cheap to clone; clones share one time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { started: Instant, calendar: Timestamp },
    Manual(ManualClock),
}

impl Clock {
    /// The machine's clock.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    pub fn system() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(Source::System { started: Instant::now(), calendar: Timestamp::default() + since_epoch })
    }

    /// The calendar time, for people and tokens. It jumps if someone sets the machine's clock.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { .. } => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::default() + since_epoch
            }
            Source::Manual(manual) => manual.now(),
        }
    }

    /// The time since a fixed but arbitrary moment, for measuring and pacing. It never jumps or goes back.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Source::System { started, .. } => started.elapsed(),
            Source::Manual(manual) => manual.now.borrow().elapsed,
        }
    }

    /// The calendar time at which this clock was created, plus the time elapsed since. Unlike [`now`](Self::now), it does
    /// not jump. For schedules, time budgets and leases, which must not change if someone sets the machine's clock.
    pub fn steady(&self) -> Timestamp {
        match &self.0 {
            Source::System { started, calendar } => *calendar + started.elapsed(),
            Source::Manual(manual) => {
                let now = manual.now.borrow();
                now.started + now.elapsed
            }
        }
    }

    /// Converts `moment` from [`steady`](Self::steady) time to calendar time, to show a scheduled moment to people. The
    /// result is wrong if someone sets the machine's clock before then.
    pub fn calendar_at(&self, moment: Timestamp) -> Timestamp {
        let (calendar, steady) = (self.now(), self.steady());
        if moment < steady { calendar - steady.since(moment) } else { calendar + moment.since(steady) }
    }

    /// Sleeps for `span`.
    pub async fn sleep(&self, span: Duration) {
        self.sleep_until(self.elapsed().saturating_add(span)).await;
    }

    /// Sleeps until [`elapsed`](Self::elapsed) reaches `moment`.
    pub async fn sleep_until(&self, moment: Duration) {
        match &self.0 {
            Source::System { started, .. } => {
                tokio::time::sleep(moment.saturating_sub(started.elapsed())).await;
            }
            Source::Manual(manual) => manual.reach(moment).await,
        }
    }
}

/// A clock that does not move until a test advances it.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Arc<watch::Sender<Shown>>,
}

#[derive(Clone, Copy, Debug)]
struct Shown {
    /// The steady time at which `elapsed` is zero.
    started: Timestamp,
    calendar: Timestamp,
    elapsed: Duration,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        let shown = Shown { started: now, calendar: now, elapsed: Duration::ZERO };
        Self { now: Arc::new(watch::Sender::new(shown)) }
    }

    /// The calendar time that the clock shows.
    pub fn now(&self) -> Timestamp {
        self.now.borrow().calendar
    }

    /// Advances the clock by `span` and wakes the sleepers that are due.
    pub fn advance(&self, span: Duration) {
        self.now.send_modify(|now| {
            now.calendar = now.calendar + span;
            now.elapsed = now.elapsed.saturating_add(span);
        });
    }

    /// Sets the calendar, as a person or a time server does. No time passes, and no sleeper wakes.
    pub fn set(&self, calendar: Timestamp) {
        self.now.send_modify(|now| now.calendar = calendar);
    }

    /// Sets the calendar and restarts the steady clock from it, as a new process would.
    pub fn restart(&self, calendar: Timestamp) {
        self.now.send_modify(|now| (now.started, now.calendar) = (calendar - now.elapsed, calendar));
    }

    /// This clock as a [`Clock`].
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(self.clone()))
    }

    async fn reach(&self, moment: Duration) {
        let mut now = self.now.subscribe();
        // `self` owns the sender, so the wait cannot fail.
        let _reached = now.wait_for(|now| now.elapsed >= moment).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn manual_clock_moves_only_when_advanced() {
        let manual = ManualClock::new(Timestamp::from_millis(1_000));
        let clock = manual.clock();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep(Duration::from_secs(60)).await;
                clock.now()
            }
        });
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        manual.advance(Duration::from_secs(61));
        assert_eq!(sleeper.await.unwrap(), Timestamp::from_millis(62_000));
        assert_eq!(clock.elapsed(), Duration::from_secs(61));
    }

    #[test]
    fn only_the_calendar_jumps() {
        let start = Timestamp::from_millis(5_000);
        let manual = ManualClock::new(start);
        let clock = manual.clock();
        manual.set(Timestamp::from_millis(1_000));
        manual.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Timestamp::from_millis(2_000));
        assert_eq!(
            (clock.steady(), clock.elapsed()),
            (start + Duration::from_secs(1), Duration::from_secs(1))
        );
        let at = Timestamp::from_millis;
        assert_eq!((clock.calendar_at(at(6_007)), clock.calendar_at(at(5_999))), (at(2_007), at(1_999)));
    }

    #[tokio::test]
    async fn system_clock_advances() {
        let clock = Clock::system();
        let (now, elapsed) = (clock.now(), clock.elapsed());
        clock.sleep(Duration::from_millis(1)).await;
        assert!(clock.now() >= now && clock.elapsed() > elapsed);
    }
}
