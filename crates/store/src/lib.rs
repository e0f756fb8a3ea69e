//! The store: the only room that knows SQL, and the only place where the other rooms meet.
//!
//! One task owns the connection that writes and commits whatever waits in one transaction
//! ([`writer`]); reads have connections of their own. A write is on the disk when its future
//! completes (WAL, `synchronous=FULL`). One process owns a store; a visitor may look and move jobs.
//!
//! What it promises: a job that [`Store::accept`] acknowledged is there after any crash; a job changes
//! state only from the state and the claim that the writer of the change has seen (fencing).

mod budget;
mod error;
mod lanes;
mod sqlite;
#[cfg(any(test, feature = "testing"))]
mod testing;
mod time;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{Connection, SqliteConnection, SqlitePool};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use model::clock::Clock;
use model::{
    Attempt, DeliveringJob, DeliveryReport, HandlerReport, JobId, JobRecord, NewJob, RunningJob, Timestamp,
};

pub use budget::OverBudget;
pub use error::StoreError;
pub use lanes::{Lanes, Slot};
pub use sqlite::accounts::connections::{Leased, NewConnection, Renewal};
pub use sqlite::accounts::oauth::{
    CodeLimits, KeptCode, NewCode, Pair, PendingRevocation, SealedCode, StateUse,
};
pub use sqlite::file::locks::{is_served, owner};
pub use sqlite::file::log::{LogState, MAX_LOG_BYTES, log_state};
pub use sqlite::file::open::Purpose;
pub use sqlite::file::open::file_of;
pub use sqlite::jobs::accept::Accepted;
pub use sqlite::jobs::delivery_claims::LongestDue;
pub use sqlite::jobs::list::{JobFilter, Page};
pub use sqlite::jobs::operator::retry::{Resend, RetriedDead, RetryOptions};
pub use sqlite::jobs::outcomes::{FallbackCount, RecentOutcomes};
pub use sqlite::jobs::read::Stats;
pub use sqlite::jobs::reports::Written;
pub use sqlite::maintenance::schedule::Retention;

use budget::Budgets;
use sqlite::file::identity::Place;
use sqlite::file::{log, open};
use sqlite::group_commit::writer::{Op, Reply, Writer};
use sqlite::jobs::delivery_claims::ClaimDeliveries;
use sqlite::jobs::keys::Keys;
use sqlite::jobs::work_claims::{ClaimOverdue, ClaimWork};
use sqlite::jobs::{accept, list, read};
use sqlite::maintenance::{delete, service_time, unclaimed};
use sqlite::write::command::{Pending, Request};
use time::{Moment, StoreClock};

/// Operations that may wait for the writer; further ones wait in front.
const WAITING: usize = 4_096;
/// Between two tries to write a report while the disk is full.
const AGAIN: Duration = Duration::from_millis(500);

/// An open store. Cheap to clone; clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    operations: Mutex<Option<mpsc::Sender<Op>>>,
    reading: SqlitePool,
    checkpoints: Mutex<Option<SqliteConnection>>,
    keys: Arc<Keys>,
    budgets: Arc<Budgets>,
    /// A permit for each list that may be read at this moment.
    lists: Semaphore,
    work: Arc<Lanes<RunningJob>>,
    delivery: Arc<Lanes<DeliveringJob>>,
    clock: Clock,
    time: Arc<StoreClock>,
    purpose: Purpose,
    place: Option<Arc<Place>>,
    /// Whether an account is known; unset where no one can say.
    is_known: OnceLock<unclaimed::IsKnown>,
    writer: Mutex<Option<JoinHandle<Writer>>>,
}

