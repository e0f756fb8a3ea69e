//! Scheduled backups: writes one into `store.backup_folder` every `store.backup_every`, and deletes old ones.
//!
//! The newest file in the folder says when the next backup is due, so a restart neither skips one nor writes one more.
//!
//! Metric: the gauge `bridge_backup_last_success_timestamp_seconds`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::admin::BackupsState;
use crate::config::Config;
use crate::health::Health;
use model::clock::Clock;
use model::{Timestamp, whole_millis};
use store::{ActionKind, ActionResult, Actor, Store, StoreError, StoreUrl, backup};

/// The pause after a backup that failed, unless the interval is shorter.
const RETRY_DELAY: Duration = Duration::from_secs(10 * 60);
/// The longest sleep, because the calendar decides when a backup is due, and someone may set it.
const MAX_SLEEP: Duration = Duration::from_secs(60);
/// The name of the task in `/health/ready`, where a failed backup is listed.
pub(crate) const TASK: &str = "backup";

/// Writes the backups of a store. Clones share what was asked for and how it went.
#[derive(Clone)]
pub(super) struct Backups {
    url: StoreUrl,
    folder: PathBuf,
    every: Duration,
    keep: usize,
    store: Store,
    clock: Clock,
    health: Health,
    asked: Arc<Asked>,
}

/// A request for a backup, and how the last one went.
#[derive(Default)]
struct Asked {
    wake: Notify,
    note: Mutex<Note>,
}

#[derive(Default)]
struct Note {
    /// Who asks for a backup that has not begun.
    by: Option<Actor>,
    running_since: Option<Timestamp>,
    last: Option<(Timestamp, Result<(), String>)>,
}

impl Note {
    fn ended(&mut self, last: (Timestamp, Result<(), String>)) {
        (self.running_since, self.last) = (None, Some(last));
    }
}

impl Backups {
    /// `None` if no folder is configured.
    pub(super) fn new(config: &Config, store: Store, clock: Clock, health: Health) -> Option<Self> {
        let config = &config.store;
        Some(Self {
            url: config.url.clone(),
            folder: config.backup_folder.clone()?,
            every: config.backup_every,
            keep: config.backup_keep,
            store,
            clock,
            health,
            asked: Arc::default(),
        })
    }

    /// Asks for a backup now.
    pub(super) fn ask(&self, by: Actor) {
        self.note().by = Some(by);
        self.asked.wake.notify_one();
    }

    /// What the page of the store shows.
    pub(super) fn state(&self) -> BackupsState {
        let note = self.note();
        BackupsState {
            every: self.every,
            keep: self.keep,
            is_asked_for: note.by.is_some(),
            running_since: note.running_since,
            last: note.last.clone(),
        }
    }

    fn note(&self) -> MutexGuard<'_, Note> {
        self.asked.note.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes backups until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut not_before = self.clock.elapsed();
        while !stop.is_cancelled() {
            let newest = backup::newest_in(&self.folder, &self.url).ok().flatten();
            note(newest);
            let wait = due_in(newest, self.clock.now(), self.every)
                .max(not_before.saturating_sub(self.clock.elapsed()));
            let by = self.note().by.take();
            if by.is_none() && !wait.is_zero() {
                let woken = async {
                    tokio::select! {
                        () = self.clock.sleep(wait.min(MAX_SLEEP)) => {}
                        () = self.asked.wake.notified() => {}
                    }
                };
                let _stopped = stop.run_until_cancelled(woken).await;
                continue;
            }
            if !self.write(by, &stop).await {
                not_before = self.clock.elapsed() + RETRY_DELAY.min(self.every);
            }
        }
    }

    /// Writes one backup, which `by` has asked for if it is not scheduled. Returns whether it succeeded.
    async fn write(&self, by: Option<Actor>, stop: &CancellationToken) -> bool {
        self.note().running_since = Some(self.clock.now());
        let written = self.try_write(stop).await;
        let last = (self.clock.now(), written.as_ref().map(|_| ()).map_err(Clone::clone));
        self.note().ended(last);
        if let Some(by) = by {
            self.record(by, &written).await;
        }
        written.is_ok()
    }

    /// Records a backup that someone has asked for.
    async fn record(&self, by: Actor, written: &Result<PathBuf, String>) {
        let (target, result) = match written {
            Ok(target) => (target.display().to_string(), ActionResult::Done),
            Err(_) => (self.folder.display().to_string(), ActionResult::Failed),
        };
        if let Err(error) = self.store.operator(by).record(ActionKind::Backup, target, result).await {
            tracing::warn!(%error, "a backup is not in the log of actions");
        }
    }

    /// Writes one backup. Returns where it is, or why there is none.
    async fn try_write(&self, stop: &CancellationToken) -> Result<PathBuf, String> {
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
                Ok(target)
            }
            Ok(Err(_)) if stop.is_cancelled() => {
                tracing::info!("the stop interrupted a backup");
                Err("the stop interrupted it".to_owned())
            }
            Ok(Err(error)) => Err(self.failed(&error)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &dyn std::error::Error) -> String {
        self.health.task_failed(TASK, "the last backup was not written");
        tracing::error!(%error, "a backup failed; it is retried within ten minutes");
        error.to_string()
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
    use store::{ActionFilter, ActionSource, Role};

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
            url: url.as_str().into(),
            folder: folder.path().join("backups"),
            every: Duration::from_secs(3_600),
            keep: 2,
            store: store.clone(),
            clock: clock.clock(),
            health: health.clone(),
            asked: Arc::default(),
        };
        let stop = CancellationToken::new();
        for expected in [1, 2, 2] {
            assert!(backups.write(None, &stop).await);
            assert_eq!(backup::all_in(&backups.folder, &url).unwrap().len(), expected);
            clock.advance(Duration::from_secs(3_600));
        }
        let blocked = Backups { folder: folder.path().join("bridge.db"), ..backups.clone() };
        let ann = Actor::new(ActionSource::Page, "ann");
        assert!(!blocked.write(Some(ann.clone()), &stop).await);
        let (_, result) = blocked.state().last.unwrap();
        assert!(result.unwrap_err().contains("cannot"), "the page shows why");
        assert!(health.failed_tasks()[0].contains("`backup`"), "{:?}", health.failed_tasks());
        assert!(backups.write(None, &stop).await);
        assert_eq!(health.failed_tasks(), [""; 0]);

        backups.ask(ann);
        assert!(backups.state().is_asked_for);
        let running = tokio::spawn(backups.clone().run(stop.clone()));
        let log = async || store.actions(&ActionFilter::default(), None, 9).await.unwrap().actions;
        while log().await.len() < 2 {
            tokio::task::yield_now().await;
        }
        let log: Vec<_> = log().await.into_iter().map(|one| (one.what, one.result)).collect();
        let expected = [ActionResult::Done, ActionResult::Failed].map(|result| ("backup".to_owned(), result));
        assert_eq!(log, expected, "only what someone asked for, newest first");
        assert!(!backups.state().is_asked_for);
        stop.cancel();
        running.await.unwrap();
        store.close().await;
    }
}
