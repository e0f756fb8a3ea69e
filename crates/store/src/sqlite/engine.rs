//! An open store as its callers see it: it sends commands to the writer, and it reads.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use sqlx::{SqliteConnection, SqlitePool};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use model::clock::Clock;
use model::{DeliveringJob, RunningJob, Timestamp};

use super::file::identity::FileIdentity;
use super::file::log::LogStep;
use super::file::open::Writing;
use super::write::command::{AnyCommand, Command, Queued};
use super::write::known_keys::Keys;
use crate::awaiting::Awaiting;
use crate::budget::Budgets;
use crate::commit::changes::Changes;
use crate::commit::message::Message;
use crate::commit::operations::Operations;
use crate::feed::Feed;
use crate::jobs::search::progress::SearchProgress;
use crate::lanes::Lanes;
use crate::records::IsKnown;
use crate::time::{Moment, StoreClock};
use crate::{Role, StoreError};

/// An open store.
pub(crate) struct Engine {
    pub(crate) operations: Arc<Operations<AnyCommand, LogStep>>,
    /// Where the store's own tasks run.
    pub(crate) runtime: Handle,
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
        self.operations.send(Message::Command(command)).await?;
        answered.await.unwrap_or(Err(StoreError::Closed))
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