impl Store {
    /// Opens `url`. As the owner it first frees what a dead owner held, so that all of it goes on at once.
    ///
    /// # Errors
    /// The file cannot be opened, another process owns it, or a newer version made it.
    pub async fn open(url: &str, purpose: Purpose, clock: Clock) -> Result<Self, StoreError> {
        let opened = open::open(url, purpose).await?;
        let (work, delivery) = (Arc::new(Lanes::new()), Arc::new(Lanes::new()));
        let keys = Arc::new(Keys::default());
        let budgets = Arc::new(Budgets::default());
        let time = Arc::new(StoreClock::new(clock.clone()));
        let (sender, receiver) = mpsc::channel(WAITING);
        let writer = Writer {
            connection: opened.writing,
            keys: keys.clone(),
            budgets: budgets.clone(),
            work: work.clone(),
            delivery: delivery.clone(),
            clock: time.clone(),
            place: opened.place.clone(),
            lock: opened.lock,
        };
        let writer = tokio::spawn(writer.run(receiver));
        let store = Self(Arc::new(Inner {
            operations: Mutex::new(Some(sender)),
            reading: opened.reading,
            checkpoints: Mutex::new(Some(opened.checkpoints)),
            keys,
            budgets,
            lists: Semaphore::new(list::LISTS),
            work,
            delivery,
            clock,
            time,
            purpose,
            place: opened.place,
            is_known: OnceLock::new(),
            writer: Mutex::new(Some(writer)),
        }));
        let begun = match purpose {
            Purpose::Serve => store.take_over().await,
            Purpose::Visit => service_time::follow(&store.0.reading, &store.0.time).await,
        };
        if let Err(error) = begun {
            return Err(error.while_opening(&open::file_of(url)?));
        }
        Ok(store)
    }

    /// Visits the store at `url`; none if nothing has made it yet.
    ///
    /// # Errors
    /// It is there and cannot be opened.
    pub async fn visit(url: &str, clock: Clock) -> Result<Option<Self>, StoreError> {
        if open::is_there(url)? { Self::open(url, Purpose::Visit, clock).await.map(Some) } else { Ok(None) }
    }

    /// Stores a request, unless its idempotency key is known. When this returns, the job is on the disk.
    ///
    /// # Errors
    /// [`StoreError::OverBudget`] if the account has used up its budget, [`StoreError::Timeout`] after `within`: a request
    /// that is not in a transaction by then is dropped, and of one that is, the outcome is unknown.
    pub async fn accept(&self, job: NewJob, within: Duration) -> Result<Accepted, StoreError> {
        let (reply, answered) = oneshot::channel();
        let accept = accept::Accept { job, known: None, drop_after: deadline(within), reply };
        let stored = async {
            self.send(Op::Accept(Box::new(accept))).await?;
            answered.await.unwrap_or(Err(StoreError::Closed))
        };
        tokio::time::timeout(within, stored).await.unwrap_or(Err(StoreError::Timeout))
    }

    /// Claims up to `limit` due jobs of `handler` for `lease`, without those whose time to answer is over.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn claim_work(
        &self,
        handler: Arc<str>,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<RunningJob>, StoreError> {
        let (now, lease_until) = (self.moment().steady, self.lease(lease));
        self.ask(ClaimWork { handler, limit, now, lease_until }).await
    }

