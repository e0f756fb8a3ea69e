//! The schedule of maintenance: the work of each second, and the less frequent work.

use sqlx::Connection;
use tokio_util::sync::CancellationToken;

use model::clock::CalendarWatch;

use crate::jobs::search::run::RunSize;
use crate::jobs::search::watch::SearchWatch;
use crate::maintenance::steps::{DELETE_TICKS, Failed, POLL_TICKS, TICK_INTERVAL, log_jump};
use crate::postgres::connect::open::connect;
use crate::postgres::connect::session::Session;
use crate::postgres::engine::Engine;
use crate::postgres::jobs::lane_reload::ReloadLanes;
use crate::postgres::maintenance::delete::Walks;
use crate::postgres::maintenance::leases::FreeLeases;
use crate::postgres::maintenance::{partitions, vacuum};
use crate::time::Moment;
use crate::{Retention, Role, StoreError};

/// Ticks between checks of the owner's lock.
const LOCK_TICKS: u64 = 2;
/// Ticks between looks at the partitions.
const PARTITION_TICKS: u64 = 3_600;

/// The work of each second, and its state.
pub(crate) struct Schedule {
    retention: Retention,
    tick: u64,
    /// Whether deletions are due, or the last step left more to delete.
    delete: bool,
    /// Whether the next step has to store the current moment.
    note: bool,
    /// Whether the next look at the partitions is due, or the last one failed.
    partitions: bool,
    walks: Walks,
    /// The number of changes when budgets were last enforced; `None` if the last step left more to do.
    budgeted: Option<u64>,
    search: SearchWatch,
    calendar: CalendarWatch,
}

impl Schedule {
    /// Creates a schedule whose ticks start now.
    pub(crate) fn new(store: &Engine, retention: Retention) -> Self {
        Self {
            retention,
            tick: 0,
            delete: false,
            note: false,
            partitions: false,
            walks: Walks::default(),
            budgeted: None,
            search: SearchWatch::default(),
            calendar: CalendarWatch::new(store.clock().clone()),
        }
    }

    /// Does the work of the next tick.
    pub(crate) async fn step(&mut self, store: &Engine) {
        self.tick += 1;
        let jump = self.calendar.poll();
        jump.iter().for_each(log_jump);
        let now = store.moment();
        let changes = store.changes.count();
        let (polls, each_minute) =
            (self.tick.is_multiple_of(POLL_TICKS), self.tick.is_multiple_of(DELETE_TICKS));
        self.delete |= each_minute;
        self.note |= each_minute || jump.is_some();
        self.partitions |= self.tick.is_multiple_of(PARTITION_TICKS) || jump.is_some();
        // Each step handles its own failure, so that a step that keeps failing does not block the others.
        let mut failed = Failed::default();
        if self.tick.is_multiple_of(LOCK_TICKS) {
            failed.note(store.keep_owner_lock().await);
        }
        if self.note {
            self.note = failed.note(store.note_time().await).is_none();
        }
        failed.note(store.poll_outside_changes().await);
        if polls {
            failed.note(store.poll(now, self.delete).await);
        }
        // The bytes of an account change with a transaction. Polls also see other processes.
        if self.budgeted != Some(changes) || polls {
            let is_done =
                failed.note(store.drop_beyond_budget(&mut self.walks.bodies).await).unwrap_or(false);
            self.budgeted = Some(changes).filter(|_| is_done);
        }
        failed.note(store.index_jobs(&mut self.search, now, RunSize::STANDARD).await);
        if self.delete {
            failed.note(store.end_unclaimed(now, self.retention.jobs).await);
            let deleted = store.delete(&mut self.walks, now, self.retention).await;
            self.delete = failed.note(deleted).unwrap_or(true);
            failed.note(store.delete_empty_runs().await);
        }
        failed.note(store.continue_bulks(polls).await);
        if each_minute {
            failed.note(store.measure_size().await);
            failed.note(store.measure_snapshots().await);
            failed.note(store.tidy(&mut self.partitions).await);
        }
        failed.log();
    }
}

impl Engine {
    pub(crate) async fn maintain(&self, retention: Retention, stop: CancellationToken) {
        if self.role != Role::Owner {
            return;
        }
        // `Err` if maintenance is already running.
        let Ok(_running) = self.maintenance.running.try_lock() else { return };
        let mut schedule = Schedule::new(self, retention);
        let clock = self.clock();
        let mut tick_at = clock.elapsed() + TICK_INTERVAL;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => break,
                () = clock.sleep_until(tick_at) => {}
            }
            if clock.elapsed() >= tick_at {
                tick_at = clock.elapsed() + TICK_INTERVAL;
                schedule.step(self).await;
            }
        }
    }

    /// Frees expired leases. With `reloads`, also reads the lanes again, in case they differ from the schedule.
    async fn poll(&self, now: Moment, reloads: bool) -> Result<(), StoreError> {
        let freed = self.execute(FreeLeases { until: Some(now.steady), now: now.steady }).await?;
        if freed > 0 {
            metrics::counter!("bridge_recovered_jobs_total", "reason" => "lease").increment(freed);
            tracing::warn!(jobs = freed, "leases expired; their jobs continue from where they were");
        }
        if reloads {
            self.execute(ReloadLanes).await?;
        }
        Ok(())
    }

    /// Vacuums the hot tables and, if it is due, looks after the partitions.
    async fn tidy(&self, partitions_due: &mut bool) -> Result<(), StoreError> {
        let mut connection = connect(&self.target, Session::Maintenance).await?;
        let vacuumed = vacuum::vacuum(&mut connection).await;
        if *partitions_due {
            partitions::keep(&mut connection, self.clock().now()).await?;
            *partitions_due = false;
        }
        // If the goodbye fails, the server notices the end of the connection.
        let _gone = connection.close().await;
        vacuumed
    }
}
