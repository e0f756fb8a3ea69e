//! An open store as its callers see it: it sends commands to the writer, and it reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use sqlx::{SqliteConnection, SqlitePool};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use model::clock::Clock;
use model::{DeliveringJob, RunningJob, Timestamp};

use super::file::identity::FileIdentity;
use super::file::open::Writing;
use super::write::changes::Changes;
use super::write::command::{Command, Queued};
use super::write::known_keys::Keys;
use super::write::message::{Message, Reply};
use super::write::search_progress::SearchProgress;
use crate::awaiting::Awaiting;
use crate::budget::Budgets;
use crate::feed::Feed;
use crate::lanes::Lanes;
use crate::records::IsKnown;
use crate::time::{Moment, StoreClock};
use crate::{Role, StoreError, Written};

/// The delay between two attempts to write a report while the store cannot be written.
pub(crate) const REPORT_RETRY_DELAY: Duration = Duration::from_millis(500);

/// An open store.
pub(crate) struct Engine {
    pub(super) operations: Mutex<Option<mpsc::Sender<Message>>>,
    /// Where the store's own tasks run.
    pub(crate) runtime: Handle,
    /// Whether jobs were written lately.
    pub(super) was_used: AtomicBool,
    /// Whether bulk changes may wait for this process.
    pub(super) bulk_waits: AtomicBool,
    pub(super) reading: SqlitePool,
    pub(super) checkpoints: Mutex<Option<SqliteConnection>>,
    /// The changes by the writer.
    pub(super) changes: Arc<Changes>,
    pub(super) keys: Arc<Keys>,
    pub(super) search_progress: Arc<SearchProgress>,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) awaiting: Arc<Awaiting>,
    /// The jobs that changed, for followers.
    pub(crate) feed: Arc<Feed>,
    /// One permit for each list that may be read at the same time.
    pub(super) lists: Semaphore,
    pub(crate) work: Arc<Lanes<RunningJob>>,
    pub(crate) delivery: Arc<Lanes<DeliveringJob>>,
    pub(super) clock: Clock,
    pub(super) time: Arc<StoreClock>,
    pub(super) role: Role,
    pub(super) file: Option<Arc<FileIdentity>>,
    /// Tells known accounts from unknown ones; unset until the bridge provides it.
    pub(super) is_known: OnceLock<IsKnown>,
    /// The task that completes the writer's transactions. It returns the writer's connection at the end.
    pub(super) writer: Mutex<Option<JoinHandle<Option<Writing>>>>,
}

impl Engine {
    /// Lets the writer carry out `command`. Returns its answer after COMMIT.
    pub(crate) async fn execute<C: Command>(&self, command: C) -> Result<C::Answer, StoreError> {
        let (command, answered) = Queued::new(command);
        self.send(Message::Command(command)).await?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Lets the writer carry out `operation`, and retries for as long as the error may pass, such as a full disk.
    pub(crate) async fn write_until_ok(
        &self,
        operation: impl Fn(Reply<Written>) -> Message,
    ) -> Result<Written, StoreError> {
        loop {
            let (reply, answered) = oneshot::channel();
            self.send(operation(reply)).await?;
            match answered.await.unwrap_or(Err(StoreError::Closed)) {
                Err(error) if error.is_passing() => self.clock.sleep(REPORT_RETRY_DELAY).await,
                settled => return settled,
            }
        }
    }

    pub(crate) async fn send(&self, operation: Message) -> Result<(), StoreError> {
        let sender = lock(&self.operations).clone().ok_or(StoreError::Closed)?;
        if !matches!(operation, Message::Command(_) | Message::Log(_)) {
            self.was_used.store(true, Ordering::Relaxed);
        }
        sender.send(operation).await.map_err(|_| StoreError::Closed)
    }

    /// Sends a report to the writer without waiting. A report for a closed store is dropped.
    pub(crate) fn send_soon(&self, report: Message) {
        let Some(sender) = lock(&self.operations).clone() else { return };
        self.was_used.store(true, Ordering::Relaxed);
        // With a full channel, a task waits for room.
        if let Err(TrySendError::Full(report)) = sender.try_send(report) {
            self.runtime.spawn(async move {
                let _dropped_if_closed = sender.send(report).await;
            });
        }
    }

    /// Whether jobs were written since the last call.
    pub(super) fn take_was_used(&self) -> bool {
        self.was_used.swap(false, Ordering::Relaxed)
    }

    /// Completes when the writer has ended although the store was not closed.
    pub(crate) async fn ended(&self) {
        let sender = lock(&self.operations).clone();
        if let Some(sender) = sender {
            sender.closed().await;
        }
    }

    /// Whether the open file is still the one at its path.
    pub(crate) fn check_file(&self) -> Result<(), StoreError> {
        self.file.as_ref().map_or(Ok(()), |file| file.check())
    }

    /// Returns the end of a lease that begins now. Leases end by elapsed time, so setting the calendar ends none of
    /// them.
    pub(crate) fn lease(&self, lease: Duration) -> Timestamp {
        self.moment().steady + lease
    }

    pub(crate) fn moment(&self) -> Moment {
        self.time.moment()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// Returns the guarded value. No code panics while it holds one of these locks.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
