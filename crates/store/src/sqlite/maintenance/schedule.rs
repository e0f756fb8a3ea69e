//! What the store does on its own, once a second and more rarely.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use model::clock::{CalendarWatch, Jump};

use crate::sqlite::engine::Engine;
use crate::sqlite::file::log::LogWatch;
use crate::sqlite::jobs::lane_reload::ReloadLanesIfChanged;
use crate::sqlite::maintenance::bodies::Walked;
use crate::sqlite::maintenance::checkpoints::Checkpoints;
use crate::sqlite::maintenance::leases::FreeLeases;
use crate::sqlite::write::known_keys::GATHERED_KEYS;
use crate::time::Moment;
use crate::{Retention, StoreError};

/// The log is brought into the database this often. Commits wait for the disk while that is synced, so it
/// has to be little each time.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(50);
/// The rhythm of all else.
const TICK_INTERVAL: Duration = Duration::from_secs(1);
/// Ticks between looks at leases and lanes, the fallback behind the wake-ups.
const POLL_TICKS: u64 = 5;
/// Ticks between deletions.
const DELETE_TICKS: u64 = 60;
fn log_jump(jump: &Jump) {
    let (by, direction) = match jump {
        Jump::Forward(by) => (by, "forward"),
        Jump::Back(by) => (by, "back"),
    };
    let by_seconds = by.as_secs();
    tracing::warn!(
        by_seconds,
        direction,
        "the machine's clock was set, or the machine slept; schedules and time budgets go on by the time that passes"
    );
}

/// What failed in one tick.
#[derive(Default)]
struct Failed {
    first: Option<StoreError>,
    steps: usize,
}

impl Failed {
    /// The result of a step, if it did not fail.
    fn note<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        let error = match result {
            Ok(done) => return Some(done),
            Err(error) => error,
        };
        self.steps += 1;
        self.first.get_or_insert(error);
        None
    }

    fn log(self) {
        if let Some(error) = self.first {
            tracing::warn!(%error, steps = self.steps, "the store's maintenance failed; it is tried again");
        }
    }
}

/// What is done once a second, and what it has to remember.
pub(crate) struct Schedule {
    retention: Retention,
    tick: u64,
    /// Deletions are due, or there was more to delete than one step takes.
    delete: bool,
    /// The moment is to be written down.
    note: bool,
    walked: Walked,
    calendar: CalendarWatch,
    /// What the last poll of the lanes saw.
    seen: Option<i64>,
    log: LogWatch,
}

impl Schedule {
    /// Begins with the calendar as it is now.
    pub(crate) fn new(store: &Engine, retention: Retention) -> Self {
        store.measure_room();
        Self {
            retention,
            tick: 0,
            delete: false,
            note: false,
            walked: Walked::default(),
            calendar: CalendarWatch::new(store.clock().clone()),
            seen: None,
            log: LogWatch::default(),
        }
    }

    /// Does what is due after another [`TICK_INTERVAL`].
    pub(crate) async fn step(&mut self, store: &Engine) {
        self.tick += 1;
        if let Some(file) = &store.file {
            self.log.poll(file.path());
        }
        let jump = self.calendar.poll();
        jump.iter().for_each(log_jump);
        let now = store.moment();
        self.delete |= self.tick.is_multiple_of(DELETE_TICKS);
        self.note |= self.tick.is_multiple_of(DELETE_TICKS) || jump.is_some();
        // Each alone: what fails again and again must not keep the others from their work.
        let mut failed = Failed::default();
        if self.note {
            self.note = failed.note(store.note_time().await).is_none();
        }
        if self.tick.is_multiple_of(POLL_TICKS) {
            store.measure_room();
            // Now and then in any case, for whatever was missed.
            let seen = self.seen.filter(|_| !self.delete);
            self.seen = failed.note(store.poll(now, seen).await).flatten();
        }
        failed.note(store.drop_beyond_budget(&mut self.walked).await);
        let least = if self.delete { 1 } else { GATHERED_KEYS };
        failed.note(store.move_keys(now.cutoff(Duration::ZERO), least).await);
        if self.delete {
            failed.note(store.end_unclaimed(now, self.retention.jobs).await);
            let deleted = store.delete(&mut self.walked, now, self.retention).await;
            self.delete = failed.note(deleted).unwrap_or(true);
        }
        failed.log();
    }
}

impl Engine {
    pub(crate) async fn maintain(&self, retention: Retention, stop: CancellationToken) {
        let Some(mut connection) = Checkpoints::take(self) else { return };
        let mut schedule = Schedule::new(self, retention);
        let mut ticked = self.clock().elapsed();
        while stop.run_until_cancelled(self.clock().sleep(CHECKPOINT_INTERVAL)).await.is_some() {
            // It goes into the log even if no request and no probe comes.
            let _logged = self.check_file();
            if let Some(connection) = &mut connection.borrowed {
                self.checkpoint(connection).await;
            }
            if self.clock().elapsed() - ticked >= TICK_INTERVAL {
                ticked = self.clock().elapsed();
                schedule.step(self).await;
            }
        }
    }

    /// Frees leases that ran out, and reads the lanes if another process changed something since `seen`.
    async fn poll(&self, now: Moment, seen: Option<i64>) -> Result<Option<i64>, StoreError> {
        let freed = self.execute(FreeLeases { until: Some(now.steady), now: now.steady }).await?;
        if freed > 0 {
            tracing::warn!(jobs = freed, "leases ran out; the jobs go on from where they were");
        }
        self.execute(ReloadLanesIfChanged { seen }).await
    }
}
