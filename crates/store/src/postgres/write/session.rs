//! What the writer keeps between transactions: its connection, and what it knows about unfinished jobs.

use sqlx::PgConnection;
use uuid::Uuid;

use model::JobId;

use crate::StoreError;
use crate::postgres::connect::call::{SHORT, within};
use crate::postgres::connect::open::connect;
use crate::postgres::connect::session::Session as Kind;
use crate::postgres::connect::url::Target;
use crate::postgres::schedule::{Planned, Schedule};
use crate::postgres::schema::migrate::nonce;

/// Who writes.
pub(crate) enum Writes {
    /// The owner of the store. It keeps the schedule of all unfinished jobs in memory.
    Owner {
        /// Grows with each owner. A transaction of an owner with another number fails.
        epoch: i64,
        schedule: Box<Schedule>,
    },
    /// Another process. It tells the owner which jobs it has changed.
    Observer {
        /// The jobs that the running transaction has changed.
        changed: Vec<JobId>,
    },
}

impl Writes {
    /// Records that a job waits for something else from now on; `None` if it is finished.
    pub(crate) fn plan(&mut self, id: JobId, planned: Option<Planned>) {
        match self {
            Self::Owner { schedule, .. } => schedule.set(id, planned),
            Self::Observer { changed } => changed.push(id),
        }
    }

    /// Keeps the changes of a committed transaction.
    pub(crate) fn committed(&mut self) {
        match self {
            Self::Owner { schedule, .. } => schedule.commit(),
            Self::Observer { changed } => changed.clear(),
        }
    }

    /// Undoes the changes of a transaction that was not committed.
    pub(crate) fn undone(&mut self) {
        match self {
            Self::Owner { schedule, .. } => schedule.roll_back(),
            Self::Observer { changed } => changed.clear(),
        }
    }
}

/// The session of the writer.
pub(crate) struct Session {
    pub(crate) target: Target,
    /// The random number of the store.
    nonce: Uuid,
    /// `None` after it broke.
    pub(crate) connection: Option<PgConnection>,
    pub(crate) writes: Writes,
    /// For tests: COMMIT fails while this is set.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) refuses_commits: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Session {
    pub(crate) fn new(target: Target, nonce: Uuid, connection: PgConnection, writes: Writes) -> Self {
        Self {
            target,
            nonce,
            connection: Some(connection),
            writes,
            #[cfg(any(test, feature = "testing"))]
            refuses_commits: std::sync::Arc::default(),
        }
    }

    /// Returns the connection; connects first if it broke.
    ///
    /// # Errors
    /// The database cannot be reached now.
    pub(crate) async fn connected(&mut self) -> Result<&mut PgConnection, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let mut connection = connect(&self.target, Kind::Writer).await?;
                self.check_store(&mut connection).await?;
                connection
            }
        };
        Ok(self.connection.insert(connection))
    }

    /// Checks that a new connection leads to the same store.
    ///
    /// # Errors
    /// It leads to another one, or it broke.
    pub(crate) async fn check_store(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        if within(SHORT, nonce(connection)).await? == self.nonce {
            return Ok(());
        }
        let why =
            "another store is at this address since the connection broke: correct store.url, or start again";
        Err(StoreError::Refused(why.into()).on(self.target.name()))
    }

    /// Closes the connection. If the goodbye fails, the server notices the end of the connection.
    pub(crate) async fn close(self) {
        if let Some(connection) = self.connection {
            let closing = sqlx::Connection::close(connection);
            let _gone = within(SHORT, closing).await;
        }
    }
}
