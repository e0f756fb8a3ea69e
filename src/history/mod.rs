//! History for charts: the numbers of the last hour, day and two weeks, in memory.
//!
//! Every five seconds the [`sampler`] reads how much the running totals have grown, and adds that to three rings: of 720
//! periods of 5 seconds, 1,440 of a minute, and 1,344 of 15 minutes. Jobs cost nothing for this beyond the totals. Once a
//! minute it writes the changed periods to the store, so that a restart keeps the charts. A period in which no bridge ran
//! is missing.
//!
//! A period takes about 220 bytes, so the full rings take about 0.8 MB.

mod merged;
mod point;
mod ring;
mod sampler;
mod series;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Timestamp;
use store::{HistoryPoint, KeptHistory, Store, StoreError};

pub use merged::MergedPeriod;
pub use sampler::{HistorySources, run};
pub use series::{HistoryView, Series, Window};

use point::Point;
use ring::Ring;
use series::view;

/// How often the totals are read; also the shortest period.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);

/// The history of one bridge. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct History(Arc<Mutex<State>>);

struct State {
    /// From the shortest period to the longest.
    rings: [Ring; 3],
    /// When the oldest job in `delivering` was received, by the steady clock, as last read.
    oldest_undelivered: Option<Timestamp>,
}

impl State {
    /// The ring that covers `window`.
    const fn ring(&self, window: Window) -> &Ring {
        let [fine, middle, coarse] = &self.rings;
        match window {
            Window::FiveMinutes | Window::Hour => fine,
            Window::Day => middle,
            Window::TwoWeeks => coarse,
        }
    }
}

impl Default for History {
    fn default() -> Self {
        let rings = [Ring::new(5, 720), Ring::new(60, 1_440), Ring::new(900, 1_344)];
        Self(Arc::new(Mutex::new(State { rings, oldest_undelivered: None })))
    }
}

impl History {
    /// Loads what an earlier process has saved. Ignores what it cannot read, because charts must not prevent a start.
    pub async fn restore(&self, store: &Store) {
        let saved = match store.maintenance().history().await {
            Ok(saved) => saved,
            Err(error) => {
                tracing::warn!(%error, "reading the history failed; the charts begin now");
                return;
            }
        };
        let mut state = self.state();
        let mut unreadable = 0_usize;
        for HistoryPoint { step_seconds, slot, point } in saved {
            let ring = state.rings.iter_mut().find(|ring| ring.step_seconds() == step_seconds);
            match (ring, serde_json::from_str::<Point>(&point)) {
                (Some(ring), Ok(point)) => ring.restore(slot, point),
                _ => unreadable += 1,
            }
        }
        if unreadable > 0 {
            tracing::warn!(
                periods = unreadable,
                "some periods of the history cannot be read; the charts omit them"
            );
        }
    }

    /// Writes the periods that have changed since the last call.
    ///
    /// # Errors
    /// The store cannot be written. The next call writes them.
    pub async fn save(&self, store: &Store) -> Result<(), StoreError> {
        let (points, kept) = {
            let state = self.state();
            let points: Vec<HistoryPoint> = state.rings.iter().flat_map(unsaved).collect();
            let kept: Vec<KeptHistory> = state.rings.iter().filter_map(kept).collect();
            (points, kept)
        };
        if kept.is_empty() {
            return Ok(());
        }
        store.maintenance().save_history(points, kept.clone()).await?;
        let mut state = self.state();
        for ring in &mut state.rings {
            let kept = kept.iter().find(|kept| kept.step_seconds == ring.step_seconds());
            kept.into_iter().for_each(|kept| ring.saved_until(kept.last));
        }
        Ok(())
    }

    /// The `series` of the last `window`, until `now`.
    pub fn view(&self, window: Window, series: &[Series], now: Timestamp) -> HistoryView {
        view(self.state().ring(window), window, series, now)
    }

    /// The last `window` until `now` in periods of `length`, oldest first.
    pub fn merged(&self, window: Window, length: Duration, now: Timestamp) -> Vec<MergedPeriod> {
        merged::merged(self.state().ring(window), window, length, now)
    }

    /// The last `window` until `now` as a single period.
    pub fn whole(&self, window: Window, now: Timestamp) -> MergedPeriod {
        merged::whole(self.state().ring(window), window, now)
    }

    /// When the oldest job in `delivering` was received, by the steady clock; `None` if there is none. At most a few
    /// seconds old, and up to a minute if reading it takes long.
    pub fn oldest_undelivered(&self) -> Option<Timestamp> {
        self.state().oldest_undelivered
    }

    /// Adds the numbers of the sample that ended `now`, by the calendar.
    fn add(&self, now: Timestamp, point: &Point) {
        // The middle of the sample, because samples do not end exactly at the end of a period.
        let at = now - SAMPLE_INTERVAL / 2;
        self.state().rings.iter_mut().for_each(|ring| ring.add(at, point));
    }

    fn set_oldest_undelivered(&self, oldest: Option<Timestamp>) {
        self.state().oldest_undelivered = oldest;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unsaved(ring: &Ring) -> impl Iterator<Item = HistoryPoint> {
    ring.unsaved().filter_map(|(slot, point)| {
        let point = serde_json::to_string(point).ok()?;
        Some(HistoryPoint { step_seconds: ring.step_seconds(), slot, point })
    })
}

fn kept(ring: &Ring) -> Option<KeptHistory> {
    let (first, last) = ring.kept()?;
    Some(KeptHistory { step_seconds: ring.step_seconds(), first, last })
}
