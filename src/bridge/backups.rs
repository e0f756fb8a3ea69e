//! Scheduled backups: writes one into `store.backup_folder` every `store.backup_every`, and deletes old ones.
//!
//! The newest file in the folder says when the next backup is due, so a restart neither skips one nor writes one more.
//!
//! Metric: the gauge `bridge_backup_last_success_timestamp_seconds`.

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::health::Health;
use model::clock::Clock;
use model::{Timestamp, whole_millis};
use store::{StoreError, backup};

/// The pause after a backup that failed, unless the interval is shorter.
const RETRY_DELAY: Duration = Duration::from_secs(10 * 60);
/// The longest sleep, because the calendar decides when a backup is due, and someone may set it.
const MAX_SLEEP: Duration = Duration::from_secs(60);
/// The name of the task in `/health/ready`, where a failed backup is listed.
pub(crate) const TASK: &str = "backup";

/// Writes the backups of a store.
#[derive(Clone)]
pub(super) struct Backups {
    url: String,
    folder: PathBuf,
    every: Duration,
    keep: usize,
    clock: Clock,
    health: Health,
}

impl Backups {
    /// `None` if no folder is configured.
    pub(super) fn new(config: &Config, clock: Clock, health: Health) -> Option<Self> {
        let config = &config.store;
        Some(Self {
            url: config.url.clone(),
            folder: config.backup_folder.clone()?,
            every: config.backup_every,
            keep: config.backup_keep,
            clock,
            health,
        })
    }

    /// Writes backups until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut not_before = self.clock.elapsed();
        while !stop.is_cancelled() {
            let newest = backup::newest_in(&self.folder, &self.url).ok().flatten();
            note(newest);
            let wait = due_in(newest, self.clock.now(), self.every)
                .max(not_before.saturating_sub(self.clock.elapsed()));
            if !wait.is_zero() {
                let _stopped = stop.run_until_cancelled(self.clock.sleep(wait.min(MAX_SLEEP))).await;
                continue;
            }
            if !self.write(&stop).await {
                not_before = self.clock.elapsed() + RETRY_DELAY.min(self.every);
            }
        }
    }

    /// Writes one backup. Returns whether it succeeded.
    async fn write(&self, stop: &CancellationToken) -> bool {
        let (begun, this, now) = (self.clock.elapsed(), self.clone(), self.clock.now());
        let stopped = stop.clone();
        let written = tokio::task::spawn_blocking(move || {
            let target = backup::name_in(&this.folder, &this.url, now)?;
            let copied = backup::back_up(&this.url, &target, move || stopped.is_cancelled())?;
            backup::keep_newest(&this.folder, &this.url, this.keep)?;
            Ok::<_, StoreError>((target, copied))
        });
        match written.await {
            Ok(Ok((target, copied))) => {
                self.health.task_runs(TASK);
                tracing::info!(
                    backup = %target.display(),
                    jobs = copied.jobs,
                    bytes = copied.bytes,
                    took_ms = whole_millis(self.clock.elapsed().saturating_sub(begun)),
                    "a backup was written and verified"
                );
                return true;
            }
            Ok(Err(_)) if stop.is_cancelled() => tracing::info!("the stop interrupted a backup"),
            Ok(Err(error)) => self.failed(&error),
            Err(error) => self.failed(&error),
        }
        false
    }

    fn failed(&self, error: &dyn std::error::Error) {
        self.health.task_failed(TASK, "the last backup was not written");
        tracing::error!(%error, "a backup failed; it is retried within ten minutes");
    }
}

/// The time until the next backup is due. A backup from the future, after the clock was set back, counts as one from now.
fn due_in(newest: Option<Timestamp>, now: Timestamp, every: Duration) -> Duration {
    newest.map_or(Duration::ZERO, |newest| every.saturating_sub(now.since(newest)))
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a gauge is a float, and the seconds of this century fit exactly"
)]
fn note(newest: Option<Timestamp>) {
    if let Some(newest) = newest {
        metrics::gauge!("bridge_backup_last_success_timestamp_seconds")
            .set((newest.as_millis() / 1_000) as f64);
    }
}

#[cfg(test)]
mod tests {
    use model::clock::ManualClock;
    use store::{Role, Store};

    use super::*;

    #[test]
    fn the_newest_backup_decides_when_the_next_is_due() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        for (newest, expected) in [
            (None, hours(0)),
            (Some(now), hours(24)),
            (Some(now - hours(23)), hours(1)),
            (Some(now - hours(24)), hours(0)),
            (Some(now - hours(99)), hours(0)),
            (Some(now + hours(99)), hours(24)),
        ] {
            assert_eq!(due_in(newest, now, hours(24)), expected, "{newest:?}");
        }
    }

    #[tokio::test]
    async fn a_backup_is_written_at_once_if_there_is_none_and_a_failure_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("bridge.db").display());
        let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
        let store = Store::open(&url, Role::Owner, clock.clock()).await.unwrap();
        let health = Health::new();
        let backups = Backups {
            url: url.clone(),
            folder: folder.path().join("backups"),
            every: Duration::from_secs(3_600),
            keep: 2,
            clock: clock.clock(),
            health: health.clone(),
        };
        let stop = CancellationToken::new();
        for expected in [1, 2, 2] {
            assert!(backups.write(&stop).await);
            assert_eq!(backup::all_in(&backups.folder, &url).unwrap().len(), expected);
            clock.advance(Duration::from_secs(3_600));
        }
        let blocked = Backups { folder: folder.path().join("bridge.db"), ..backups.clone() };
        assert!(!blocked.write(&stop).await);
        assert!(health.failed_tasks()[0].contains("`backup`"), "{:?}", health.failed_tasks());
        assert!(backups.write(&stop).await);
        assert_eq!(health.failed_tasks(), [""; 0]);
        store.close().await;
    }
}
