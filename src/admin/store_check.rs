//! The check of the store's integrity that a page starts: one at a time, in the background, and its result in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::clock::Clock;
use model::{Timestamp, whole_millis};
use store::StoreUrl;
use store::outside::{self, Checked};

use crate::health::{Health, Phase};

/// The check. Clones share it.
#[derive(Clone, Default)]
pub(super) struct StoreCheck(Arc<Mutex<CheckState>>);

/// How far the check is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum CheckState {
    /// None was started since the start of the bridge.
    #[default]
    Never,
    /// It has run since then.
    Running(Timestamp),
    /// It ended.
    Ended {
        at: Timestamp,
        took: Duration,
        /// What it found; the error says why that is unknown.
        found: Result<Checked, String>,
    },
}

impl StoreCheck {
    /// How far it is.
    pub(super) fn state(&self) -> CheckState {
        self.lock().clone()
    }

    /// Starts it, unless it runs. It ends early if the bridge stops.
    pub(super) fn start(&self, url: StoreUrl, clock: Clock, health: Health, by: &str) {
        let begun = clock.now();
        {
            let mut state = self.lock();
            if matches!(*state, CheckState::Running(_)) {
                return;
            }
            *state = CheckState::Running(begun);
        }
        tracing::info!(by, "check of the store started by operator");
        let this = self.clone();
        tokio::spawn(async move {
            let started = clock.elapsed();
            let stop = move || health.phase() == Phase::Draining;
            let found = outside::check_until(&url, stop).await.map_err(|error| error.to_string());
            let took = clock.elapsed().saturating_sub(started);
            let problems = found.as_ref().map_or(0, |found| found.problems.len());
            let took_ms = whole_millis(took);
            match &found {
                Ok(_) => tracing::info!(problems, took_ms, "the check of the store ended"),
                Err(error) => tracing::warn!(error, took_ms, "the check of the store failed"),
            }
            *this.lock() = CheckState::Ended { at: clock.now(), took, found };
        });
    }

    fn lock(&self) -> MutexGuard<'_, CheckState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
