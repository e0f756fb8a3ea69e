//! The intervals of maintenance, and what it logs.

use std::time::Duration;

use model::clock::Jump;

use crate::StoreError;

/// The interval of maintenance. The log of a jump of the clock is this late at most.
pub(crate) const TICK_INTERVAL: Duration = Duration::from_secs(1);
/// Ticks between polls of leases and lanes, the fallback for missed wake-ups.
pub(crate) const POLL_TICKS: u64 = 5;
/// Ticks between deletions.
pub(crate) const DELETE_TICKS: u64 = 60;

/// Logs that the calendar has jumped.
pub(crate) fn log_jump(jump: &Jump) {
    let (by, direction) = match jump {
        Jump::Forward(by) => (by, "forward"),
        Jump::Back(by) => (by, "back"),
    };
    let by_seconds = by.as_secs();
    tracing::warn!(
        by_seconds,
        direction,
        "the machine's clock was set, or the machine slept; schedules and time budgets follow the elapsed time"
    );
}

/// The failures of one tick.
#[derive(Default)]
pub(crate) struct Failed {
    first: Option<StoreError>,
    steps: usize,
}

impl Failed {
    /// Returns the result of a step, or records its failure.
    pub(crate) fn note<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        let error = match result {
            Ok(done) => return Some(done),
            Err(error) => error,
        };
        self.steps += 1;
        self.first.get_or_insert(error);
        None
    }

    /// Logs the first failure, if there was one.
    pub(crate) fn log(self) {
        if let Some(error) = self.first {
            tracing::warn!(%error, steps = self.steps, "maintenance of the store failed; it is retried");
        }
    }
}
