//! Checkpoints: copies the write-ahead log into the database, beside the commits.

use std::time::Duration;

use sqlx::{Row, SqliteConnection};

use crate::commit::message::Message;
use crate::lock::lock;
use crate::sqlite::engine::Engine;
use crate::sqlite::file::log;
use crate::sqlite::file::room::room;

/// The time from a change to its checkpoint, so also the shortest time between two checkpoints. Commits wait for the disk
/// while a checkpoint syncs, so each one must be small.
const CHECKPOINT_DELAY: Duration = Duration::from_millis(50);
/// The time until a checkpoint is repeated that a reader or an error has kept from copying everything.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// The longest time between two checkpoints, because other processes write to the log too.
const MAX_INTERVAL: Duration = Duration::from_secs(5);

/// What a checkpoint has left in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckpointOutcome {
    /// Nothing.
    Complete,
    /// Pages to copy, or a log to restart.
    Incomplete,
}

/// When the next checkpoint is due, by the clock's elapsed time.
#[derive(Debug)]
pub(super) struct CheckpointTimer {
    due_at: Duration,
}

impl CheckpointTimer {
    /// Creates a timer for the log of an earlier process.
    pub(super) const fn new(now: Duration) -> Self {
        Self { due_at: now }
    }

    /// The moment of the next checkpoint, unless a change comes first.
    pub(super) const fn due_at(&self) -> Duration {
        self.due_at
    }

    /// Whether a change would make the next checkpoint due earlier.
    pub(super) fn awaits_changes(&self, now: Duration) -> bool {
        self.due_at > now + CHECKPOINT_DELAY
    }

    /// Takes a change into account.
    pub(super) fn changed(&mut self, now: Duration) {
        self.due_at = self.due_at.min(now + CHECKPOINT_DELAY);
    }

    /// Takes a checkpoint into account.
    pub(super) fn ended(&mut self, now: Duration, outcome: CheckpointOutcome) {
        self.due_at = now
            + match outcome {
                CheckpointOutcome::Complete => MAX_INTERVAL,
                CheckpointOutcome::Incomplete => RETRY_DELAY,
            };
    }
}

/// The connection for checkpoints, borrowed from the store. It is returned even if maintenance panics or is aborted, so
/// that maintenance can run again.
pub(super) struct Checkpoints<'a> {
    store: &'a Engine,
    borrowed: Option<SqliteConnection>,
}

impl<'a> Checkpoints<'a> {
    /// Borrows the connection; `None` if the store is closed or maintenance is already running.
    pub(super) fn take(store: &'a Engine) -> Option<Self> {
        lock(&store.checkpoints).take().map(|connection| Self { store, borrowed: Some(connection) })
    }
}

impl Drop for Checkpoints<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.borrowed.take() {
            lock(&self.store.checkpoints).replace(connection);
        }
    }
}

impl Engine {
    /// Runs a passive checkpoint, which blocks no one. Under continuous load it cannot restart the log, so the writer
    /// does that.
    pub(super) async fn checkpoint(&self, connection: &mut Checkpoints<'_>) -> CheckpointOutcome {
        let Some(connection) = &mut connection.borrowed else { return CheckpointOutcome::Complete };
        let started_at = self.clock().elapsed();
        let checkpointed = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(connection).await;
        metrics::histogram!("bridge_checkpoint_seconds")
            .record(self.clock().elapsed().saturating_sub(started_at).as_secs_f64());
        match checkpointed {
            Ok(row) => {
                let pages = |column: usize| row.try_get(column).unwrap_or_default();
                let (logged, copied): (i64, i64) = (pages(1), pages(2));
                let room = self.file.as_ref().and_then(|file| room(file.path()));
                let step = log::decide(logged, copied, self.log_bytes(), room);
                if let Some(step) = step {
                    // If the writer is gone, closing the store checkpoints the log.
                    let _gone = self.operations.send(Message::Between(step)).await;
                }
                if logged == copied && step.is_none() {
                    CheckpointOutcome::Complete
                } else {
                    CheckpointOutcome::Incomplete
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the checkpoint failed; the next one follows shortly");
                CheckpointOutcome::Incomplete
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_follows_soon_after_a_change_and_rarely_without_one() {
        let ms = Duration::from_millis;
        let mut timer = CheckpointTimer::new(ms(7));
        assert_eq!(timer.due_at(), ms(7), "an earlier process may have left a log");
        for (now, outcome, change_at, due_at) in [
            (10, CheckpointOutcome::Complete, None, 5_010),
            (5_010, CheckpointOutcome::Complete, Some(6_000), 6_050),
            // Under load, the next change is already there when a checkpoint ends.
            (6_060, CheckpointOutcome::Complete, Some(6_060), 6_110),
            (6_110, CheckpointOutcome::Incomplete, None, 7_110),
            (7_110, CheckpointOutcome::Incomplete, Some(7_200), 7_250),
            (7_250, CheckpointOutcome::Incomplete, Some(8_230), 8_250),
        ] {
            timer.ended(ms(now), outcome);
            assert!(timer.awaits_changes(ms(now)), "{now}");
            if let Some(at) = change_at {
                timer.changed(ms(at));
                assert!(!timer.awaits_changes(ms(at)), "{now}: more changes do not matter");
            }
            assert_eq!(timer.due_at(), ms(due_at), "{now}");
        }
    }
}
