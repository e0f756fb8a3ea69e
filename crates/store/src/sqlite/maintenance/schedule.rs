//! The schedule of maintenance: the work of each second, and the less frequent work.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use model::clock::CalendarWatch;

use crate::jobs::search::run::RunSize;
use crate::jobs::search::watch::SearchWatch;
use crate::maintenance::bodies::Walked;
use crate::maintenance::steps::{DELETE_TICKS, Failed, POLL_TICKS, TICK_INTERVAL, log_jump};
use crate::sqlite::engine::Engine;
use crate::sqlite::file::log::LogWatch;
use crate::sqlite::jobs::lane_reload::ReloadLanesIfChanged;
use crate::sqlite::maintenance::cache::IdleWatch;
use crate::sqlite::maintenance::checkpoints::{CheckpointTimer, Checkpoints};
use crate::sqlite::maintenance::leases::FreeLeases;
use crate::sqlite::write::known_keys::GATHERED_KEYS;
use crate::time::Moment;
use crate::{Retention, StoreError};

/// The work of each second, and its state.
pub(crate) struct Schedule {
    retention: Retention,
    tick: u64,
    /// Whether deletions are due, or the last step left more to delete.
    delete: bool,
    /// Whether the next step has to store the current moment.
    note: bool,
    walked: Walked,
    search: SearchWatch,
    /// The number of changes when budgets were last enforced; `None` if the last step left more to do.
    budgeted: Option<u64>,
    calendar: CalendarWatch,
    /// The version of the file that the last poll of the lanes saw.
    seen: Option<i64>,
    log: LogWatch,
    idle: IdleWatch,
}

impl Schedule {
    /// Creates a schedule whose ticks start now.
    pub(crate) fn new(store: &Engine, retention: Retention) -> Self {
        store.measure_room();
        Self {
            retention,
            tick: 0,
            delete: false,
            note: false,
            walked: Walked::default(),
            search: SearchWatch::default(),
            budgeted: None,
            calendar: CalendarWatch::new(store.clock().clone()),
            seen: None,
            log: LogWatch::default(),
            idle: IdleWatch::default(),
        }
    }

    /// Does the work of the next tick.
    pub(crate) async fn step(&mut self, store: &Engine) {
        self.tick += 1;
        // This logs a moved file even if no request and no probe arrives.
        let _logged = store.check_file();
        if let Some(file) = &store.file {
            self.log.poll(file.path());
        }
        let jump = self.calendar.poll();
        jump.iter().for_each(log_jump);
        let now = store.moment();
        let changes = store.changes.count();
        self.delete |= self.tick.is_multiple_of(DELETE_TICKS);
        self.note |= self.tick.is_multiple_of(DELETE_TICKS) || jump.is_some();
        // Each step handles its own failure, so that a step that keeps failing does not block the others.
        let mut failed = Failed::default();
        if self.note {
            self.note = failed.note(store.note_time().await).is_none();
        }
        if self.tick.is_multiple_of(POLL_TICKS) {
            store.measure_room();
            // Before deletions the poll reads the lanes unconditionally, in case it missed a change.
            let seen = self.seen.filter(|_| !self.delete);
            self.seen = failed.note(store.poll(now, seen).await).flatten();
        }
        // The bytes of an account change with a transaction. Polls also see other processes and the room on the disk.
        if self.budgeted != Some(changes) || self.tick.is_multiple_of(POLL_TICKS) {
            let is_done = failed.note(store.drop_beyond_budget(&mut self.walked).await).unwrap_or(false);
            self.budgeted = Some(changes).filter(|_| is_done);
        }
        let min_keys = if self.delete { 1 } else { GATHERED_KEYS };
        failed.note(store.move_keys(now.cutoff(Duration::ZERO), min_keys).await);
        failed.note(store.index_jobs(&mut self.search, now, RunSize::STANDARD).await);
        if self.delete {
            failed.note(store.end_unclaimed(now, self.retention.jobs).await);
            let deleted = store.delete(&mut self.walked, now, self.retention).await;
            self.delete = failed.note(deleted).unwrap_or(true);
            failed.note(store.delete_empty_runs().await);
        }
        failed.note(store.continue_bulks(self.tick.is_multiple_of(POLL_TICKS)).await);
        if store.changes.count() != changes {
            self.idle.maintenance_wrote();
        }
        failed.note(store.free_idle_memory(&mut self.idle, now.cutoff(Duration::ZERO)).await);
        failed.log();
    }
}

impl Engine {
    pub(crate) async fn maintain(&self, retention: Retention, stop: CancellationToken) {
        let Some(mut connection) = Checkpoints::take(self) else { return };
        let mut schedule = Schedule::new(self, retention);
        let clock = self.clock();
        let mut checkpoints = CheckpointTimer::new(clock.elapsed());
        let mut tick_at = clock.elapsed() + TICK_INTERVAL;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.changes.next(), if checkpoints.awaits_changes(clock.elapsed()) => {
                    checkpoints.changed(clock.elapsed());
                }
                () = clock.sleep_until(tick_at.min(checkpoints.due_at())) => {}
            }
            if clock.elapsed() >= checkpoints.due_at() {
                let outcome = self.checkpoint(&mut connection).await;
                checkpoints.ended(clock.elapsed(), outcome);
            }
            if clock.elapsed() >= tick_at {
                tick_at = clock.elapsed() + TICK_INTERVAL;
                schedule.step(self).await;
            }
        }
    }

    /// Frees expired leases, and reads the lanes if another process has changed something since `seen`.
    async fn poll(&self, now: Moment, seen: Option<i64>) -> Result<Option<i64>, StoreError> {
        let freed = self.execute(FreeLeases { until: Some(now.steady), now: now.steady }).await?;
        if freed > 0 {
            metrics::counter!("bridge_recovered_jobs_total", "reason" => "lease").increment(freed);
            tracing::warn!(jobs = freed, "leases expired; their jobs continue from where they were");
        }
        self.execute(ReloadLanesIfChanged { seen }).await
    }
}
