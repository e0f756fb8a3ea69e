//! What the store does by itself, now and then.

use std::time::Duration;

use sqlx::{Row, SqliteConnection};
use tokio_util::sync::CancellationToken;

use crate::model::Timestamp;

use super::bodies::Walked;
use super::log::LogWatch;
use super::refresh::{Refresh, RefreshIfChanged};
use super::upkeep::{CHUNK, DeleteFinished, ForgetKeys, Free, Rewind};
use super::writer::Op;
use super::{Store, StoreError, keys, log};

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
pub(super) const CHUNKS: u32 = 20;
/// The calendar was set back if it lost more than this against the time that passed.
const SET_BACK: Duration = Duration::from_secs(1);

/// How long finished jobs are kept.
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
    /// `retention`, accounts beyond `budget.stored`, keys of tokens that are over, changes made by other processes. After a panic it can be
    /// called again.
    pub async fn keep(&self, retention: impl Into<Retention>, stop: CancellationToken) {
        let retention = retention.into();
        let Some(mut connection) = Checkpoints::take(self) else { return };
        let mut walked = Walked::default();
        self.measure_room();
        let (mut tick, mut delete): (u64, bool) = (0, false);
        let mut ticked = self.clock().elapsed();
        let mut calendar = self.ahead();
        let mut seen = None;
        let mut log = LogWatch::default();
        while stop.run_until_cancelled(self.clock().sleep(CHECKPOINT)).await.is_some() {
            // It is told in the log, also where nobody calls and nobody asks.
            let _told = self.in_its_place();
            if let Some(connection) = &mut connection.borrowed {
                self.checkpoint(connection).await;
            }
            if self.clock().elapsed() - ticked < TICK {
                continue;
            }
            ticked = self.clock().elapsed();
            tick += 1;
            if let Some(place) = &self.0.place {
                log.look(place.path());
            }
            let now = self.clock().now();
            let ahead = self.ahead();
            let set_back = ahead + SET_BACK < calendar;
            if !set_back {
                calendar = ahead;
            }
            delete |= tick.is_multiple_of(DELETE);
            // Each by itself: what fails again and again must not keep the others from their work.
            let mut failed = Failed::default();
            if set_back && failed.note(self.rewind(now).await).is_some() {
                calendar = ahead;
                walked = Walked::default();
            }
            if tick.is_multiple_of(LOOK) {
                self.measure_room();
                // Now and then in any case, for whatever was missed.
                seen = failed.note(self.look(now, seen.filter(|_| !delete)).await).flatten();
            }
            failed.note(self.drop_beyond_budget(&mut walked).await);
            failed.note(self.move_keys(now, if delete { 1 } else { keys::GATHER }).await);
            if delete {
                delete = failed.note(self.delete(&mut walked, now, retention).await).unwrap_or(true);
            }
            failed.log();
        }
    }

    /// The calendar, without the time that has passed: it changes only when somebody sets the clock.
    fn ahead(&self) -> Timestamp {
        self.clock().now() - self.clock().elapsed()
    }

    async fn rewind(&self, now: Timestamp) -> Result<(), StoreError> {
        let jobs = self.ask(Rewind { now }).await?;
        tracing::warn!(jobs, "the machine's clock was set back; jobs that wait are due by the new time");
        self.ask(Refresh).await
    }

    /// Frees leases that ran out, and reads the lanes if another process changed something since `seen`.
    async fn look(&self, now: Timestamp, seen: Option<i64>) -> Result<Option<i64>, StoreError> {
        let freed = self.ask(Free { until: Some(self.clock().steady()), now }).await?;
        if freed > 0 {
            tracing::warn!(jobs = freed, "leases ran out; the jobs go on from where they were");
        }
        self.ask(RefreshIfChanged { seen }).await
    }

    /// Moves the idempotency keys to where they stay, if at least `least` of them have gathered.
    pub(super) async fn move_keys(&self, now: Timestamp, least: usize) -> Result<(), StoreError> {
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
    pub(super) async fn delete(
        &self,
        walked: &mut Walked,
        now: Timestamp,
        retention: Retention,
    ) -> Result<bool, StoreError> {
        let (mut jobs, mut keys) = (true, true);
        for _ in 0..CHUNKS {
            jobs = jobs && self.ask(DeleteFinished { before: now - retention.jobs }).await?.more;
            keys = keys && self.ask(ForgetKeys { now }).await? == CHUNK.unsigned_abs();
        }
        // Where bodies may stay as long as their jobs, they went with them.
        let bodies =
            retention.bodies < retention.jobs && self.drop_aged(walked, now - retention.bodies).await?;
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
