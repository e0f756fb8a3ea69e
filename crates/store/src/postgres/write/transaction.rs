//! The writer's transaction while it runs.

use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Executor, PgConnection, Postgres, Row};

use model::JobId;

use super::session::{Session, Writes};
use crate::StoreError;
use crate::commit::post_commit::PostCommit;
use crate::jobs::failures::Failure;
use crate::postgres::connect::call::within;
use crate::postgres::connect::error::breaks_connection;
use crate::postgres::schedule::{Planned, Schedule};
use crate::postgres::write::{counts, error_groups};
use crate::time::{Moment, StoreClock};

/// How long the client waits for the reply to one statement. The server cancels it earlier (`statement_timeout`), unless
/// the network is cut.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// Begins a transaction. The limits end one whose process is frozen, so that it holds no lock for long. The owner reads its
/// number under a lock, so that the next owner waits for the end of this transaction.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '1500ms'; SET LOCAL idle_in_transaction_session_timeout = '1s'; \
     SELECT pg_current_xact_id()::text, (SELECT epoch FROM owner WHERE id = 1 FOR KEY SHARE)";

const TELL_OWNER: &str = "INSERT INTO outside_changes (job_id) SELECT unnest($1::uuid[])";

/// The number of a transaction, by which its fate can be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransactionId(pub(crate) String);

/// A transaction, with the changes to apply after COMMIT, and its time. It owns the writer's session until it ends.
pub(crate) struct Transaction {
    session: Session,
    id: TransactionId,
    pub(crate) post_commit: PostCommit,
    /// The failures of jobs in this transaction.
    pub(crate) failures: Vec<Failure>,
    /// When the transaction began. BEGIN may have waited for the server.
    pub(crate) moment: Moment,
    /// Whether a statement has changed a row.
    pub(crate) is_changed: bool,
}

/// How a COMMIT ended.
pub(crate) enum Commit {
    /// The changes are on the disk.
    Done(PostCommit),
    /// Nothing was changed.
    Failed(StoreError),
    /// The reply was lost.
    Unknown(TransactionId, PostCommit, StoreError),
}

impl Transaction {
    /// Begins a transaction. Returns the session with the error if it cannot.
    pub(crate) async fn begin(
        mut session: Session,
        clock: &StoreClock,
    ) -> Result<Self, (Session, StoreError)> {
        match begin(&mut session).await {
            Ok(id) => Ok(Self {
                session,
                id,
                post_commit: PostCommit::default(),
                failures: Vec::new(),
                moment: clock.moment(),
                is_changed: false,
            }),
            Err(error) => {
                session.connection = None;
                Err((session, error))
            }
        }
    }

    /// Runs a statement without a result. Returns the number of rows that it changed.
    pub(crate) async fn execute(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<u64, StoreError> {
        let done = within(CALL_TIMEOUT, query.execute(self.connection()?)).await?;
        self.is_changed |= done.rows_affected() > 0;
        Ok(done.rows_affected())
    }

    /// Runs a statement that changes rows. Returns what its RETURNING says.
    pub(crate) async fn change(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, StoreError> {
        let rows = self.read(query).await?;
        self.is_changed |= !rows.is_empty();
        Ok(rows)
    }

    /// Runs a statement that only reads. Returns its rows.
    pub(crate) async fn read(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, StoreError> {
        within(CALL_TIMEOUT, query.fetch_all(self.connection()?)).await
    }

    /// The connection, for statements that need more than [`read`](Self::read) and [`execute`](Self::execute).
    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        self.session.connection.as_mut().ok_or(StoreError::Closed)
    }

    /// Records what a job waits for from now on; `None` if it is finished.
    pub(crate) fn plan(&mut self, id: JobId, planned: Option<Planned>) {
        self.session.writes.plan(id, planned);
    }

    /// The schedule, if this process owns the store.
    pub(crate) fn schedule(&mut self) -> Option<&mut Schedule> {
        match &mut self.session.writes {
            Writes::Owner { schedule, .. } => Some(schedule),
            Writes::Observer { .. } => None,
        }
    }

    /// Makes COMMIT fail while the flag is set.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn refuse_commits(&mut self, flag: std::sync::Arc<std::sync::atomic::AtomicBool>) {
        self.session.refuses_commits = flag;
    }

    /// Updates the counts of jobs and bytes and the groups of errors, and commits.
    pub(crate) async fn commit(mut self) -> (Session, Commit) {
        let commit = match self.finish().await {
            Err(error) => Commit::Failed(error),
            Ok(()) => match self.send_commit().await {
                Ok(()) => Commit::Done(std::mem::take(&mut self.post_commit)),
                Err(error) if breaks_connection(&error) => {
                    self.session.connection = None;
                    Commit::Unknown(self.id.clone(), std::mem::take(&mut self.post_commit), error)
                }
                Err(error) => Commit::Failed(error),
            },
        };
        match &commit {
            Commit::Done(_) => self.session.writes.committed(),
            // The fate decides what becomes of the schedule.
            Commit::Unknown(..) => {}
            Commit::Failed(error) => {
                let session = self.roll_back(error).await;
                return (session, commit);
            }
        }
        (self.session, commit)
    }

    async fn finish(&mut self) -> Result<(), StoreError> {
        error_groups::write(self).await?;
        counts::write(self).await?;
        if let Writes::Observer { changed } = &mut self.session.writes
            && !changed.is_empty()
        {
            let changed: Vec<_> = changed.iter().map(|id| id.as_uuid()).collect();
            self.execute(sqlx::query(TELL_OWNER).bind(changed)).await?;
        }
        Ok(())
    }

    async fn send_commit(&mut self) -> Result<(), StoreError> {
        #[cfg(any(test, feature = "testing"))]
        if self.session.refuses_commits.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(StoreError::Database("a test refuses commits".into()));
        }
        within(CALL_TIMEOUT, self.connection()?.execute("COMMIT")).await?;
        Ok(())
    }

    /// Ends the transaction without its changes, after `error`.
    pub(crate) async fn roll_back(mut self, error: &StoreError) -> Session {
        self.session.writes.undone();
        let is_usable = !breaks_connection(error)
            && match self.connection() {
                Ok(connection) => within(CALL_TIMEOUT, connection.execute("ROLLBACK")).await.is_ok(),
                Err(_) => false,
            };
        if !is_usable {
            self.session.connection = None;
        }
        self.session
    }
}

async fn begin(session: &mut Session) -> Result<TransactionId, StoreError> {
    let mine = match &session.writes {
        Writes::Owner { epoch, .. } => Some(*epoch),
        Writes::Observer { .. } => None,
    };
    let server = session.target.name().to_owned();
    let connection = session.connected().await?;
    let row = within(CALL_TIMEOUT, sqlx::raw_sql(BEGIN).fetch_one(connection)).await?;
    let epoch: i64 = row.try_get(1)?;
    if mine.is_some_and(|mine| mine != epoch) {
        return Err(StoreError::InUse { path: server, owner: "a process that started later".to_owned() });
    }
    Ok(TransactionId(row.try_get(0)?))
}