    /// Claims up to `limit` jobs of any handler that waited past their time to answer.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn claim_overdue(&self, limit: usize, lease: Duration) -> Result<Vec<RunningJob>, StoreError> {
        let (now, lease_until) = (self.moment().steady, self.lease(lease));
        self.ask(ClaimOverdue { limit, now, lease_until }).await
    }

    /// Claims up to `limit` due deliveries to `origin` for `lease`, young ones first, but for those that are to be the
    /// longest due.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn claim_deliveries(
        &self,
        origin: Arc<str>,
        limit: usize,
        longest_due: LongestDue,
        lease: Duration,
    ) -> Result<Vec<DeliveringJob>, StoreError> {
        let (now, lease_until) = (self.moment().steady, self.lease(lease));
        self.ask(ClaimDeliveries { origin, limit, longest_due, now, lease_until }).await
    }

    /// Writes a worker's report. While the disk is full it goes on trying.
    ///
    /// # Errors
    /// The store is closed, or damaged.
    pub async fn handled(&self, report: HandlerReport) -> Result<Written, StoreError> {
        let report = Arc::new(report);
        self.insist(|reply| Op::Handled(report.clone(), reply)).await
    }

    /// Writes a report of the sender. While the disk is full it goes on trying.
    ///
    /// # Errors
    /// The store is closed, or damaged.
    pub async fn sent(&self, report: DeliveryReport) -> Result<Written, StoreError> {
        let report = Arc::new(report);
        self.insist(|reply| Op::Sent(report.clone(), reply)).await
    }

    /// One job with its attempts, oldest first.
    ///
    /// # Errors
    /// The store cannot be read, or the row is damaged.
    pub async fn job(&self, id: JobId) -> Result<Option<(JobRecord, Vec<Attempt>)>, StoreError> {
        let found = read::job(&self.0.reading, id).await?;
        Ok(found.map(|(record, attempts)| (self.moment().show(record), attempts)))
    }

    /// Counts of what is in the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        read::stats(&self.0.reading, &self.0.time).await
    }

    /// Writes something that changes nothing, to see whether the store can be written, and would be found again.
    ///
    /// # Errors
    /// It cannot.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.ask(delete::Probe).await?;
        self.in_its_place()
    }

    /// The length of the write-ahead log in bytes; 0 for a visitor.
    pub fn log_bytes(&self) -> u64 {
        self.0.place.as_ref().map_or(0, |place| log::bytes_of(place.path()))
    }

    /// Whether the open file is still the one at its path.
    fn in_its_place(&self) -> Result<(), StoreError> {
        self.0.place.as_ref().map_or(Ok(()), |place| place.check())
    }

    /// Completes when the store can be written no more, though nobody closed it: its writer has panicked.
    pub async fn ended(&self) {
        let sender = lock(&self.0.operations).clone();
        if let Some(sender) = sender {
            sender.closed().await;
        }
    }

    /// What waits for workers, by handler.
    pub fn work(&self) -> &Lanes<RunningJob> {
        &self.0.work
    }

    /// What waits for the sender, by origin.
    pub fn delivery(&self) -> &Lanes<DeliveringJob> {
        &self.0.delivery
    }

    /// Finishes what is under way and closes the file. Later calls fail with [`StoreError::Closed`].
    pub async fn close(&self) {
        if self.0.purpose == Purpose::Serve
            && let Err(error) = self.note_time().await
        {
            tracing::debug!(%error, "the time of the end was not written; the next start takes the last one that was");
        }
        lock(&self.0.operations).take();
        let writer = lock(&self.0.writer).take();
        let writer = match writer {
            // A writer that panicked has nothing left to finish.
            Some(writer) => writer.await.ok(),
            None => None,
        };
        if let Some(checkpoints) = self.take_checkpoints() {
            // It never writes, so nothing of it can be lost.
            let _unclosed = checkpoints.close().await;
        }
        self.0.reading.close().await;
        if let Some(Writer { mut connection, lock, place, .. }) = writer {
            if let Some(place) = place {
                place.write_back(&mut connection).await;
            }
            // The last connection brings the log into the database, and only this one may write.
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "the store was not closed cleanly; it recovers when it is opened again");
            }
            drop(lock);
        }
    }

    /// Leases end by the time that passes, not by the calendar: setting the clock must not end them all.
    fn lease(&self, lease: Duration) -> Timestamp {
        self.moment().steady + lease
    }

    /// Writes down how long the store has been served, and by which clocks.
    async fn note_time(&self) -> Result<(), StoreError> {
        self.ask(service_time::Note { moment: self.moment() }).await
    }

    fn moment(&self) -> Moment {
        self.0.time.moment()
    }

    fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn take_checkpoints(&self) -> Option<SqliteConnection> {
        lock(&self.0.checkpoints).take()
    }

    fn return_checkpoints(&self, connection: SqliteConnection) {
        lock(&self.0.checkpoints).replace(connection);
    }

    async fn send(&self, operation: Op) -> Result<(), StoreError> {
        let sender = lock(&self.0.operations).clone().ok_or(StoreError::Closed)?;
        sender.send(operation).await.map_err(|_| StoreError::Closed)
    }

    async fn ask<R: Request>(&self, request: R) -> Result<R::Answer, StoreError> {
        let (errand, answered) = Pending::new(request);
        self.send(Op::Errand(errand)).await?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn insist(&self, operation: impl Fn(Reply<Written>) -> Op) -> Result<Written, StoreError> {
        loop {
            let (reply, answered) = oneshot::channel();
            self.send(operation(reply)).await?;
            match answered.await.unwrap_or(Err(StoreError::Closed)) {
                Err(error) if error.is_passing() => self.clock().sleep(AGAIN).await,
                settled => return settled,
            }
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a caller's patience is real time, whatever the clock shows")]
fn deadline(within: Duration) -> Instant {
    Instant::now() + within
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
