//! Reads the running totals every five seconds, and saves the history every minute.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::meters::{Totals, TotalsSnapshot};
use model::clock::Clock;
use model::{Timestamp, whole_millis};
use store::{Store, StoreError};

use super::point::Point;
use super::{History, SAMPLE_INTERVAL};

/// Samples between two saves.
const SAVE_SAMPLES: u32 = 12;
/// Reading what waits may take up to this share of the time: one part in twenty.
const MAX_READING_SHARE: u32 = 20;

/// Where the numbers come from.
#[derive(Clone)]
pub struct HistorySources {
    /// The running totals.
    pub totals: Totals,
    /// The jobs, and where the history is saved.
    pub store: Store,
    /// The time.
    pub clock: Clock,
}

/// What waits in the store.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    unfinished: u64,
    /// Since when the oldest job waits for a worker, by the calendar.
    oldest_queued: Option<Timestamp>,
    /// Since when the oldest delivery waits, by the steady clock.
    oldest_undelivered: Option<Timestamp>,
}

/// Adds to `history` until `stop`, and saves it. It can be called again after a panic.
pub async fn run(history: History, sources: HistorySources, stop: CancellationToken) {
    let mut sampler = Sampler::new(history.clone(), sources.clone());
    let mut samples = 0;
    while stop.run_until_cancelled(sources.clock.sleep(until_sample(sources.clock.now()))).await.is_some() {
        sampler.sample().await;
        samples += 1;
        if samples % SAVE_SAMPLES == 0 {
            save(&history, &sources.store).await;
        }
    }
    sampler.sample().await;
    save(&history, &sources.store).await;
}

async fn save(history: &History, store: &Store) {
    if let Err(error) = history.save(store).await {
        tracing::debug!(%error, "saving the history failed; it is retried in a minute");
    }
}

/// The time until the next sample: until a period of the calendar ends.
fn until_sample(now: Timestamp) -> Duration {
    let interval = i64::try_from(whole_millis(SAMPLE_INTERVAL)).unwrap_or(i64::MAX);
    let into = now.as_millis().rem_euclid(interval);
    Duration::from_millis(u64::try_from(interval - into).unwrap_or(1))
}

/// Takes the samples.
pub(super) struct Sampler {
    history: History,
    sources: HistorySources,
    before: TotalsSnapshot,
    waiting: Waiting,
    /// When what waits may be read again, in elapsed time.
    read_from: Duration,
}

impl Sampler {
    /// Creates a sampler whose first sample begins now.
    pub(super) fn new(history: History, sources: HistorySources) -> Self {
        let before = sources.totals.snapshot();
        Self { history, sources, before, waiting: Waiting::default(), read_from: Duration::ZERO }
    }

    /// Adds what has happened since the last sample.
    pub(super) async fn sample(&mut self) {
        let HistorySources { totals, store, clock } = self.sources.clone();
        let started_at = clock.elapsed();
        if started_at >= self.read_from {
            match read(&store).await {
                Ok(waiting) => self.waiting = waiting,
                Err(error) => {
                    tracing::debug!(%error, "reading what waits failed; the charts repeat the last numbers")
                }
            }
            let took = clock.elapsed().saturating_sub(started_at);
            self.read_from = next_read(clock.elapsed(), took);
            self.history.set_oldest_undelivered(self.waiting.oldest_undelivered);
        }
        let after = totals.snapshot();
        let point = point(&self.before, &after, self.waiting, &clock);
        self.history.add(clock.now(), &point);
        self.before = after;
    }
}

async fn read(store: &Store) -> Result<Waiting, StoreError> {
    let stats = store.jobs().stats().await?;
    Ok(Waiting {
        unfinished: stats.unfinished(),
        oldest_queued: stats.oldest_queued,
        oldest_undelivered: store.jobs().oldest_undelivered().await?,
    })
}

/// When to read again after a read that `took` this long, so that reading takes a small share of the time.
fn next_read(now: Duration, took: Duration) -> Duration {
    now + took.saturating_mul(MAX_READING_SHARE)
}

fn point(before: &TotalsSnapshot, after: &TotalsSnapshot, waiting: Waiting, clock: &Clock) -> Point {
    let queued = waiting.oldest_queued.map(|since| clock.now().since(since));
    let undelivered = waiting.oldest_undelivered.map(|since| clock.steady().since(since));
    let oldest = queued.max(undelivered).unwrap_or_default();
    Point {
        requests: grown(before.requests, after.requests),
        by_handler: grown(before.by_handler, after.by_handler),
        by_fallback: grown(before.by_fallback, after.by_fallback),
        dead: grown(before.dead, after.dead),
        oldest_waiting_ms: bounded(whole_millis(oldest)),
        unfinished: bounded(waiting.unfinished),
        times: after.times_since(before),
    }
}

fn grown(before: u64, after: u64) -> u32 {
    bounded(after.saturating_sub(before))
}

fn bounded(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_end_with_a_period_of_the_calendar() {
        for (now, expected) in
            [(0, 5_000), (1, 4_999), (4_999, 1), (5_000, 5_000), (1_700_000_003_200, 1_800), (-1, 1)]
        {
            let wait = until_sample(Timestamp::from_millis(now));
            assert_eq!(wait, Duration::from_millis(expected), "{now}");
        }
    }

    #[test]
    fn a_slow_read_is_repeated_less_often() {
        let second = Duration::from_secs(1);
        assert_eq!(next_read(100 * second, Duration::ZERO), 100 * second);
        assert_eq!(next_read(100 * second, 3 * second), 160 * second);
    }
}
