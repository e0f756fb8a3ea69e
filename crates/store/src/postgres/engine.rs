//! An open store as its callers see it: it sends commands to the writer, and it reads.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};

use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use model::clock::Clock;
use model::{DeliveringJob, RunningJob, Timestamp};

use super::connect::url::Target;
use super::write::command::{AnyCommand, Command, Queued};
use super::write::session::Session;
use crate::awaiting::Awaiting;
use crate::budget::Budgets;
use crate::commit::changes::Changes;
use crate::commit::message::Message;
use crate::commit::operations::Operations;
use crate::feed::Feed;
use crate::jobs::search::progress::SearchProgress;
use crate::lanes::Lanes;
use crate::postgres::connect::owner_lock::OwnerLock;
use crate::records::IsKnown;
use crate::time::{Moment, StoreClock};
use crate::{Role, StoreError};

/// What maintenance keeps in memory between its runs.
#[derive(Debug, Default)]
pub(crate) struct MaintenanceState {
    /// Held while maintenance runs.
    pub(super) running: tokio::sync::Mutex<()>,
    /// The last known size of the database.
    pub(super) bytes: AtomicU64,
}

/// An open store.
pub(crate) struct Engine {
    pub(crate) operations: Arc<Operations<AnyCommand, std::convert::Infallible>>,
    /// Where the store's own tasks run.
    pub(crate) runtime: Handle,
    pub(super) target: Target,
    pub(super) reading: PgPool,
    /// Reads for maintenance.
    pub(super) walking: PgPool,
    /// What maintenance keeps in memory.
    pub(super) maintenance: MaintenanceState,
    /// The lock of the owner; `None` for an observer.
    pub(super) owner_lock: tokio::sync::Mutex<Option<OwnerLock>>,
    /// Whether bulk changes may wait for this process.
    pub(super) bulk_waits: AtomicBool,
    /// The changes by the writer.
    pub(super) changes: Arc<Changes>,
    /// How far the search index reaches.
    pub(crate) search_progress: Arc<SearchProgress>,
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
    /// Tells known accounts from unknown ones; unset until the bridge provides it.
    pub(super) is_known: OnceLock<IsKnown>,
    /// The task that completes the writer's transactions. It returns the writer's session at the end.
    pub(super) writer: Mutex<Option<JoinHandle<Option<Option<Session>>>>>,
}

impl Engine {
    /// Lets the writer carry out `command`. Returns its answer after COMMIT.
    pub(crate) async fn execute<C: Command>(&self, command: C) -> Result<C::Answer, StoreError> {
        let (command, answered) = Queued::new(command);
        self.operations.send(Message::Command(command)).await?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Returns the end of a lease that begins now. Leases end by elapsed time, so setting the calendar ends none of
    /// them.
    pub(crate) fn lease(&self, lease: std::time::Duration) -> Timestamp {
        self.moment().steady + lease
    }

    pub(crate) fn moment(&self) -> Moment {
        self.time.moment()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }
}
