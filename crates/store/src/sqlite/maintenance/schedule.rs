//! What the store does by itself, now and then.

use std::time::Duration;

use sqlx::{Row, SqliteConnection};
use tokio_util::sync::CancellationToken;

use model::clock::{CalendarWatch, Jump};

use crate::sqlite::file::log;
use crate::sqlite::file::log::LogWatch;
use crate::sqlite::group_commit::writer::Op;
use crate::sqlite::jobs::keys;
use crate::sqlite::jobs::lane_reload::RefreshIfChanged;
use crate::sqlite::maintenance::bodies::Walked;
use crate::sqlite::maintenance::delete::{CHUNK, DeleteFinished, ForgetKeys, Free};
use crate::time::{Cutoff, Moment};
use crate::{Store, StoreError};

/// The log is brought into the database this often. Commits wait for the disk while that is synced, so it
/// has to be little each time.
const CHECKPOINT: Duration = Duration::from_millis(50);
/// The rhythm of all else.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between looks at leases and lanes, the fallback behind the wake-ups.
const LOOK: u64 = 5;
/// Ticks between deletions.
const DELETE: u64 = 60;
/// Chunks that are deleted in one tick: between ticks the log is brought in, and a stop is heard.
pub(crate) const CHUNKS: u32 = 20;

/// How long finished jobs are kept. An age has to be reached by the calendar and by the time for which the store was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// A job is deleted so long after it finished.
    pub jobs: Duration,
    /// The bodies of a delivered or cancelled job are dropped so long after it finished.
    pub bodies: Duration,
}

impl From<Duration> for Retention {
    fn from(jobs: Duration) -> Self {
        Self { jobs, bodies: jobs }
    }
}

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
pub(crate) struct Maintenance {
    retention: Retention,
    tick: u64,
    /// Deletions are due, or there was more to delete than one step takes.
    delete: bool,
    /// The moment is to be written down.
    note: bool,
    walked: Walked,
    calendar: CalendarWatch,
    /// What the last look at the lanes saw.
    seen: Option<i64>,
    log: LogWatch,
}

impl Maintenance {
    /// Begins with the calendar as it is now.
    pub(crate) fn new(store: &Store, retention: impl Into<Retention>) -> Self {
        store.measure_room();
        Self {
            retention: retention.into(),
            tick: 0,
            delete: false,
            note: false,
            walked: Walked::default(),
            calendar: CalendarWatch::new(store.clock().clone()),
            seen: None,
            log: LogWatch::default(),
        }
    }

    /// Does what is due after another [`TICK`].
    pub(crate) async fn step(&mut self, store: &Store) {
        self.tick += 1;
        if let Some(place) = &store.0.place {
            self.log.look(place.path());
        }
        let jump = self.calendar.poll();
        jump.iter().for_each(log_jump);
        let now = store.moment();
        self.delete |= self.tick.is_multiple_of(DELETE);
        self.note |= self.tick.is_multiple_of(DELETE) || jump.is_some();
        // Each alone: what fails again and again must not keep the others from their work.
        let mut failed = Failed::default();
        if self.note {
            self.note = failed.note(store.note_time().await).is_none();
        }
        if self.tick.is_multiple_of(LOOK) {
            store.measure_room();
            // Now and then in any case, for whatever was missed.
            let seen = self.seen.filter(|_| !self.delete);
            self.seen = failed.note(store.look(now, seen).await).flatten();
        }
        failed.note(store.drop_beyond_budget(&mut self.walked).await);
        let least = if self.delete { 1 } else { keys::GATHER };
        failed.note(store.move_keys(now.cutoff(Duration::ZERO), least).await);
        if self.delete {
            failed.note(store.end_unclaimed(now, self.retention.jobs).await);
            let deleted = store.delete(&mut self.walked, now, self.retention).await;
            self.delete = failed.note(deleted).unwrap_or(true);
        }
        failed.log();
    }
}

/// The connection for checkpoints, borrowed from the store. It goes back even if maintenance panics or is aborted, so that
/// maintenance can be started again.
struct Checkpoints<'a> {
    store: &'a Store,
    borrowed: Option<SqliteConnection>,
}

