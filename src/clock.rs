//! The time, as an argument.
//!
//! Everything that asks for the time takes a [`Clock`], so that a test decides what time it is: a
//! [`ManualClock`] stands still until it is moved, and wakes whoever sleeps on it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::model::Timestamp;

/// Tells the time and waits for it. Cheap to clone; clones share one time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { started: Instant },
    Manual(ManualClock),
}

impl Clock {
    /// The machine's clock.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    pub fn system() -> Self {
        Self(Source::System { started: Instant::now() })
    }

    /// The calendar's time. It jumps when somebody sets the machine's clock.
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

    /// The time since some fixed moment. It never jumps and never goes back: for measuring and pacing.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Source::System { started } => started.elapsed(),
            Source::Manual(manual) => manual.now().since(manual.started),
        }
    }

    /// Waits for `span`.
    pub async fn sleep(&self, span: Duration) {
        match &self.0 {
            Source::System { .. } => tokio::time::sleep(span).await,
            Source::Manual(manual) => manual.reach(manual.now() + span).await,
        }
    }
}

/// A clock that stands still until a test moves it.
#[derive(Clone, Debug)]
pub struct ManualClock {
    started: Timestamp,
    now: Arc<watch::Sender<Timestamp>>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { started: now, now: Arc::new(watch::Sender::new(now)) }
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    /// Moves it on and wakes whoever waited for a moment up to then.
    pub fn advance(&self, span: Duration) {
        self.now.send_modify(|now| *now = *now + span);
    }

    /// This clock as a [`Clock`].
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(self.clone()))
    }

    async fn reach(&self, moment: Timestamp) {
        let mut now = self.now.subscribe();
        // The sender lives in `self`, so waiting can only end with the moment.
        let _reached = now.wait_for(|now| *now >= moment).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_moves_only_when_told() {
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

    #[tokio::test]
    async fn the_system_clock_goes_on() {
        let clock = Clock::system();
        let (now, elapsed) = (clock.now(), clock.elapsed());
        clock.sleep(Duration::from_millis(1)).await;
        assert!(clock.now() >= now && clock.elapsed() > elapsed);
    }
}