impl<'a> Checkpoints<'a> {
    /// `None` if the store is closed, or if maintenance runs already.
    fn take(store: &'a Store) -> Option<Self> {
        store.take_checkpoints().map(|connection| Self { store, borrowed: Some(connection) })
    }
}

impl Drop for Checkpoints<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.borrowed.take() {
            self.store.return_checkpoints(connection);
        }
    }
}

impl Store {
    /// Keeps the store in order until `stop`: checkpoints, leases that ran out, finished jobs and bodies that are older than
    /// `retention`, deliveries as old whose account is not known, accounts beyond `budget.stored`, keys of tokens that are
    /// over, changes made by other processes. After a panic it can be called again.
    pub async fn keep(&self, retention: impl Into<Retention>, stop: CancellationToken) {
        let Some(mut connection) = Checkpoints::take(self) else { return };
        let mut maintenance = Maintenance::new(self, retention);
        let mut ticked = self.clock().elapsed();
        while stop.run_until_cancelled(self.clock().sleep(CHECKPOINT)).await.is_some() {
            // It is told in the log, also where nobody calls and nobody asks.
            let _told = self.in_its_place();
            if let Some(connection) = &mut connection.borrowed {
                self.checkpoint(connection).await;
            }
            if self.clock().elapsed() - ticked >= TICK {
                ticked = self.clock().elapsed();
                maintenance.step(self).await;
            }
        }
    }

    /// Frees leases that ran out, and reads the lanes if another process changed something since `seen`.
    async fn look(&self, now: Moment, seen: Option<i64>) -> Result<Option<i64>, StoreError> {
        let freed = self.ask(Free { until: Some(now.steady), now: now.steady }).await?;
        if freed > 0 {
            tracing::warn!(jobs = freed, "leases ran out; the jobs go on from where they were");
        }
        self.ask(RefreshIfChanged { seen }).await
    }

    /// Moves the idempotency keys to where they stay, if at least `least` of them have gathered.
    pub(crate) async fn move_keys(&self, now: Cutoff, least: usize) -> Result<(), StoreError> {
        let keys = &self.0.keys;
        if !keys.gathered(least) {
            return Ok(());
        }
        let mut after = None;
        loop {
            after = self.ask(keys::Move { keys: keys.clone(), after, now }).await?;
            if after.is_none() {
                break;
            }
        }
        if let Some(until) = keys.moved_rows() {
            while self.ask(keys::DropMoved { until }).await? {}
        }
        keys.moved();
        Ok(())
    }

    /// Deletes what is over, up to [`CHUNKS`] of each kind; says whether there may be more.
    pub(crate) async fn delete(
        &self,
        walked: &mut Walked,
        now: Moment,
        retention: Retention,
    ) -> Result<bool, StoreError> {
        let (mut jobs, mut keys) = (true, true);
        let (before, over) = (now.cutoff(retention.jobs), now.cutoff(Duration::ZERO));
        for _ in 0..CHUNKS {
            jobs = jobs && self.ask(DeleteFinished { before }).await?.more;
            keys = keys && self.ask(ForgetKeys { now: over }).await? == CHUNK.unsigned_abs();
        }
        // Where bodies may stay as long as their jobs, they went with them.
        let bodies =
            retention.bodies < retention.jobs && self.drop_aged(walked, now.cutoff(retention.bodies)).await?;
        Ok(jobs || keys || bodies)
    }

    /// A passive checkpoint holds nobody up, but under a load that never ends it cannot start the log anew.
    async fn checkpoint(&self, connection: &mut SqliteConnection) {
        match sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(connection).await {
            Ok(row) => {
                let pages = |column: usize| row.try_get(column).unwrap_or_default();
                if let Some(step) = log::decide(pages(1), pages(2), self.log_bytes()) {
                    // If the writer is gone, the log is brought in when the store is closed.
                    let _gone = self.send(Op::Log(step)).await;
                }
            }
            Err(error) => tracing::debug!(%error, "no checkpoint"),
        }
    }
}
